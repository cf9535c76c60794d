"""Every model of ours can be compiled; a function that cannot be is refused, or runs as it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx import GraphModule

from identiflow.iflow import ARCHITECTURES, IdentifiableFlow, spline_coupling_flow
from identiflow.ivae import IdentifiableVAE, MLPDecoder, MLPEncoder
from identiflow.ivae.likelihoods import LIKELIHOODS, GaussianLikelihood, Likelihood
from identiflow.shared.compute import compilation
from identiflow.shared.compute.compilation import FEWEST_CALLS, Compilation, is_of_known_parts, pays
from identiflow.shared.compute.nflows_adapter import Transform
from identiflow.shared.priors import ConditionalPrior, GaussianPrior, UnconditionalPrior
from identiflow.shared.priors.by_name import PRIORS
from identiflow.shared.training.fit import choose_steps
from identiflow.shared.training.model import Model
from identiflow.shared.training.training import Training

needs_a_compiler = pytest.mark.usefixtures("compiler")
ROWS, D = 16, 3


def an_ivae(likelihood: Likelihood | None = None, **options: object) -> IdentifiableVAE:
    likelihood = likelihood or GaussianLikelihood(D)
    encoder = MLPEncoder(likelihood.feature_dim, 2, hidden=(8,))
    decoder = MLPDecoder(2, likelihood.parameter_dim, hidden=(8,))
    return IdentifiableVAE(encoder, decoder, likelihood, GaussianPrior(2, n_labels=4), **options)


def a_flow(
    build: Callable[..., Transform] = spline_coupling_flow,
    prior: ConditionalPrior | None = None,
    n_layers: int = 1,
) -> IdentifiableFlow:
    prior = prior or GaussianPrior(D, n_labels=4)
    return IdentifiableFlow(build(D, n_layers=n_layers, hidden=(8,)), prior)


SIZES = {"categorical": {"n_categories": 2}}
OURS: dict[str, Callable[[], Model]] = {
    "flow, unconditional": lambda: a_flow(prior=UnconditionalPrior(D)),
    "ivae, elbo": lambda: an_ivae(objective="elbo"),
}
for name, bijection in ARCHITECTURES.items():
    OURS[f"flow, {name}"] = partial(a_flow, bijection)
for name, prior in PRIORS.items():
    OURS[f"flow, {name} prior"] = partial(a_flow, prior=prior(D, n_labels=4))
for name, likelihood in LIKELIHOODS.items():
    OURS[f"ivae, {name}"] = partial(an_ivae, likelihood(D, **SIZES.get(name, {})))


@pytest.mark.parametrize("build", OURS.values(), ids=OURS)
@pytest.mark.parametrize("n_seeds", [1, 2])
def test_every_model_of_ours_can_be_compiled(
    build: Callable[[], Model],
    n_seeds: int,
    begun: Callable[..., Training],
    differentiate: Callable[..., tuple[Tensor, Tensor]],
    monkeypatch: pytest.MonkeyPatch,
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
    trainings = [begun(model, (x, u), compile=True) for model in models]
    steps = list(choose_steps(trainings).differentiate(trainings))
    assert len(graphs) == 1
    for model, step in zip(models, steps, strict=True):
        expected = differentiate(model, (x, u), compile=False)
        torch.testing.assert_close(step, expected)


def traced(n_layers: int) -> GraphModule:
    """The operations of a flow's map, as a function of all its tensors."""
    bijection = a_flow(n_layers=n_layers).bijection
    named = {**dict(bijection.named_parameters()), **dict(bijection.named_buffers())}

    def mapped(x: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        return functional_call(bijection, dict(zip(named, tensors, strict=True)), (x,))

    return compilation.trace(mapped, [torch.randn(ROWS, D), *named.values()])


def test_more_calls_and_more_operations_pay_sooner() -> None:
    small, large = traced(1), traced(4)
    assert not pays(small, 1000)
    enough = next(calls for calls in range(1000, 10**6, 1000) if pays(small, calls))
    assert pays(small, 2 * enough)
    assert pays(large, enough)


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
    ivae.objective = traced  # any function that is not ours
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
