"""What is compiled computes what it computes otherwise, and never costs a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal
from torch.fx import GraphModule

from identiflow.iflow import ARCHITECTURES, IdentifiableFlow, spline_coupling_flow
from identiflow.ivae import IdentifiableVAE, MLPDecoder, MLPEncoder
from identiflow.ivae.likelihoods import LIKELIHOODS, GaussianLikelihood, Likelihood
from identiflow.shared.compute import compilation
from identiflow.shared.compute.compilation import FEWEST_CALLS, Compilation, is_of_known_parts, pays
from identiflow.shared.compute.nflows_adapter import Transform
from identiflow.shared.compute.random import seeded
from identiflow.shared.priors import ConditionalPrior, GaussianPrior, UnconditionalPrior
from identiflow.shared.priors.by_name import PRIORS
from identiflow.shared.training import Stage, fit
from identiflow.shared.training.fit import choose_steps
from identiflow.shared.training.model import Model
from identiflow.shared.training.training import Training

needs_a_compiler = pytest.mark.skipif(
    not compilation.finds_compiler(), reason="no C++ compiler is installed"
)
ROWS, D = 16, 3


def a_flow(seed: int = 0, bound: float = 5.0, n_layers: int = 1) -> IdentifiableFlow:
    """Layers of two kinds in turn, moved away from the identity."""
    with seeded(seed):
        bijection = spline_coupling_flow(D, n_layers=n_layers, hidden=(8,), bound=bound)
        flow = IdentifiableFlow(bijection, GaussianPrior(D, n_labels=4))
        for parameter in flow.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return flow


@pytest.fixture
def xu() -> tuple[Tensor, Tensor]:
    return 2 * torch.randn(ROWS, D), torch.arange(ROWS) % 4


@pytest.fixture
def compile_count(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """Grows by one with each graph that is compiled."""
    compile_graph, count = compilation.compile_graph, []
    monkeypatch.setattr(
        compilation, "compile_graph", lambda *a: count.append(None) or compile_graph(*a)
    )
    yield count


def stage(model: Model, xu: tuple[Tensor, Tensor], **options: object) -> Stage:
    x, u = xu
    return Stage(model=model, x=x, u=u, x_held_out=x, u_held_out=u, **options)


def an_ivae(seed: int = 0) -> IdentifiableVAE:
    """One whose gradient is doubly reparameterised."""
    with seeded(seed):
        return IdentifiableVAE(
            MLPEncoder(D, 2, hidden=(8,)),
            MLPDecoder(2, D, hidden=(8,)),
            GaussianLikelihood(D),
            GaussianPrior(2, n_labels=4),
            n_samples=4,
        )


MODELS = {"flow": a_flow, "ivae": an_ivae}


def differentiate(
    model: Model, xu: tuple[Tensor, Tensor], **options: object
) -> tuple[Tensor, Tensor]:
    """A batch's mean loss and its gradient as a vector."""
    trainings = [Training(stage(model, xu, **options))]
    ((loss, gradient),) = choose_steps(trainings).differentiate(trainings)
    return loss, gradient


@needs_a_compiler
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_a_compiled_step_is_the_step(
    build: Callable[[int], Model],
    xu: tuple[Tensor, Tensor],
    compile_count: list[None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    validation, version, took_another_way = Distribution._validate_args, Compilation.version, []

    def watched(self: Compilation, function: Callable, inputs: list[Tensor]) -> Callable:
        found = version(self, function, inputs)
        took_another_way.append(found is not function)
        return found

    monkeypatch.setattr(Compilation, "version", watched)
    for seed in (0, 1):
        model = build(seed)
        expected = differentiate(model, xu, compile=False)
        got = differentiate(model, xu, compile=True)
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    assert took_another_way == [False, True, False, True]
    # Models of one form share what is compiled.
    assert len(compile_count) in (0, 1)
    # Importing the compiler leaves torch's own checks as they were.
    assert Distribution._validate_args is validation
    with pytest.raises(ValueError, match="Expected parameter scale"):
        Normal(0.0, -1.0)


@needs_a_compiler
def test_what_is_compiled_for_one_constant_is_not_used_for_another(
    xu: tuple[Tensor, Tensor],
) -> None:
    for bound in (5.0, 3.0):
        flow = a_flow(bound=bound, n_layers=1)
        expected = differentiate(flow, xu, compile=False)
        got = differentiate(flow, xu, compile=True)
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


@needs_a_compiler
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_what_is_compiled_serves_all_models_of_a_stack(
    build: Callable[[int], Model], xu: tuple[Tensor, Tensor], compile_count: list[None]
) -> None:
    trainings = [Training(stage(build(s), xu, seed=s, compile=True)) for s in (0, 1, 2)]
    chosen = choose_steps(trainings)
    steps = list(chosen.differentiate(trainings))
    rest = list(chosen.differentiate(trainings[1:]))  # when the first is done
    torch.testing.assert_close(rest, steps[1:], rtol=0, atol=0)
    assert len(compile_count) in (0, 1)
    for seed, step in enumerate(steps):
        expected = differentiate(build(seed), xu, seed=seed, compile=False)
        torch.testing.assert_close(step, expected, rtol=1e-3, atol=1e-3)


@needs_a_compiler
def test_a_compiled_fit_can_be_repeated_and_resumed(
    xu: tuple[Tensor, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, u = xu
    options = {
        "x_held_out": x,
        "u_held_out": u,
        "max_steps": 6,
        "n_evaluations": 3,
        "compile": True,
    }
    flows = [a_flow() for _ in range(3)]
    for flow in flows[:2]:
        fit(flow, x, u, **options)
    evaluate = Training.evaluate

    def interrupted(training: Training) -> None:
        evaluate(training)
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(flows[2], x, u, **options, checkpoint=tmp_path / "run")
    monkeypatch.setattr(Training, "evaluate", evaluate)
    flows[2] = a_flow()
    fit(flows[2], x, u, **options, checkpoint=tmp_path / "run")
    for name, weight in flows[0].state_dict().items():
        assert all(torch.equal(weight, flow.state_dict()[name]) for flow in flows[1:])


@needs_a_compiler
def test_frozen_weights_stay_as_they_are(xu: tuple[Tensor, Tensor]) -> None:
    flow = a_flow(n_layers=1)
    frozen = next(iter(flow.bijection.parameters())).requires_grad_(False)
    before = frozen.clone()
    x, u = xu
    fit(flow, x, u, x_held_out=x, u_held_out=u, max_steps=1, compile=True)
    assert torch.equal(frozen, before)


def traced(n_layers: int) -> GraphModule:
    """The operations of a flow's loss."""
    flow, x, u = a_flow(n_layers=n_layers), torch.randn(ROWS, D), torch.arange(ROWS) % 4
    return compilation.trace(lambda x: (flow.loss(x, u),), [x])


def test_more_calls_and_more_operations_pay_sooner() -> None:
    small, large = traced(1), traced(4)
    assert not pays(small, 1000)
    enough = next(calls for calls in range(1000, 10**6, 1000) if pays(small, calls))
    assert pays(small, 2 * enough)
    assert pays(large, enough)


def an_ivae_of(likelihood: Likelihood, **options: object) -> IdentifiableVAE:
    encoder = MLPEncoder(likelihood.feature_dim, 2, hidden=(8,))
    decoder = MLPDecoder(2, likelihood.parameter_dim, hidden=(8,))
    return IdentifiableVAE(encoder, decoder, likelihood, GaussianPrior(2, n_labels=4), **options)


def a_flow_of(build: Callable[..., Transform], prior: ConditionalPrior) -> IdentifiableFlow:
    return IdentifiableFlow(build(D, n_layers=1, hidden=(8,)), prior)


SIZES = {"categorical": {"n_categories": 2}}
OURS: dict[str, Callable[[], Model]] = {
    "flow, unconditional": lambda: a_flow_of(spline_coupling_flow, UnconditionalPrior(D)),
    "ivae, elbo": lambda: an_ivae_of(GaussianLikelihood(D), objective="elbo"),
}
for name, bijection in ARCHITECTURES.items():
    OURS[f"flow, {name}"] = partial(a_flow_of, bijection, GaussianPrior(D, n_labels=4))
for name, prior in PRIORS.items():
    OURS[f"flow, {name} prior"] = partial(a_flow_of, spline_coupling_flow, prior(D, n_labels=4))
for name, likelihood in LIKELIHOODS.items():
    OURS[f"ivae, {name}"] = partial(an_ivae_of, likelihood(D, **SIZES.get(name, {})))


@pytest.mark.parametrize("build", OURS.values(), ids=OURS)
@pytest.mark.parametrize("n_seeds", [1, 2])
def test_every_model_of_ours_can_be_compiled(
    build: Callable[[], Model], n_seeds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, u = torch.randint(2, (ROWS, D)).float(), torch.arange(ROWS) % 4
    graphs = []

    def traced(
        self: Compilation, function: Callable, inputs: list[Tensor], say: object
    ) -> Callable:
        graphs.append(compilation.trace(function, inputs))
        return graphs[-1]

    monkeypatch.setattr(Compilation, "version", traced)
    monkeypatch.setattr(compilation, "COMPILERS", ("sh",))
    models = [build() for _ in range(n_seeds)]
    assert all(is_of_known_parts(model) for model in models)
    trainings = [Training(stage(model, (x, u), compile=True)) for model in models]
    steps = list(choose_steps(trainings).differentiate(trainings))
    assert len(graphs) == 1
    for model, step in zip(models, steps, strict=True):
        expected = differentiate(model, (x, u), compile=False)
        torch.testing.assert_close(step, expected)


class Stateful(nn.Module):
    """A part of a user's own: what it computes may depend on more than tensors."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def test_by_default_known_models_are_compiled_in_long_fits() -> None:
    often = FEWEST_CALLS
    assert Compilation("auto", a_flow(), often).on is bool(compilation.finds_compiler())
    assert not Compilation("auto", a_flow(), often - 1).on
    assert not Compilation(False, a_flow(), often).on
    assert all(is_of_known_parts(model) for model in (a_flow(), an_ivae()))
    foreign = nn.Sequential(nn.Linear(2, 2), Stateful())
    assert not is_of_known_parts(foreign)
    assert not Compilation("auto", foreign, 10**9).on
    ivae = an_ivae()
    ivae.objective = differentiate  # any function that is not ours
    assert not is_of_known_parts(ivae)


IMPURE = {
    "it draws random numbers": lambda x: (x + torch.rand(3),),
    "the shape of its tensors depends": lambda x: (x[x > 0],),
    "it changes tensors in place": lambda x: (x.mul_(2),),
}


@needs_a_compiler
@pytest.mark.parametrize("reason", IMPURE)
def test_what_is_no_function_of_its_tensors_is_refused(reason: str) -> None:
    asked = Compilation(True, nn.Linear(1, 1), 1)
    with pytest.raises(RuntimeError, match=f"Expected to compile .* {reason}.* compile=False"):
        asked.version(IMPURE[reason], [torch.ones(3)])


@needs_a_compiler
def test_what_changes_in_place_is_its_own_result() -> None:
    def function(x: Tensor) -> tuple[Tensor, ...]:
        doubled = 2 * x
        doubled[0] = 7.0
        return (doubled.add_(1), doubled)

    compiled = Compilation(True, nn.Linear(1, 1), 1).version(function, [torch.ones(3)])
    x = torch.arange(3.0)
    torch.testing.assert_close(compiled(x), function(x))
    assert torch.equal(x, torch.arange(3.0))


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "COMPILERS", ("no-such-compiler",))
    assert not Compilation("auto", a_flow(), 10**9).on
    with pytest.raises(
        ValueError, match="Expected a C\\+\\+ compiler .* found none.* compile=False"
    ):
        Compilation(True, a_flow(), 10**9)


def test_an_unknown_wish_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected compile to be True, False or 'auto'; got 'yes'"):
        Compilation("yes", a_flow(), 1)


class Broken:
    """A compiler that fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compilation, "compile_graph", self)
        monkeypatch.setattr(compilation, "COMPILERS", ("sh",))
        monkeypatch.setattr(compilation, "FEWEST_CALLS", 1)
        monkeypatch.setattr(compilation, "pays", lambda graph, calls: True)
        monkeypatch.setattr(compilation, "_by_graph", {})

    def __call__(self, *args: object) -> None:
        raise OSError("no space left")


def test_a_fit_goes_on_where_compiling_fails(
    xu: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = differentiate(a_flow(), xu, compile=False)
    Broken(monkeypatch)
    with pytest.warns(RuntimeWarning, match="runs without compilation: OSError: no space left"):
        got = differentiate(a_flow(), xu, compile="auto")
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    trainings = [Training(stage(a_flow(s), xu, compile="auto")) for s in (0, 1)]
    with pytest.warns(RuntimeWarning, match="runs without compilation"):
        choose_steps(trainings).differentiate(trainings)
    with pytest.raises(RuntimeError, match="Expected to compile the model; got OSError"):
        differentiate(a_flow(), xu, compile=True)


def test_a_bar_says_that_a_fit_is_being_compiled(
    xu: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    Broken(monkeypatch)
    monkeypatch.setattr(compilation, "compile_graph", lambda graph, inputs: graph)
    x, u = xu
    rows = {"x_held_out": x, "u_held_out": u}
    fit(a_flow(), x, u, **rows, max_steps=1, compile=True, progress=True)
    assert "compiling (once, about a minute)" in capsys.readouterr().err
