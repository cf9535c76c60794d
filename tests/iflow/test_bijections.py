"""Laws of every bijection, on weights moved away from the identity."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, stack_module_state, vmap

from identiflow.iflow import (
    ARCHITECTURES,
    AffineCoupling,
    Composition,
    Coupling,
    LULinear,
    MaskedAutoregressive,
    Permutation,
    SplineCoupling,
    Unmixing,
    VolumePreservingCoupling,
)
from identiflow.iflow.elements import AffineElement
from identiflow.shared.compute.nflows_adapter import InverseTransform, Transform

DOUBLE = torch.float64
BOUND = 5.0
HIDDEN = (16, 16)

# What log |det J| does as x moves: with d = 1 nothing steers an affine map, so it is constant too.
ZERO, CONSTANT, AFFINE, VARYING = "zero", "constant", "affine", "varying"


class Shift:
    """An element of one's own, z = x + t: what `Element` asks for and nothing else."""

    autoregressive, n_parameters = True, 1
    forward = staticmethod(lambda x, t: (x + t[0], torch.zeros_like(x)))
    inverse = staticmethod(lambda z, t: (z - t[0], torch.zeros_like(z)))


MADE = partial(MaskedAutoregressive, hidden=HIDDEN)
BIJECTIONS: dict[str, tuple[Callable[[int], Transform], str]] = {
    "spline coupling": (partial(SplineCoupling, hidden=HIDDEN), VARYING),
    "spline coupling, flipped": (partial(SplineCoupling, hidden=HIDDEN, flip=True), VARYING),
    "affine coupling": (partial(AffineCoupling, hidden=HIDDEN), AFFINE),
    "affine coupling, flipped": (partial(AffineCoupling, hidden=HIDDEN, flip=True), AFFINE),
    "GIN coupling": (partial(VolumePreservingCoupling, hidden=HIDDEN), ZERO),
    "GIN coupling, flipped": (partial(VolumePreservingCoupling, hidden=HIDDEN, flip=True), ZERO),
    "LU": (LULinear, CONSTANT),
    "volume-preserving LU": (partial(LULinear, volume_preserving=True), ZERO),
    "unmixing": (lambda d: unmixing(d), CONSTANT),
    "volume-preserving unmixing": (lambda d: unmixing(d, volume_preserving=True), ZERO),
    "permutation": (lambda d: Permutation([*range(1, d), 0]), ZERO),
    "autoregressive spline": (MADE, VARYING),
    "autoregressive affine": (partial(MADE, element=AffineElement()), AFFINE),
    "coupling of one's own element": (lambda d: Coupling(d, Shift(), hidden=HIDDEN), ZERO),
    "autoregressive map of one's own element": (partial(MADE, element=Shift()), ZERO),
    "spline preset": (partial(ARCHITECTURES["spline"], hidden=HIDDEN), VARYING),
    "affine preset": (partial(ARCHITECTURES["affine"], hidden=HIDDEN), AFFINE),
    "volume_preserving preset": (partial(ARCHITECTURES["volume_preserving"], hidden=HIDDEN), ZERO),
    "autoregressive preset": (partial(ARCHITECTURES["autoregressive"], hidden=HIDDEN), VARYING),
}
DIRECTIONS: dict[str, Callable[[Transform], Transform]] = {
    "x → z": lambda bijection: bijection,
    "z → x": InverseTransform,
}
CASES = [*((name, d) for name in BIJECTIONS for d in (1, 2, 5)), ("LU", 40)]


def unmixing(d: int, volume_preserving: bool = False) -> Unmixing:
    """With a matrix away from the identity, and of another determinant."""
    bijection = Unmixing(d, volume_preserving=volume_preserving)
    bijection.set(-1.5 * torch.eye(d) + 0.3 * torch.randn(d, d, generator=rng(3)))
    return bijection


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(module: nn.Module, seed: int = 1) -> nn.Module:
    """In float64, weights moved by about what keeps a layer's output O(1), less in a deep one."""
    generator, size = rng(seed), 0.25 if isinstance(module, Composition) else 0.7
    for parameter in module.double().parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
        fan_in = parameter.shape[-1] if parameter.ndim == 2 else 1
        parameter.data.add_(size * noise / fan_in**0.5)
    return module


def build(name: str, d: int, seed: int = 1) -> Transform:
    return moved(BIJECTIONS[name][0](d), seed)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}, d={case[1]}")
def case(request: pytest.FixtureRequest) -> tuple[str, int]:
    return request.param


@pytest.fixture
def bijection(case: tuple[str, int]) -> Transform:
    return build(*case)


@pytest.fixture
def d(case: tuple[str, int]) -> int:
    return case[1]


@pytest.fixture
def x(d: int) -> Tensor:
    """Rows inside the spline's domain and around it."""
    return 2 * torch.randn(40, d, generator=rng(2), dtype=DOUBLE)


def rows_at_the_bound(d: int) -> Tensor:
    """Every sign of values at the bound, next to it, and far outside, alone and in all columns."""
    at = torch.tensor(BOUND, dtype=DOUBLE)
    inside, outside = (torch.nextafter(at, at + by) for by in (-1.0, 1.0))
    values = torch.stack([inside, at, outside, *torch.tensor([50.0, 1e4], dtype=DOUBLE)])
    values = torch.cat([values, -values])
    everywhere = values[:, None].expand(-1, d)
    alone = torch.linspace(-1, 1, d, dtype=DOUBLE).repeat(len(values), 1)
    alone[torch.arange(len(values)), torch.arange(len(values)) % d] = values
    return torch.cat([everywhere, alone])


def relative_error(got: Tensor, expected: Tensor) -> float:
    """The largest error of a row, relative to its largest entry where that is above 1."""
    size = expected.abs().amax(dim=1, keepdim=True).clamp(min=1)
    return ((got - expected).abs() / size).max().item()


# Round trip --------------------------------------------------------------------------------------


@torch.no_grad()
def test_round_trip_is_exact_both_ways(bijection: Transform, x: Tensor) -> None:
    forward, inverse = bijection.forward, bijection.inverse
    for there, back in ((forward, inverse), (inverse, forward)):
        y, logabsdet = there(x)
        again, negative = back(y)
        assert (again - x).abs().max() <= 1e-9
        torch.testing.assert_close(logabsdet, -negative, rtol=0, atol=1e-8)


@torch.no_grad()
def test_round_trip_is_exact_at_the_bound_and_far_outside(bijection: Transform, d: int) -> None:
    x = rows_at_the_bound(d)
    assert relative_error(bijection.inverse(bijection(x)[0])[0], x) <= 1e-9
    assert relative_error(bijection(bijection.inverse(x)[0])[0], x) <= 1e-9


@torch.no_grad()
def test_round_trip_in_single_precision(bijection: Transform, x: Tensor) -> None:
    single = x.float()
    z, logabsdet = bijection.float()(single)
    assert z.dtype == logabsdet.dtype == torch.float32
    assert (bijection.inverse(z)[0] - single).abs().max() <= 1e-3


# log |det J| -------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("where", ["inside", "at the bound and outside"])
def test_logabsdet_is_that_of_the_autodiff_jacobian(
    bijection: Transform, x: Tensor, d: int, direction: str, where: str
) -> None:
    mapping = DIRECTIONS[direction](bijection)
    rows = x[:12] if where == "inside" else rows_at_the_bound(d)
    jacobian = vmap(jacrev(lambda row: mapping(row[None])[0][0]))(rows)
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(mapping(rows)[1], expected, rtol=0, atol=1e-8)


@torch.no_grad()
def test_logabsdet_is_zero_or_constant_only_by_design(
    case: tuple[str, int], bijection: Transform, x: Tensor
) -> None:
    """A wrong sign or a missing term would hide behind a log-determinant of 0."""
    z, logabsdet = bijection(x)
    assert (z - x).abs().amax(dim=0).max() > 0.1 or case == ("permutation", 1)
    kind = BIJECTIONS[case[0]][1]
    if kind == AFFINE:
        kind = CONSTANT if case[1] == 1 else VARYING
    if kind == ZERO:
        assert logabsdet.abs().max() <= 1e-14
        return
    assert logabsdet.abs().min() > 1e-4
    assert (logabsdet.std() > 0.05) == (kind == VARYING)


# Gradients ---------------------------------------------------------------------------------------


def gradients(mapping: Transform, rows: Tensor) -> dict[str, Tensor]:
    """Of a sum of everything a map returns, by the parameters and by its rows."""
    rows = rows.clone().requires_grad_()
    mapped, logabsdet = mapping(rows)
    weights = torch.linspace(0.5, 1.5, mapped.numel(), dtype=mapped.dtype).view_as(mapped)
    total = (weights * mapped).sum() + logabsdet.sum()
    named = {"rows": rows, **dict(mapping.named_parameters())}
    found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return dict(zip(named, found, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_values_and_gradients_are_finite_everywhere(
    bijection: Transform, x: Tensor, d: int, dtype: torch.dtype
) -> None:
    """Also where a conditioner says 100 · N(0, 1), which no trained one does."""
    rows = torch.cat([x, rows_at_the_bound(d)]).to(dtype)
    for logits in (10.0, 100.0):
        adversarial(bijection.double(), logits)
        for mapping in (bijection.to(dtype), InverseTransform(bijection)):
            mapped, logabsdet = mapping(rows)
            assert mapped.isfinite().all() and logabsdet.isfinite().all()
            assert all(g.isfinite().all() for g in gradients(mapping, rows).values())


@torch.no_grad()
def adversarial(bijection: Transform, size: float) -> None:
    """Move the outputs of one conditioner by size · N(0, 1)."""
    for module in bijection.modules():
        if isinstance(module, (Coupling, MaskedAutoregressive)):
            *_, bias = module.conditioner.parameters()
            bias.add_(size * torch.randn(bias.shape, generator=rng(3), dtype=DOUBLE))
            return


@pytest.mark.parametrize("name", [name for name in BIJECTIONS if name != "permutation"])
@pytest.mark.parametrize("d", [2, 5])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_every_parameter_gets_a_gradient(name: str, d: int, direction: str) -> None:
    """At the start of training already, not only on weights that have moved."""
    bijection = BIJECTIONS[name][0](d).double()
    rows = torch.randn(200, d, generator=rng(4), dtype=DOUBLE)
    found = gradients(DIRECTIONS[direction](bijection), rows)
    without = [key for key, gradient in found.items() if gradient is None or not gradient.any()]
    assert not without


# Batches, copies, vmap ---------------------------------------------------------------------------


@torch.no_grad()
def test_a_batch_is_the_loop_over_its_rows(bijection: Transform, x: Tensor) -> None:
    for mapping in (bijection.forward, bijection.inverse):
        together = mapping(x[:7])
        one_by_one = [mapping(row[None]) for row in x[:7]]
        for values, parts in zip(together, zip(*one_by_one, strict=True), strict=True):
            torch.testing.assert_close(values, torch.cat(parts), rtol=1e-9, atol=1e-12)


@torch.no_grad()
def test_no_rows_give_no_rows(bijection: Transform, d: int) -> None:
    for mapping in (bijection.forward, bijection.inverse):
        mapped, logabsdet = mapping(torch.empty(0, d, dtype=DOUBLE))
        assert mapped.shape == (0, d) and logabsdet.shape == (0,)


@torch.no_grad()
def test_state_dict_is_all_there_is(case: tuple[str, int], bijection: Transform, x: Tensor) -> None:
    other = build(*case, seed=9)
    other.load_state_dict(bijection.state_dict())
    for a, b in ((bijection(x), other(x)), (bijection.inverse(x), other.inverse(x))):
        assert all(map(torch.equal, a, b))


@pytest.mark.parametrize("direction", DIRECTIONS)
@torch.no_grad()
def test_vmap_over_weights_is_the_loop_over_copies(
    case: tuple[str, int], x: Tensor, direction: str
) -> None:
    """Training many seeds at once needs this: no boolean masks, no data-dependent shapes."""
    copies = [DIRECTIONS[direction](build(*case, seed=seed)) for seed in (1, 2, 3)]
    weights, buffers = stack_module_state(copies)
    together = vmap(lambda state: functional_call(copies[0], state, (x,)))({**weights, **buffers})
    one_by_one = zip(*(copy(x) for copy in copies), strict=True)
    for values, parts in zip(together, one_by_one, strict=True):
        torch.testing.assert_close(values, torch.stack(parts), rtol=1e-9, atol=1e-9)


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BIJECTIONS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_context_and_another_width_are_refused(name: str, direction: str) -> None:
    mapping = DIRECTIONS[direction](build(name, 5))
    with pytest.raises(ValueError, match="Expected no context.* Give u to the prior"):
        mapping(torch.zeros(4, 5), torch.zeros(4, 1))
    for shape in ((4, 3), (4,), (2, 4, 5)):
        with pytest.raises(ValueError, match=re.escape(f"of shape (B, 5); got {shape}")):
            mapping(torch.zeros(shape))
