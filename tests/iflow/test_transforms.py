"""Promises of single transforms beyond being a bijection, and the arguments that they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.func import jacrev, vmap

from identiflow.iflow import (
    ARCHITECTURES,
    AffineCoupling,
    LULinear,
    MaskedAutoregressive,
    Permutation,
    SplineCoupling,
)
from identiflow.iflow.elements import AffineElement, Element, SplineElement, VolumePreservingElement
from identiflow.iflow.linear import LOG_DIAGONAL_BOUND
from identiflow.shared.compute.random import seeded

DOUBLE = torch.float64
HIDDEN = (16, 16)


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(module: nn.Module, seed: int = 1) -> nn.Module:
    """In float64, weights moved by about what keeps a layer's output O(1)."""
    generator, size = rng(seed), 0.7
    for parameter in module.double().parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
        fan_in = parameter.shape[-1] if parameter.ndim == 2 else 1
        parameter.data.add_(size * noise / fan_in**0.5)
    return module


BAD_ARGUMENTS: dict[str, tuple[Callable[[], object], str]] = {
    "no columns": (lambda: SplineCoupling(0), "features of at least 1; got 0"),
    "one bin": (lambda: SplineElement(n_bins=1), "n_bins of at least 2; got 1"),
    "no domain": (lambda: SplineElement(bound=0.0), "positive bound; got 0"),
    "an unknown activation": (
        lambda: AffineCoupling(2, activation="softsign"),
        "activation .* got 'softsign'",
    ),
    "no permutation": (lambda: Permutation([0, 2, 2]), r"each of 0 … 2 once; got \[0, 2, 2\]"),
    "no layers": (lambda: ARCHITECTURES["spline"](2, n_layers=0), "n_layers of at least 1; got 0"),
    "an element with a shared constraint": (
        lambda: MaskedAutoregressive(2, element=VolumePreservingElement()),
        "maps each variable on its own; got VolumePreservingElement.* Use it in a Coupling",
    ),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_are_refused(case: str) -> None:
    make, message = BAD_ARGUMENTS[case]
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_preset_is_built_where_tensors_have_no_memory(name: str) -> None:
    """Reading a model from a file begins with that."""
    with torch.device("meta"):
        bijection = ARCHITECTURES[name](4)
    assert all(value.is_meta for value in bijection.state_dict().values())


@pytest.mark.parametrize("d", [2, 5])
@pytest.mark.parametrize("flip", [False, True])
@torch.no_grad()
def test_a_coupling_passes_one_part_and_maps_the_other(d: int, flip: bool) -> None:
    coupling = moved(SplineCoupling(d, hidden=HIDDEN, flip=flip))
    x = torch.rand(20, d, generator=rng(5), dtype=DOUBLE) * 4 - 2
    same = (coupling(x)[0] == x).all(dim=0)
    n_steered = d // 2 if flip else d - d // 2
    expected = torch.arange(d) >= n_steered if flip else torch.arange(d) < d - n_steered
    assert torch.equal(same, expected)


@pytest.mark.parametrize("element", [SplineElement(), AffineElement()])
def test_an_autoregressive_map_has_a_triangular_jacobian(element: Element) -> None:
    bijection = moved(MaskedAutoregressive(5, element=element, hidden=HIDDEN))
    rows = torch.randn(10, 5, generator=rng(6), dtype=DOUBLE)
    jacobian = vmap(jacrev(lambda row: bijection(row[None])[0][0]))(rows)
    assert not jacobian.triu(1).any()
    assert (jacobian.tril().abs().amax(dim=0) > 1e-6).sum() == 15


@pytest.mark.parametrize("raw", [-1e6, -10.0, 0.0, 10.0, 1e6])
@torch.no_grad()
def test_an_lu_layer_cannot_become_singular(raw: float) -> None:
    layer = moved(LULinear(4))
    layer.raw_diagonal.copy_(raw * torch.tensor([1.0, -1.0, 1.0, 1.0]))
    x = torch.randn(20, 4, generator=rng(7), dtype=DOUBLE)
    z, logabsdet = layer(x)
    assert logabsdet.abs().max() <= 4 * LOG_DIAGONAL_BOUND
    assert (layer.inverse(z)[0] - x).abs().max() <= 1e-5


@torch.no_grad()
def test_a_step_of_all_entries_moves_many_columns_no_further_than_twenty() -> None:
    """A learning rate for a table is then one for images too."""

    def change(d: int) -> float:
        with seeded(8):
            layer = LULinear(d)
        x = torch.ones(1, d)
        before = layer(x)[0]
        layer.factors.add_(1e-3)
        return (layer(x)[0] - before).abs().max().item()

    assert change(5) < change(20) < change(500) < 1.2 * change(20)


@pytest.mark.parametrize("width", [2, 3, 8, 18, 40])
def test_narrow_autoregressive_layers_read_all_variables(width: int) -> None:
    """All but the last steer one that follows, and all but the first are steered."""
    features = 20
    with seeded(0):
        transform = MaskedAutoregressive(features, hidden=(width, width)).double()
    x = torch.randn(1, features, generator=rng(1), dtype=DOUBLE)
    jacobian = torch.autograd.functional.jacobian(lambda v: transform(v)[0], x)[0, :, 0]
    below = jacobian.tril(-1) != 0
    assert below.any(0)[:-1].all() and below.any(1)[1:].all()
