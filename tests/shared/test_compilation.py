"""Compiled regions compute what they compute otherwise, and never cost a fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from iflow import IdentifiableFlow, spline_coupling_flow
from shared import compilation
from shared.compilation import CALLS_THAT_PAY, Compilation, Region, count_regions
from shared.priors import GaussianPrior
from shared.random import seeded
from shared.training import Stage, fit
from shared.training.course import Course
from shared.training.stack import Stack

needs_a_compiler = pytest.mark.skipif(
    not compilation.finds_compiler(), reason="no C++ compiler is installed"
)
ROWS, D = 16, 3


def a_flow(seed: int = 0, bound: float = 5.0, n_layers: int = 4) -> IdentifiableFlow:
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
    compile_graph, count = compilation._compile_graph, []
    monkeypatch.setattr(
        compilation, "_compile_graph", lambda *a: count.append(None) or compile_graph(*a)
    )
    yield count


def stage(flow: IdentifiableFlow, xu: tuple[Tensor, Tensor], **options: object) -> Stage:
    x, u = xu
    return Stage(model=flow, x=x, u=u, x_held_out=x, u_held_out=u, **options)


def differentiate(
    flow: IdentifiableFlow, xu: tuple[Tensor, Tensor], **options: object
) -> tuple[Tensor, Tensor]:
    """A batch's mean loss and its gradient as a vector."""
    course = Course(stage(flow, xu, **options))
    return course.run.differentiate(*course.batch(), course.noise)


@needs_a_compiler
def test_a_compiled_step_is_the_step(xu: tuple[Tensor, Tensor], compile_count: list[None]) -> None:
    validation = Distribution._validate_args
    for seed in (0, 1):
        flow = a_flow(seed)
        expected = differentiate(flow, xu, compile=False)
        got = differentiate(flow, xu, compile=True)
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
        assert not torch.equal(got[1], expected[1])  # it did take another way
    # Layers of one kind, in one flow or another, share what is compiled.
    assert len(compile_count) in (0, 2)
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
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@needs_a_compiler
def test_a_compiled_stack_is_its_models_one_by_one(xu: tuple[Tensor, Tensor]) -> None:
    courses = [Course(stage(a_flow(s), xu, seed=s, compile=True)) for s in (0, 1)]
    losses, gradients = Stack(courses)._of_batches(courses)
    for seed in (0, 1):
        loss, gradient = differentiate(a_flow(seed), xu, seed=seed, compile=False)
        torch.testing.assert_close(losses[seed], loss, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(gradients[seed], gradient, rtol=1e-4, atol=1e-4)


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
    evaluate = Course.evaluate

    def interrupted(course: Course) -> None:
        evaluate(course)
        raise KeyboardInterrupt

    monkeypatch.setattr(Course, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(flows[2], x, u, **options, checkpoint=tmp_path / "run")
    monkeypatch.setattr(Course, "evaluate", evaluate)
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


def test_regions_are_compiled_where_that_pays() -> None:
    flow = a_flow()
    assert count_regions(flow) == 4
    enough = CALLS_THAT_PAY // 4
    assert Compilation("auto", flow, enough).on is bool(compilation.finds_compiler())
    assert not Compilation("auto", flow, enough - 1).on
    assert not Compilation(False, flow, enough).on
    assert not Compilation("auto", nn.Linear(2, 2), 10**9).on


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
        monkeypatch.setattr(compilation, "_compile_graph", self)
        monkeypatch.setattr(compilation, "COMPILERS", ("sh",))
        monkeypatch.setattr(compilation, "CALLS_THAT_PAY", 1)
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
    courses = [Course(stage(a_flow(s), xu, compile="auto")) for s in (0, 1)]
    with pytest.warns(RuntimeWarning, match="runs without compilation"):
        Stack(courses)
    with pytest.raises(RuntimeError, match="Expected to compile the model; got OSError"):
        differentiate(a_flow(), xu, compile=True)


class Doubled(Region, nn.Linear):
    """A region of a user's own."""


def test_outside_of_a_fit_a_region_is_its_module() -> None:
    layer = Doubled(2, 2)
    x = torch.randn(3, 2)
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, layer.weight, layer.bias))
