"""Presets that assemble transforms into the bijection g: x → z.

All begin with a linear map W, which `iflow.start.start_from_linear` sets before a fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from identiflow.iflow.elements import AffineElement, SplineElement
from identiflow.iflow.linear import LULinear, Permutation, Unmixing
from identiflow.iflow.transforms import (
    AffineCoupling,
    Composition,
    MaskedAutoregressive,
    SplineCoupling,
    VolumePreservingCoupling,
)
from identiflow.shared.compute.nflows_adapter import Transform


def spline_coupling_flow(
    features: int,
    *,
    n_layers: int = 8,
    hidden: Sequence[int] = (128, 128),
    n_bins: int = 8,
    bound: float = 5.0,
) -> Composition:
    """W, then n_layers × [rational-quadratic coupling, LU]: the default, fast both ways."""
    layer = partial(SplineCoupling, features, n_bins=n_bins, bound=bound, hidden=hidden)
    return _stack(
        Unmixing(features), n_layers, lambda i: [layer(flip=bool(i % 2)), LULinear(features)]
    )


def affine_coupling_flow(
    features: int, *, n_layers: int = 8, hidden: Sequence[int] = (128, 128)
) -> Composition:
    """W, then n_layers × [affine coupling, LU]: RealNVP with learned linear layers."""
    layer = partial(AffineCoupling, features, hidden=hidden)
    return _stack(
        Unmixing(features), n_layers, lambda i: [layer(flip=bool(i % 2)), LULinear(features)]
    )


def volume_preserving_flow(
    features: int, *, n_layers: int = 8, hidden: Sequence[int] = (128, 128)
) -> Composition:
    """W, then n_layers × [GIN coupling, LU], all of determinant 1: log |det J_g| = 0 everywhere.

    What the prior says of one latent can then be compared with what it says of the others, as in
    GIN (Sorrenson, Rother & Köthe 2020).
    """
    layer = partial(VolumePreservingCoupling, features, hidden=hidden)
    linear = partial(LULinear, features, volume_preserving=True)
    return _stack(
        Unmixing(features, volume_preserving=True),
        n_layers,
        lambda i: [layer(flip=bool(i % 2)), linear()],
    )


def autoregressive_flow(
    features: int,
    *,
    n_layers: int = 4,
    hidden: Sequence[int] = (128, 128),
    n_bins: int = 8,
    bound: float = 5.0,
    affine: bool = False,
) -> Composition:
    """W, then n_layers × [masked autoregressive map, reversal of the columns].

    g is one pass a layer; f = g⁻¹ is d passes a layer. Choose it where x → z is all you need.
    """
    element = AffineElement() if affine else SplineElement(n_bins, bound)
    reversal = range(features - 1, -1, -1)
    layer = partial(MaskedAutoregressive, features, element=element, hidden=hidden)
    return _stack(Unmixing(features), n_layers, lambda i: [layer(), Permutation(reversal)])


ARCHITECTURES: dict[str, Callable[..., Composition]] = {
    "spline": spline_coupling_flow,
    "affine": affine_coupling_flow,
    "volume_preserving": volume_preserving_flow,
    "autoregressive": autoregressive_flow,
}


def _stack(first: Unmixing, n_layers: int, parts: Callable[[int], list[Transform]]) -> Composition:
    if n_layers < 1:
        raise ValueError(f"Expected n_layers of at least 1; got {n_layers}.")
    return Composition([first, *(part for i in range(n_layers) for part in parts(i))])
