"""Maps applied to each variable on its own, with parameters that a conditioner supplies.

Couplings and autoregressive transforms are the same code for every element, so that a new map is
one class with what `Element` lists. The spline has no boolean masks and no data-dependent shapes,
so that it works under vmap and compilation: inputs outside its domain are replaced by 0 first, and
the tails are put back with `torch.where`. Values and gradients are therefore finite wherever x is.

Parameters come first and rows last, (3K − 1, …): each operation then runs along rows that lie side
by side in memory, and the conditioner's last product writes them in that order for nothing.
"""

from __future__ import annotations

from functools import lru_cache
from math import log
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from identiflow.shared.compute.networks import bounded_exp

# exp(±LOG_SCALE_BOUND) is how far one affine layer can stretch or shrink a variable.
LOG_SCALE_BOUND = 2.0
# Together these two bound how flat and how steep a spline can be, whatever its parameters, and so
# what a round trip can lose to rounding: 1e-10 in float64 with 8 bins.
MIN_BIN = 0.1  # the smallest bin, as a share of an even one
LOG_DERIVATIVE_BOUND = log(20)  # at the knots


class Element(Protocol):
    """A strictly monotone map of single variables, m of them at once: rows come last, (m, B).

    To add one, write a class with these four members, whose inverse is exact and whose log-slopes
    are finite for every x and whatever the parameters are. `Coupling(features, YourElement())`
    and `MaskedAutoregressive(features, element=YourElement())` are then bijections; enter them in
    `BIJECTIONS` of tests/iflow/test_bijections.py, and every law runs on them.

    Attributes:
        n_parameters: how many numbers it needs for one variable.
        autoregressive: whether each variable is mapped on its own. With a constraint that
            variables share it is False, and the map fits a coupling only.
    """

    autoregressive: bool
    n_parameters: int

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z and log |dz/dx|, (m, B) each, for parameters (n_parameters, m, B)."""

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x and log |dx/dz|, (m, B) each, for parameters (n_parameters, m, B)."""


class SplineElement:
    """Rational-quadratic spline on [−bound, bound], identity outside (Durkan et al. 2019)."""

    autoregressive = True

    def __init__(self, n_bins: int = 8, bound: float = 5.0) -> None:
        if n_bins < 2:
            raise ValueError(f"Expected n_bins of at least 2; got {n_bins}.")
        if bound <= 0:
            raise ValueError(f"Expected a positive bound; got {bound}.")
        self.n_bins, self.bound = n_bins, bound
        self.n_parameters = 3 * n_bins - 1

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z and log |dz/dx|, (m, B) each."""
        return spline_forward(x, parameters, self.bound)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x and log |dx/dz|, (m, B) each."""
        return spline_inverse(z, parameters, self.bound)


class AffineElement:
    """z = x · exp(s) + t with |s| bounded on both sides (Dinh et al. 2017)."""

    autoregressive = True
    n_parameters = 2

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z and log |dz/dx|, (m, B) each."""
        log_scale = self.log_scale(parameters[0])
        return x * log_scale.exp() + parameters[1], log_scale

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x and log |dx/dz|, (m, B) each."""
        log_scale = self.log_scale(parameters[0])
        return (z - parameters[1]) * (-log_scale).exp(), -log_scale

    def log_scale(self, raw: Tensor) -> Tensor:
        """s, (m, B), within ± LOG_SCALE_BOUND."""
        return LOG_SCALE_BOUND * torch.tanh(raw / LOG_SCALE_BOUND)


class VolumePreservingElement(AffineElement):
    """The affine map whose log-scales sum to 0 over the variables (GIN; Sorrenson et al. 2020).

    Variables share the constraint, so it fits a coupling but not an autoregressive transform.
    """

    autoregressive = False

    def log_scale(self, raw: Tensor) -> Tensor:
        """s, (m, B), with Σ s = 0."""
        bounded = super().log_scale(raw)
        return bounded - bounded.mean(dim=0, keepdim=True)


class Segment(NamedTuple):
    """The bin an input falls in: left knot (x, y), size, and end derivatives, each (...)."""

    x: Tensor
    y: Tensor
    width: Tensor
    height: Tensor
    left: Tensor
    right: Tensor


def spline_forward(x: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """y and log dy/dx, each of the shape of x.

    Args:
        x: inputs, any shape.
        raw: unconstrained parameters, (3K − 1, *x.shape): K widths, K heights, K − 1 derivatives.
        bound: the spline maps [−bound, bound] onto itself and is the identity outside.

    Reference: Durkan, Bekasov, Murray & Papamakarios 2019, "Neural spline flows", eqs. (4)–(5).
    """
    outside = x.abs() >= bound
    inside = x.masked_fill(outside, 0.0)
    segment = _segment(inside, raw, bound, axis=0)
    rise, log_derivative = curve((inside - segment.x) / segment.width, segment)
    y = torch.addcmul(segment.y, segment.height, rise)
    return torch.where(outside, x, y), log_derivative.masked_fill(outside, 0.0)


def spline_inverse(y: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """x and log dx/dy, each of the shape of y; arguments as in `spline_forward`."""
    outside = y.abs() >= bound
    inside = y.masked_fill(outside, 0.0)
    segment = _segment(inside, raw, bound, axis=1)
    t = root(inside - segment.y, segment)
    x = torch.addcmul(segment.x, segment.width, t)
    log_derivative = -curve(t, segment)[1]
    return torch.where(outside, y, x), log_derivative.masked_fill(outside, 0.0)


def curve(t: Tensor, segment: Segment) -> tuple[Tensor, Tensor]:
    """Share of the bin's height reached at the share t of its width, and log dy/dx there.

    All sums are of terms that are not negative, so none of them cancels.
    """
    slope = segment.height / segment.width
    rest = 1 - t
    product, square, rest_square = t * rest, t * t, rest * rest
    below = torch.addcmul(slope * square, segment.left, product)
    both = below + torch.addcmul(slope * rest_square, segment.right, product)
    ends = torch.addcmul(segment.right * square, segment.left, rest_square)
    ratio = slope / both
    return below / both, (ratio * ratio * ends.addcmul(slope, product, value=2)).log()


def root(rise: Tensor, segment: Segment) -> Tensor:
    """The share t of the bin's width at which the curve has risen by `rise`.

    Of the two forms of the root the one is taken that does not cancel, with the discriminant
    clamped at 0, so rounding can neither spoil it nor make it fail (eqs. 6–8).
    """
    slope = segment.height / segment.width
    b = segment.height * segment.left - rise * (segment.left + segment.right - 2 * slope)
    a = segment.height * slope - b
    c = -slope * rise
    # `tiny` in place of 0: there the square root has a gradient.
    d = (b * b - 4 * a * c).clamp(min=torch.finfo(rise.dtype).tiny).sqrt()
    # a > 0 where b < 0, so neither quotient divides by 0.
    positive = b >= 0
    return (torch.where(positive, -2 * c, d - b) / torch.where(positive, d + b, 2 * a)).clamp(0, 1)


def _segment(value: Tensor, raw: Tensor, bound: float, axis: int) -> Segment:
    """The bin of each value, found along x (axis 0) or y (axis 1)."""
    n_bins = (len(raw) + 1) // 3
    raw_sizes, raw_derivatives = raw.split([2 * n_bins, n_bins - 1])
    shares = raw_sizes.unflatten(0, (2, n_bins)).softmax(dim=1)
    lowest, summing = map(torch.from_numpy, _knots_of_shares(n_bins, bound, str(raw.dtype)[6:]))
    columns = shares.reshape(2, n_bins, value.numel())
    knots = torch.baddbmm(lowest.to(raw.device), summing.to(raw.device), columns)
    knots = knots.view(2, n_bins + 1, *value.shape)
    index = (value >= knots[axis, 1:-1]).sum(dim=0)
    ends = torch.stack([index, index + 1])
    left, right = knots.gather(1, ends.expand(2, *ends.shape)).unbind(dim=1)
    # Derivatives are picked while raw, and 0 is the raw value of the 1 at either bound.
    padded = _between_zeros(raw_derivatives)
    derivatives = bounded_exp(padded.gather(0, ends), LOG_DERIVATIVE_BOUND)
    return Segment(*left.unbind(0), *(right - left).unbind(0), *derivatives.unbind(0))


def _between_zeros(raw: Tensor) -> Tensor:
    """(K − 1, …) to (K + 1, …)."""
    zero = raw.new_zeros(1, *raw.shape[1:])
    return torch.cat([zero, raw, zero])


@lru_cache
def _knots_of_shares(n_bins: int, bound: float, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (1, K + 1, 1) and matrix (2, K + 1, K) that turn shares of bins into knots.

    The outer knots are set, not summed: rounding must not leave a gap at the bound. Arrays and
    not tensors are kept, because a tensor would remember the mode it was made in.
    """
    lowest = bound * (np.linspace(0, 2 * MIN_BIN, n_bins + 1) - 1)
    summing = 2 * bound * (1 - MIN_BIN) * np.tri(n_bins + 1, n_bins, -1)
    lowest[-1], summing[-1] = bound, 0
    return lowest.astype(dtype)[None, :, None], summing.astype(dtype)[None].repeat(2, axis=0)
