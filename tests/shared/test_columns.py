"""Codes for missing cells and counts of the rows are remarked on, and measurements are not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from identiflow.shared.inputs.columns import CODES, codes, steps_of_digits
from identiflow.shared.inputs.density import counts_of_rows, remark_unmeasured
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.shared.inputs.rows import Observed

N = 40
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 2))
SEEDS = st.integers(0, 2**32 - 1)
MEASURED = {
    "normal": lambda rng: rng.standard_normal(N),
    "ages": lambda rng: rng.integers(18, 100, N).astype(float),
    "counts": lambda rng: rng.poisson(3, N).astype(float),
    "heavy tails": lambda rng: rng.standard_t(2, N),
    "large": lambda rng: 1e4 * rng.lognormal(size=N),
    "0 or 5": lambda rng: 5.0 * rng.integers(0, 2, N),
    "doses": lambda rng: np.array([0.0, 10, 11, 12])[rng.integers(0, 4, N)],
    "rain": lambda rng: np.maximum(rng.standard_normal(N), 0),
    "bytes": lambda rng: rng.integers(0, 256, N).astype(float),
    "flags": lambda rng: rng.integers(0, 2, N).astype(float),
    "a scale of 1 to 9": lambda rng: rng.integers(1, 10, N).astype(float),
    "per cent": lambda rng: np.round(99 * rng.random(N)),
}
COUNTS = {
    "from 0": np.arange(N),
    "from 1": np.arange(N) + 1,
    "of a clock": 100.0 + 0.02 * np.arange(N),
    "backwards": -3 * np.arange(N),
    "shuffled": RNG.permutation(N) + 1,
}


def said_of(x: np.ndarray, names: list[str] | None = None) -> str:
    return said_of_table(Observed(x, names))


def said_of_table(table: Observed) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        remark_unmeasured(table)
    assert all(issubclass(one.category, InputWarning) for one in caught)
    return " | ".join(str(one.message) for one in caught)


@pytest.mark.parametrize("code", [*CODES[np.abs(CODES) >= 99], 3.4028235e38, -3.40282347e38])
@pytest.mark.parametrize("how_many", [1, 12])
def test_a_code_for_missing_cells_is_named(code: float, how_many: int) -> None:
    x = X.copy()
    x[:how_many, 1] = code
    said = said_of(x, ["a", "b"])
    assert f"the value {code:g} in column 1 ('b') of x" in said
    assert ("row 0 has" in said) == (how_many == 1)


def test_zeros_far_from_all_others_are_named() -> None:
    x = 120 + 5 * X
    x[:2, 0] = 0
    assert "5 % of the rows share the value 0 in column 0" in said_of(x)


def test_several_codes_in_one_column_are_all_named() -> None:
    x = X.copy()
    x[:3, 0], x[3:5, 0], x[9, 1] = -999, 999, -99
    found = [(one.column, one.value, round(one.share * N)) for one in codes(x)]
    assert found == [(0, -999, 3), (0, 999, 2), (1, -99, 1)]


FILLED = [9.969209968386869e36, 9.96921e36, 9.999e20, 1e20, 1e15, -3.4e38, -(2.0**100), -9999.9]
FILLED += [-999.99, -99.9, -32767, -28672, -2147483647, -(2.0**63) + 1, 65535, 4e9, 1e308]


@pytest.mark.parametrize("value", FILLED)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_several_rows_have_far_from_all_others_is_named(value: float, dtype: str) -> None:
    with np.errstate(over="ignore"):
        value = float(np.array(value, dtype=dtype))
    if not np.isfinite(value):
        return
    x = X.copy()
    x[[3, 9, 20], 1] = value
    assert [(one.column, one.value) for one in codes(x.astype(dtype).astype(float))] == [(1, value)]


@given(st.sampled_from(sorted(MEASURED)), SEEDS)
def test_measurements_are_not_taken_for_codes(kind: str, seed: int) -> None:
    values = MEASURED[kind](np.random.default_rng(seed))
    assert list(codes(np.c_[values, values])) == []


@pytest.mark.parametrize("kind", COUNTS)
def test_a_count_of_the_rows_is_named(kind: str) -> None:
    said = said_of(np.c_[X, COUNTS[kind]], ["a", "b", "index"])
    assert said.startswith("Taken for a measurement: column 2 ('index') of x, which counts the row")
    assert counts_of_rows(np.c_[X, COUNTS[kind]]) == [2]


@given(st.sampled_from(sorted(MEASURED)), SEEDS)
def test_measurements_are_not_taken_for_counts(kind: str, seed: int) -> None:
    values = MEASURED[kind](np.random.default_rng(seed))
    assert counts_of_rows(values[:, None]) == []


def test_few_rows_and_constants_count_nothing() -> None:
    assert counts_of_rows(np.arange(9.0)[:, None]) == []
    assert counts_of_rows(np.ones((N, 2))) == []


def test_codes_in_continuous_u_are_named() -> None:
    u = np.linspace(0, 1, N)[:, None]
    u[:3] = -999
    said = said_of_table(Observed(X, continuous=u))
    assert "8 % of the rows share the value -999 in column 0 of u" in said


@pytest.mark.parametrize("value", [9.9e37, 9.91e37, 1.70141e38, 1e15, -1e10, 7999.0, -4096.5])
@pytest.mark.parametrize("rows", [N, 50_000])
def test_one_value_far_beyond_all_others_is_named_in_tables_of_any_size(
    value: float, rows: int
) -> None:
    """As an overload, of which a meter writes a number."""
    x = np.random.default_rng(0).uniform(-1, 1, (rows, 2))
    x[rows // 2, 1] = value
    assert f"row {rows // 2} has the value {value:g} in column 1 of x" in said_of(x)
    u = x[:, 1:]
    said = said_of_table(Observed(x[:, :1], continuous=u))
    assert f"row {rows // 2} has the value {value:g} in column 0 of u" in said


SCALES = {
    "1 to 5": (1, 5),
    "1 to 7": (1, 7),
    "0 to 10": (0, 10),
    "1 to 12": (1, 12),
    "0 and 1": (0, 1),
}


@pytest.mark.parametrize("code", [99, -99, 88, -77, 77, 999, -9])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("how_many", [1, 10])
def test_codes_beside_answers_on_a_scale_are_named(how_many: int, scale: str, code: int) -> None:
    """As questionnaires have them: no answer, and does not apply."""
    low, high = SCALES[scale]
    if scale == "0 and 1" and code == -9:
        return
    x = np.random.default_rng(0).integers(low, high + 1, (200, 2)).astype(float)
    assert list(codes(x)) == []
    x[:how_many, 1] = code
    assert [(one.column, one.value) for one in codes(x)] == [(1, code)]
    other = 88 if code != 88 else 99
    x[20:30, 1] = other
    assert {one.value for one in codes(x)} == {code, other}


@pytest.mark.parametrize("code", [-999.25, -9999.25, 999.25])
def test_codes_of_well_logs_are_named(code: float) -> None:
    x = 75 + 25 * np.random.default_rng(0).standard_normal((300, 2))
    x[::15, 1] = code
    assert f"7 % of the rows share the value {code:g} in column 1" in said_of(x)


DIGITS = st.integers(2, 6)


@given(DIGITS, SEEDS, st.sampled_from(["digits", "half", "bfloat16"]))
def test_numbers_have_the_digits_that_they_were_rounded_to(
    digits: int, seed: int, how: str
) -> None:
    values = np.exp(3 * np.random.default_rng(seed).standard_normal(200)).clip(1e-4, 6e4)
    if how == "digits":
        rounded = np.array([float(f"{value:.{digits}g}") for value in values])
    else:
        dtype = torch.float16 if how == "half" else torch.bfloat16
        rounded = torch.from_numpy(values).to(dtype).double().numpy()
    steps = steps_of_digits(rounded)
    assert (steps > 0).all() and (np.abs(values - rounded) <= 0.51 * steps).all()
    assert not steps_of_digits(values).any()
