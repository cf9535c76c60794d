"""Laws of the rational-quadratic spline, with parameters far beyond what training gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import softmax
from torch import Tensor
from torch.func import grad, vmap

from identiflow.iflow.elements import LOG_DERIVATIVE_BOUND, MIN_BIN, spline_forward, spline_inverse

BOUND = 5.0
DOUBLE = torch.float64
N_BINS = (2, 8, 32)
SIZES = (1.0, 10.0, 100.0)

DIRECTIONS = {
    "x → y": (spline_forward, spline_inverse),
    "y → x": (spline_inverse, spline_forward),
}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(
    n_bins: int, size: float, rows: int = 2000, dtype: torch.dtype = DOUBLE
) -> tuple[Tensor, Tensor]:
    """Inputs in the domain, four of them at its bound, and size · N(0, 1) parameters."""
    raw = size * torch.randn(rows, 3 * n_bins - 1, generator=rng(1), dtype=DOUBLE).T
    x = BOUND * (2 * torch.rand(rows, generator=rng(2), dtype=DOUBLE) - 1)
    x[:4] = torch.tensor([-BOUND, BOUND, -BOUND * (1 - 1e-15), BOUND * (1 - 1e-15)])
    return x.to(dtype), raw.to(dtype)


def slow_spline(x: float, raw: np.ndarray) -> tuple[float, float]:
    """y and log dy/dx by equations (4) and (5) of Durkan et al. 2019, one number at a time."""
    K = (len(raw) + 1) // 3
    xs, ys = (
        2 * BOUND * np.r_[0, np.cumsum(MIN_BIN / K + (1 - MIN_BIN) * softmax(part))] - BOUND
        for part in (raw[:K], raw[K : 2 * K])
    )
    d = np.exp(LOG_DERIVATIVE_BOUND * np.tanh(np.r_[0, raw[2 * K :], 0] / LOG_DERIVATIVE_BOUND))
    k = np.clip(np.searchsorted(xs, x, side="right") - 1, 0, K - 1)
    s, t = (ys[k + 1] - ys[k]) / (xs[k + 1] - xs[k]), (x - xs[k]) / (xs[k + 1] - xs[k])
    bottom = s + (d[k + 1] + d[k] - 2 * s) * t * (1 - t)
    y = ys[k] + (ys[k + 1] - ys[k]) * (s * t**2 + d[k] * t * (1 - t)) / bottom
    top = s**2 * (d[k + 1] * t**2 + 2 * s * t * (1 - t) + d[k] * (1 - t) ** 2)
    return y, np.log(top / bottom**2)


@pytest.mark.parametrize("n_bins", N_BINS)
@pytest.mark.parametrize("size", [1.0, 5.0])
def test_it_is_the_published_formula(n_bins: int, size: float) -> None:
    x, raw = draw(n_bins, size, rows=40)
    y, log_derivative = spline_forward(x, raw, BOUND)
    pairs = [slow_spline(*row) for row in zip(x.numpy()[4:], raw.T.numpy()[4:], strict=True)]
    expected = torch.tensor(np.array(pairs), dtype=DOUBLE)
    torch.testing.assert_close(torch.stack([y, log_derivative], 1)[4:], expected)
    back = spline_inverse(x, raw, BOUND)[0].numpy()[4:]
    for value, row, got in zip(x.numpy()[4:], raw.T.numpy()[4:], back, strict=True):
        root = brentq(lambda v, r=row, y=value: slow_spline(v, r)[0] - y, -BOUND, BOUND, xtol=1e-14)
        assert abs(root - got) < 1e-8


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_zero_parameters_are_the_identity(direction: str) -> None:
    x = torch.linspace(-7, 7, 57, dtype=DOUBLE)
    y, log_derivative = DIRECTIONS[direction][0](x, torch.zeros(23, 57, dtype=DOUBLE), BOUND)
    torch.testing.assert_close(y, x, rtol=0, atol=1e-14)
    torch.testing.assert_close(log_derivative, torch.zeros_like(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n_bins", N_BINS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_round_trip_is_exact_whatever_the_parameters(
    direction: str, n_bins: int, size: float
) -> None:
    there, back = DIRECTIONS[direction]
    x, raw = draw(n_bins, size)
    y, log_derivative = there(x, raw, BOUND)
    again, negative = back(y, raw, BOUND)
    assert (again - x).abs().max() <= 1e-9
    torch.testing.assert_close(log_derivative, -negative, rtol=0, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n_bins", N_BINS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_round_trip_loses_no_more_than_rounding_y_must(
    direction: str, n_bins: int, size: float, dtype: torch.dtype
) -> None:
    """An error of eps · bound in y moves x by dx/dy times that; a root that cancels loses more."""
    there, back = DIRECTIONS[direction]
    x, raw = draw(n_bins, size, dtype=dtype)
    y, log_derivative = there(x, raw, BOUND)
    must = torch.finfo(dtype).eps * BOUND * (1 + (-log_derivative).exp())
    assert ((back(y, raw, BOUND)[0] - x).abs() / must).max() <= 20


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n_bins", N_BINS)
def test_slopes_stay_within_limits_whatever_the_parameters(n_bins: int, size: float) -> None:
    x, raw = draw(n_bins, size)
    _, log_derivative = spline_forward(x, raw, BOUND)
    steepest = n_bins / MIN_BIN
    # In a bin of slope s, between ends of slope D and less, the flattest place has about s² / D.
    flattest = 0.5 * steepest**-2 / np.exp(LOG_DERIVATIVE_BOUND)
    assert log_derivative.exp().max() <= 2 * steepest
    assert log_derivative.exp().min() >= flattest
    assert log_derivative.std() > 0.1


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_it_rises_from_bound_to_bound_without_a_jump(direction: str, size: float) -> None:
    raw = draw(8, size, rows=20)[1][..., None].expand(-1, -1, 4001)
    x = torch.linspace(-BOUND, BOUND, 4001, dtype=DOUBLE).expand(20, -1)
    y, log_derivative = DIRECTIONS[direction][0](x, raw, BOUND)
    steps = y.diff()
    assert (steps > 0).all() and y.abs().max() == BOUND
    # No step is longer than the steepest slope at its ends allows, with room for its middle.
    steepest = torch.maximum(log_derivative[:, :-1], log_derivative[:, 1:]).exp()
    assert (steps <= 40 * steepest * (x[0, 1] - x[0, 0])).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_it_is_the_identity_from_the_bound_on(direction: str) -> None:
    x = torch.tensor([BOUND, np.nextafter(BOUND, 6), 1e4, 1e300], dtype=DOUBLE)
    x = torch.cat([x, -x])
    raw = draw(8, 10.0, rows=8)[1]
    y, log_derivative = DIRECTIONS[direction][0](x, raw, BOUND)
    assert torch.equal(y, x) and not log_derivative.any()


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", [1.0, 10.0])
def test_log_derivative_is_autodiffs(direction: str, size: float) -> None:
    x, raw = draw(8, size)
    mapping = DIRECTIONS[direction][0]
    derivative = vmap(grad(lambda value, row: mapping(value, row, BOUND)[0]), in_dims=(0, 1))(
        x, raw
    )
    torch.testing.assert_close(mapping(x, raw, BOUND)[1], derivative.log(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradients_are_those_of_finite_differences(direction: str) -> None:
    x, raw = draw(4, 1.0, rows=30)
    inputs = (x[4:].requires_grad_(), raw[:, 4:].requires_grad_())
    torch.autograd.gradcheck(lambda a, b: DIRECTIONS[direction][0](a, b, BOUND), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("size", [*SIZES, 1e4])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_values_and_gradients_are_finite_everywhere(
    direction: str, size: float, dtype: torch.dtype
) -> None:
    x, raw = draw(8, size, dtype=dtype)
    x[4:8] = torch.tensor([1e4, -1e4, np.nextafter(BOUND, 6), -BOUND])
    x.requires_grad_()
    raw.requires_grad_()
    y, log_derivative = DIRECTIONS[direction][0](x, raw, BOUND)
    (y.sum() + log_derivative.sum()).backward()
    for tensor in (y, log_derivative, x.grad, raw.grad):
        assert tensor.dtype == dtype and tensor.isfinite().all()
