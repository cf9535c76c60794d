"""What is compiled computes what it computes otherwise, and never costs a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from identiflow.iflow import IdentifiableFlow, spline_coupling_flow
from identiflow.ivae import IdentifiableVAE, MLPDecoder, MLPEncoder
from identiflow.ivae.likelihoods import GaussianLikelihood
from identiflow.shared.compute import compilation
from identiflow.shared.compute.compilation import Compilation
from identiflow.shared.compute.random import seeded
from identiflow.shared.priors import GaussianPrior
from identiflow.shared.training import fit
from identiflow.shared.training.fit import choose_steps
from identiflow.shared.training.model import Model
from identiflow.shared.training.training import Training

Differentiate = Callable[..., tuple[Tensor, Tensor]]
Begin = Callable[..., Training]
needs_a_compiler = pytest.mark.usefixtures("compiler")
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


@needs_a_compiler
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_a_compiled_step_is_the_step(
    build: Callable[[int], Model],
    xu: tuple[Tensor, Tensor],
    compile_count: list[None],
    differentiate: Differentiate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    validation, version, compiled = Distribution._validate_args, Compilation.version, []

    def watched(*arguments: object) -> Callable | None:
        compiled.append(version(*arguments))
        return compiled[-1]

    monkeypatch.setattr(Compilation, "version", watched)
    for seed in (0, 1):
        model = build(seed)
        expected = differentiate(model, xu, compile=False)
        got = differentiate(model, xu, compile=True)
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    assert len(compiled) == 2 and None not in compiled  # where it was asked for
    # Models of one form share what is compiled.
    assert len(compile_count) in (0, 1)
    # Importing the compiler leaves torch's own checks as they were.
    assert Distribution._validate_args is validation
    with pytest.raises(ValueError, match="Expected parameter scale"):
        Normal(0.0, -1.0)


@needs_a_compiler
def test_what_is_compiled_for_one_constant_is_not_used_for_another(
    xu: tuple[Tensor, Tensor], differentiate: Differentiate
) -> None:
    for bound in (5.0, 3.0):
        flow = a_flow(bound=bound, n_layers=1)
        expected = differentiate(flow, xu, compile=False)
        got = differentiate(flow, xu, compile=True)
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


@needs_a_compiler
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_what_is_compiled_serves_all_models_of_a_stack(
    build: Callable[[int], Model],
    xu: tuple[Tensor, Tensor],
    compile_count: list[None],
    begun: Begin,
    differentiate: Differentiate,
) -> None:
    trainings = [begun(build(s), xu, seed=s, compile=True) for s in (0, 1, 2)]
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
    xu: tuple[Tensor, Tensor],
    begun: Begin,
    differentiate: Differentiate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = differentiate(a_flow(), xu, compile=False)
    Broken(monkeypatch)
    with pytest.warns(RuntimeWarning, match="runs without compilation: OSError: no space left"):
        got = differentiate(a_flow(), xu, compile="auto")
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    trainings = [begun(a_flow(s), xu, compile="auto") for s in (0, 1)]
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
