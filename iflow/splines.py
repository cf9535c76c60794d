"""The monotone rational-quadratic spline with linear tails (Durkan et al. 2019).

No boolean masks and no data-dependent shapes, so that it works under vmap and compilation: inputs
are clamped into the spline's domain first, and the tails are put back with `torch.where`. Values
and gradients are therefore finite wherever x is. The three knot tables (x, y, derivative) are kept
as one tensor, which halves the number of operations.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from shared.networks import bounded_exp

# Together these two bound how flat and how steep a spline can be, whatever its parameters, and so
# what a round trip can lose to rounding: 1e-10 in float64 with 8 bins.
MIN_BIN = 0.1  # the smallest bin, as a share of an even one
LOG_DERIVATIVE_BOUND = log(20)  # at the knots


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
        raw: unconstrained parameters, (*x.shape, 3K − 1): K widths, K heights, K − 1 derivatives.
        bound: the spline maps [−bound, bound] onto itself and is the identity outside.

    Reference: Durkan, Bekasov, Murray & Papamakarios 2019, "Neural spline flows", eqs. (4)–(5).
    """
    inside = x.clamp(-bound, bound)
    segment = _segment(inside, raw, bound, axis=0)
    slope = segment.height / segment.width
    t = ((inside - segment.x) / segment.width).clamp(0, 1)
    rise, log_derivative = _curve(t, slope, segment)
    return _with_tails(x, segment.y + segment.height * rise, log_derivative, bound)


def spline_inverse(y: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """x and log dx/dy, each of the shape of y; arguments as in `spline_forward`.

    Of the two forms of the root the one is taken that does not cancel, with the discriminant
    clamped at 0, so rounding can neither spoil it nor make it fail (eqs. 6–8).
    """
    inside = y.clamp(-bound, bound)
    segment = _segment(inside, raw, bound, axis=1)
    slope = segment.height / segment.width
    curvature = segment.left + segment.right - 2 * slope
    rise = inside - segment.y
    b = segment.height * segment.left - rise * curvature
    a = segment.height * slope - b
    c = -slope * rise
    root = (b * b - 4 * a * c).clamp(min=torch.finfo(y.dtype).tiny).sqrt()
    # a > 0 where b < 0, so neither quotient divides by 0.
    positive = b >= 0
    t = torch.where(positive, -2 * c, root - b) / torch.where(positive, root + b, 2 * a)
    t = t.clamp(0, 1)
    log_derivative = _curve(t, slope, segment)[1]
    return _with_tails(y, segment.x + t * segment.width, -log_derivative, bound)


def _curve(t: Tensor, slope: Tensor, segment: Segment) -> tuple[Tensor, Tensor]:
    """Share of the bin's height reached at the share t of its width, and log dy/dx there."""
    product = t * (1 - t)
    square = t * t
    denominator = slope + (segment.left + segment.right - 2 * slope) * product
    rise = (slope * square + segment.left * product) / denominator
    numerator = segment.right * square + 2 * slope * product + segment.left * (1 - t) ** 2
    return rise, ((slope / denominator) ** 2 * numerator).log()


def _segment(value: Tensor, raw: Tensor, bound: float, axis: int) -> Segment:
    """The bin of each value, found along x (axis 0) or y (axis 1)."""
    n_bins = (raw.shape[-1] + 1) // 3
    shares = raw[..., : 2 * n_bins].unflatten(-1, (2, n_bins)).softmax(dim=-1)
    sizes = MIN_BIN / n_bins + (1 - MIN_BIN) * shares[..., :-1]
    inner = 2 * bound * sizes.cumsum(dim=-1) - bound
    # The outer knots are set, not summed: rounding must not leave a gap at the bound.
    edge = inner.new_full((1,), bound).expand(*inner.shape[:-1], 1)
    derivatives = bounded_exp(raw[..., 2 * n_bins :], LOG_DERIVATIVE_BOUND)
    knots = torch.cat([-edge, inner, edge], dim=-1)
    table = torch.cat([knots, pad(derivatives, (1, 1), value=1.0).unsqueeze(-2)], dim=-2)
    index = (value.unsqueeze(-1) >= inner[..., axis, :]).sum(dim=-1)
    ends = torch.stack([index, index + 1], dim=-1).unsqueeze(-2)
    left, right = table.gather(-1, ends.expand(*table.shape[:-1], 2)).unbind(dim=-1)
    (x, y, left_slope), (x_end, y_end, right_slope) = left.unbind(dim=-1), right.unbind(dim=-1)
    return Segment(x, y, x_end - x, y_end - y, left_slope, right_slope)


def _with_tails(
    value: Tensor, mapped: Tensor, log_derivative: Tensor, bound: float
) -> tuple[Tensor, Tensor]:
    outside = value.abs() >= bound
    return (
        torch.where(outside, value, mapped),
        torch.where(outside, torch.zeros_like(value), log_derivative),
    )
