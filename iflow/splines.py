"""The monotone rational-quadratic spline with linear tails (Durkan et al. 2019).

No boolean masks and no data-dependent shapes, so that it works under vmap and compilation: inputs
are clamped into the spline's domain first, and the tails are put back with `torch.where`. Values
and gradients are therefore finite wherever x is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

MIN_BIN = 1e-3
MIN_DERIVATIVE = 1e-3
# softplus(raw + OFFSET) + MIN_DERIVATIVE = 1 at raw = 0: zero parameters are the identity.
_DERIVATIVE_OFFSET = math.log(math.expm1(1 - MIN_DERIVATIVE))


class Segment(NamedTuple):
    """The bin an input falls in: left knot (x, y), size, slope and end derivatives, each (...)."""

    x: Tensor
    width: Tensor
    y: Tensor
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
    knots = _knots(raw, bound)
    segment = _locate(inside, knots[0], knots)
    slope = segment.height / segment.width
    t = ((inside - segment.x) / segment.width).clamp(0, 1)
    product = t * (1 - t)
    curvature = segment.left + segment.right - 2 * slope
    denominator = slope + curvature * product
    y = segment.y + segment.height * (slope * t * t + segment.left * product) / denominator
    log_derivative = _log_derivative(segment, slope, t, product, denominator)
    return _with_tails(x, y, log_derivative, bound)


def spline_inverse(y: Tensor, raw: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """x and log dx/dy, each of the shape of y; arguments as in `spline_forward`.

    The root of the quadratic is taken in the form that does not cancel, with the discriminant
    clamped at 0, so rounding can not make it fail (eqs. 6–8).
    """
    inside = y.clamp(-bound, bound)
    knots = _knots(raw, bound)
    segment = _locate(inside, knots[1], knots)
    slope = segment.height / segment.width
    curvature = segment.left + segment.right - 2 * slope
    rise = inside - segment.y
    a = segment.height * (slope - segment.left) + rise * curvature
    b = segment.height * segment.left - rise * curvature
    c = -slope * rise
    root = (b * b - 4 * a * c).clamp(min=torch.finfo(y.dtype).tiny).sqrt()
    t = (2 * c / (-b - root)).clamp(0, 1)
    x = segment.x + t * segment.width
    product = t * (1 - t)
    denominator = slope + curvature * product
    log_derivative = _log_derivative(segment, slope, t, product, denominator)
    return _with_tails(y, x, -log_derivative, bound)


def _knots(raw: Tensor, bound: float) -> tuple[Tensor, Tensor, Tensor]:
    """Knots x and y and the derivatives at them, (..., K + 1) each."""
    n_bins = (raw.shape[-1] + 1) // 3
    widths, heights, derivatives = raw.split([n_bins, n_bins, n_bins - 1], dim=-1)
    derivatives = MIN_DERIVATIVE + softplus(derivatives + _DERIVATIVE_OFFSET)
    return (
        _positions(widths, bound),
        _positions(heights, bound),
        pad(derivatives, (1, 1), value=1.0),
    )


def _positions(raw: Tensor, bound: float) -> Tensor:
    n_bins = raw.shape[-1]
    sizes = MIN_BIN + (1 - MIN_BIN * n_bins) * raw.softmax(dim=-1)
    # The last knot is set, not summed: rounding must not leave a gap at the bound.
    inner = 2 * bound * sizes[..., :-1].cumsum(dim=-1) - bound
    left = torch.full_like(raw[..., :1], -bound)
    return torch.cat([left, inner, -left], dim=-1)


def _locate(value: Tensor, edges: Tensor, knots: tuple[Tensor, Tensor, Tensor]) -> Segment:
    x, y, derivative = knots
    index = (value.unsqueeze(-1) >= edges[..., 1:-1]).sum(dim=-1, keepdim=True)

    def at(table: Tensor, offset: int) -> Tensor:
        return table.gather(-1, index + offset).squeeze(-1)

    left_x, left_y = at(x, 0), at(y, 0)
    return Segment(
        left_x, at(x, 1) - left_x, left_y, at(y, 1) - left_y, at(derivative, 0), at(derivative, 1)
    )


def _log_derivative(
    segment: Segment, slope: Tensor, t: Tensor, product: Tensor, denominator: Tensor
) -> Tensor:
    numerator = segment.right * t * t + 2 * slope * product + segment.left * (1 - t) ** 2
    return 2 * (slope.log() - denominator.log()) + numerator.log()


def _with_tails(
    value: Tensor, mapped: Tensor, log_derivative: Tensor, bound: float
) -> tuple[Tensor, Tensor]:
    outside = value.abs() >= bound
    return (
        torch.where(outside, value, mapped),
        torch.where(outside, torch.zeros_like(value), log_derivative),
    )
