"""What is one number but for rounding is one, in u and in x, and not scaled up to differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from identiflow.shared.auxiliary import (
    AuxiliaryEncoder,
    Continuous,
    Fourier,
    Mixed,
    read_auxiliary,
)
from identiflow.shared.identifiability import check_conditions
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.shared.inputs.validation import check_varying
from identiflow.shared.priors import GaussianPrior

N = 60
X = np.random.default_rng(0).standard_normal((N, 2))
CODES = np.arange(N) % 3
DAY = pd.Timedelta("24h")

SHARES = np.random.default_rng(1).dirichlet(np.ones(100), N)
ROUNDED: dict[str, np.ndarray] = {  # values of one number, as sums and products round it
    "shares": SHARES.sum(1),
    "shares, one by one": SHARES.cumsum(1)[:, -1],
    "shares of single precision": SHARES.astype("f4").sum(1),
    "there and back": 0.1 + np.arange(N) % 7 - np.arange(N) % 7,
    "far from 0": 1e9 * SHARES.sum(1) + 0.1,
    "below 0": -3.7 * SHARES.sum(1),
}


@pytest.fixture
def fitted() -> Callable[[Any], AuxiliaryEncoder]:
    return lambda u: AuxiliaryEncoder.fit(read_auxiliary(u, X))


@pytest.mark.parametrize("way", ROUNDED)
def test_a_constant_is_one_however_it_is_rounded(
    fitted: Callable[[Any], AuxiliaryEncoder], way: str
) -> None:
    assert len(np.unique(ROUNDED[way])) > 1
    for u in (ROUNDED[way], Continuous(ROUNDED[way]), np.c_[ROUNDED[way], np.ones(N)]):
        with pytest.raises(ValueError, match="u with at least 2 different values; got only"):
            fitted(u)


@pytest.mark.parametrize("way", ROUNDED)
def test_beside_others_a_constant_says_nothing(
    fitted: Callable[[Any], AuxiliaryEncoder], way: str
) -> None:
    total = ROUNDED[way]
    encoder = fitted(Mixed(CODES, total))
    codes = encoder.encode(encoder.read(Mixed(CODES, total), X)).numpy()
    assert len(np.unique(codes, axis=0)) == 3
    assert np.abs(codes[:, 1]).max() < 1e-5 * np.abs(total).max()
    with pytest.warns(InputWarning, match="beyond what fit saw in 60 of 60 rows"):
        later = encoder.encode(encoder.read(Mixed(CODES, total * 2), X))
    np.testing.assert_array_equal(later, codes)


@given(
    st.floats(-1e6, 1e6).filter(lambda v: abs(v) > 1e-3),
    st.lists(st.integers(-15, 15), min_size=N, max_size=N),
)
def test_last_digits_do_not_make_a_value_another(value: float, steps: list[int]) -> None:
    u = value + np.array(steps) * np.spacing(value)
    columns = read_auxiliary(Mixed(CODES, Continuous(u)), X)
    codes = AuxiliaryEncoder.fit(columns).encode(columns).numpy()
    assert len(np.unique(codes, axis=0)) == 3


@given(st.floats(1e-3, 1e6), st.floats(1e-6, 1.0))
def test_what_differs_by_more_is_scaled(value: float, share: float) -> None:
    u = value * (1 + share * np.linspace(0, 1, N))
    encoder = AuxiliaryEncoder.fit(read_auxiliary(Continuous(u), X))
    if np.abs(np.float32(u) - u).max() > 0:  # of single precision it is little
        np.testing.assert_allclose(encoder.scale, u.std(), rtol=1e-12)


@pytest.mark.parametrize("way", ROUNDED)
def test_a_constant_column_of_x_is_refused_however_it_is_rounded(way: str, tmp_path: Path) -> None:
    x = np.c_[X, ROUNDED[way]]
    stored = np.memmap(tmp_path / "x", mode="w+", shape=x.shape, dtype=float)
    stored[:] = x
    for rows in (x, stored):
        with pytest.raises(ValueError, match=r"constant column\(s\) \[2\] \(but for rounding\)"):
            check_varying(rows)
    check_varying(np.c_[X, 1e9 + np.arange(N)])
    check_varying(np.c_[X, 1e6 + 0.01 * X])


# Numbers far from 0 whose last digits are measured, which single precision holds as well.
MEASURED: dict[str, np.ndarray] = {
    "Julian dates": 2459000.5 + np.random.default_rng(0).integers(0, 20, N) / 4,
    "dates of MATLAB": 738000 + np.random.default_rng(0).integers(0, 40, N) / 8,
    "half metres": np.round((5412345 + 2 * np.random.default_rng(0).standard_normal(N)) * 2) / 2,
    "pascals": (101325 + 0.07 * np.random.default_rng(0).standard_normal(N)).astype("f4"),
    "an offset": (1e6 + np.random.default_rng(0).standard_normal(N)).astype("f4"),
}


@pytest.mark.parametrize("way", MEASURED)
def test_last_digits_that_are_measured_are_no_rounding(
    fitted: Callable[[Any], AuxiliaryEncoder], way: str
) -> None:
    values = MEASURED[way].astype(float)
    check_varying(np.c_[X, values])
    assert fitted(Continuous(values)).scale == pytest.approx([values.std()], rel=1e-6)


# Waves ------------------------------------------------------------------------------------------

# From one row to the next, and how many rows are a period.
STEPS = {f"{24 // n}h, {n} a day": (pd.Timedelta(24 / n, "h"), n) for n in (1, 2, 3, 4, 6, 8)}
STARTS = ["2020-01-01", "2023-06-05 06:17:03.123456789", "1931-02-03 22:00"]


def waves(values: Any, period: Any, harmonics: int = 4) -> np.ndarray:
    columns = read_auxiliary(Fourier(values, period, harmonics), X)
    assert columns.continuous is not None
    return columns.continuous


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("periods", [1, 7, 3653])
def test_a_period_later_a_moment_is_the_same_wave(start: str, step: str, periods: int) -> None:
    length, n = STEPS[step]
    when = pd.date_range(start, periods=N, freq=length)
    got = waves(when, DAY)
    assert len(np.unique(got, axis=0)) == n
    np.testing.assert_array_equal(waves(when + periods * DAY, DAY), got)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s", "h"])
def test_waves_have_no_scale_of_rounding(
    fitted: Callable[[Any], AuxiliaryEncoder], step: str, unit: str
) -> None:
    length, n = STEPS[step]
    when = pd.date_range("2020-01-01", periods=N, freq=length).to_numpy().astype(f"M8[{unit}]")
    hours = np.arange(N) * 24.0 / n
    for u in (Fourier(when, DAY), Fourier(hours, 24), Fourier(hours / 24 * 0.1, 0.1)):
        if n == 1:
            with pytest.raises(ValueError, match="at least 2 different values"):
                fitted(u)
            continue
        encoder = fitted(u)
        np.testing.assert_allclose(encoder.scale, fitted(Fourier(hours, 24)).scale, atol=1e-8)
        codes = encoder.encode(encoder.read(u, X))
        assert check_conditions(GaussianPrior(2, aux_dim=8).double(), codes).n_values == n


@given(st.integers(1, 9), st.sampled_from([0.1, 0.3, 1 / 3, 7.0, 365.25, 1e-3]), st.integers(0, 99))
def test_waves_of_numbers_are_as_many_as_phases(n: int, period: float, first: int) -> None:
    values = (first / 100 + np.arange(N) / n) * period
    encoder = AuxiliaryEncoder.fit(
        columns := read_auxiliary(Mixed(CODES, Fourier(values, period)), X)
    )
    scale = np.asarray(encoder.scale)
    assert (scale > 1e-3).all()
    codes = encoder.encode(columns)
    assert (
        check_conditions(GaussianPrior(2, n_labels=3, aux_dim=8).double(), codes).n_values <= 3 * n
    )


def test_a_wave_that_fit_saw_one_value_of_is_held(
    fitted: Callable[[Any], AuxiliaryEncoder],
) -> None:
    every_six = pd.date_range("2020-01-01", periods=N, freq="6h")
    encoder = fitted(Fourier(every_six, DAY))
    expected = encoder.encode(encoder.read(Fourier(every_six, DAY), X))
    between = Fourier(every_six + pd.Timedelta("3h"), DAY)
    with pytest.warns(InputWarning, match="in column 1 that was 0 to 0, here it is -1 to 1"):
        got = encoder.encode(encoder.read(between, X))
    np.testing.assert_array_equal(got[:, 1], expected[:, 1])
    assert not np.allclose(got[:, 0], expected[:, 0])
