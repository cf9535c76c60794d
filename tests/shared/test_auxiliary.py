"""Laws of reading u: any form of the same u encodes the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time
from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given

from identiflow.shared.auxiliary import (
    AuxiliaryEncoder,
    Columns,
    Continuous,
    Fourier,
    History,
    Labels,
    Mixed,
    TimeSegments,
    read_auxiliary,
)
from identiflow.shared.auxiliary.reading import as_continuous

CODES = np.array([0, 1, 2, 1, 0, 2, 2, 1])
NAMES = ["ada", "ben", "cy"]
VALUES = np.array([[0.5, 2.0], [1.5, -1.0], [0.0, 0.0], [3.0, 1.0]] * 2) ** 3
X = np.arange(16.0).reshape(8, 2)


def encoded(u: Any, x: np.ndarray = X) -> tuple[AuxiliaryEncoder, torch.Tensor]:
    columns = read_auxiliary(u, x)
    encoder = AuxiliaryEncoder.fit(columns)
    return encoder, encoder.encode(columns)


def words() -> list[str]:
    return [NAMES[code] for code in CODES]


# Every one of these is the same three labels in the same rows.
LABELS: dict[str, Callable[[], Any]] = {
    **{kind: lambda kind=kind: CODES.astype(kind) for kind in ("i1", "i4", "i8", "u1", "u8")},
    "list": lambda: CODES.tolist(),
    "column": lambda: CODES[:, None],
    "torch": lambda: torch.from_numpy(CODES),
    "torch, with gradient": lambda: Labels(torch.tensor(CODES.astype(float), requires_grad=True)),
    "strings": words,
    "string array": lambda: np.array(words()),
    "bytes": lambda: np.array(words(), dtype=bytes),
    "objects": lambda: np.array(words(), dtype=object),
    "days": lambda: np.array(["2020-01-01"], dtype="M8[D]") + CODES,
    "dates": lambda: [date(2020, 1, 1 + code) for code in CODES],
    "floats said to be labels": lambda: Labels(CODES / 3),
    "huge": lambda: CODES + np.int64(2**63 - 3),
    "huge, unsigned": lambda: (CODES + 2**62).astype("u8"),
    "negative": lambda: (CODES - 2) * 2**61,
    "one-hot": lambda: np.eye(3, dtype=int)[2 - CODES],
    "one-hot, Boolean": lambda: np.eye(3, dtype=bool)[2 - CODES],
    "joint": lambda: np.stack([CODES // 2, CODES % 2], axis=1),
    "joint, list": lambda: [
        [int(late), name] for late, name in zip(CODES > 0, words(), strict=True)
    ],
    "series": lambda: pd.Series(CODES),
    "series of strings": lambda: pd.Series(words()),
    "series, categorical": lambda: pd.Series(words(), dtype="category"),
    "series, nullable": lambda: pd.Series(CODES, dtype="Int64"),
    "series of times": lambda: pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(CODES, "D")),
    "frame": lambda: pd.DataFrame({"name": words()}),
    "frame of several": lambda: pd.DataFrame({"late": CODES > 0, "name": words()}),
    "frame, twice one name": lambda: pd.DataFrame(np.c_[CODES, CODES], columns=["a", "a"]),
}


@pytest.mark.parametrize("form", LABELS)
def test_labels_are_labels_in_any_form(form):
    encoder, codes = encoded(LABELS[form]())
    assert encoder.n_labels == 3 and encoder.aux_dim is None
    assert codes.dtype == torch.int64
    assert codes.tolist() == CODES.tolist()


CONTINUOUS: dict[str, Callable[[], Any]] = {
    "float64": lambda: VALUES,
    "float32": lambda: VALUES.astype("f4"),
    "list": lambda: VALUES.tolist(),
    "torch": lambda: torch.tensor(VALUES, requires_grad=True),
    "integers said to be continuous": lambda: Continuous((8 * VALUES).astype(int)),
    "frame": lambda: pd.DataFrame(VALUES),
    "frame, nullable": lambda: pd.DataFrame(VALUES).astype("Float64"),
    "Fortran order": lambda: np.asfortranarray(VALUES),
}


@pytest.mark.parametrize("form", CONTINUOUS)
def test_continuous_values_are_standardised_in_any_form(form):
    encoder, codes = encoded(CONTINUOUS[form]())
    assert encoder.n_labels is None and encoder.aux_dim == 2
    expected = (VALUES - VALUES.mean(0)) / VALUES.std(0)
    np.testing.assert_allclose(codes, expected, atol=1e-6)


ONE_COLUMN: dict[str, Callable[[], Any]] = {
    "array": lambda: VALUES[:, 0],
    "series": lambda: pd.Series(VALUES[:, 0]),
    "series, nullable": lambda: pd.Series(VALUES[:, 0], dtype="Float64"),
    "list": lambda: VALUES[:, 0].tolist(),
    "column": lambda: VALUES[:, :1],
}


def test_rows_that_are_not_trained_on_have_no_part_in_the_scale_of_u():
    train = torch.tensor([0, 2, 4, 5])
    encoder = AuxiliaryEncoder.fit(read_auxiliary(VALUES, X), train)
    rows = encoder.encode(encoder.read(VALUES, X))[train].numpy()
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(0), 1)


@pytest.mark.parametrize("form", ONE_COLUMN)
def test_one_continuous_value_has_a_column_of_its_own(form):
    encoder, codes = encoded(ONE_COLUMN[form]())
    assert encoder.aux_dim == 1 and codes.shape == (8, 1)


MIXED: dict[str, Callable[[], Any]] = {
    "Mixed": lambda: Mixed(words(), VALUES),
    "Mixed, with series": lambda: Mixed(pd.Series(CODES), pd.DataFrame(VALUES)),
    "frame": lambda: pd.DataFrame({"a": VALUES[:, 0], "who": words(), "b": VALUES[:, 1]}),
    "frame, integer label": lambda: pd.DataFrame(VALUES).assign(who=CODES),
}


@pytest.mark.parametrize("form", MIXED)
def test_mixed_u_has_its_code_first(form):
    encoder, codes = encoded(MIXED[form]())
    assert encoder.n_labels == 3 and encoder.aux_dim == 2
    assert codes.dtype == torch.float64 and codes.shape == (8, 3)
    assert codes[:, 0].tolist() == CODES.tolist()
    np.testing.assert_allclose(codes[:, 1:].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(codes[:, 1:].std(0, correction=0), 1, atol=1e-12)


def test_booleans_are_two_labels():
    assert encoded(CODES > 0)[1].tolist() == (CODES > 0).astype(int).tolist()


def test_floats_that_look_like_labels_are_continuous():
    encoder, codes = encoded(np.eye(3)[CODES])
    assert encoder.n_labels is None and codes.shape == (8, 3)


@pytest.mark.parametrize("fitted_on, given", list(product(["i4", "i8", "u1"], repeat=2)))
def test_integers_of_any_width_are_the_same_labels(fitted_on, given):
    encoder, _ = encoded(CODES.astype(fitted_on))
    assert encoder.encode(read_auxiliary(CODES.astype(given), X)).tolist() == CODES.tolist()


def test_numbers_and_their_names_are_the_same_labels():
    fitted_on = np.array([10, 9, 101])[CODES]
    for u, v in product([fitted_on, fitted_on.astype(str)], repeat=2):
        encoder, codes = encoded(u)
        assert torch.equal(encoder.encode(read_auxiliary(v, X)), codes)


def test_constant_columns_of_several_are_left_alone():
    encoder, codes = encoded(np.c_[VALUES[:, 0], np.full(8, 0.1)])
    assert codes[:, 1].abs().max() < 1e-9


@given(st.lists(st.tuples(*[st.text("a,\\ ", max_size=3)] * 2), min_size=2, max_size=6))
def test_joint_labels_are_one_to_one_with_the_combinations(rows):
    labels = read_auxiliary(np.array(rows, dtype=object), np.zeros((len(rows), 1))).labels
    assert len(set(labels.tolist())) == len(set(rows))


@pytest.mark.filterwarnings("ignore:The label .* of u may be a missing value")
@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.booleans()), min_size=2))
def test_codes_number_the_sorted_labels(labels):
    if len(set(labels)) < 2:
        return
    _, codes = encoded(labels, np.zeros((len(labels), 1)))
    different = sorted({int(label) for label in labels})
    assert codes.tolist() == [different.index(int(label)) for label in labels]


# Time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows, n", [(10, 2), (10, 3), (10, 10), (1000, 7)])
def test_time_segments_are_equal_stretches_in_order(n_rows, n):
    segment = read_auxiliary(TimeSegments(n), np.zeros((n_rows, 1))).labels
    assert (np.diff(segment) >= 0).all() and sorted(set(segment)) == list(range(n))
    sizes = np.bincount(segment)
    assert sizes.max() - sizes.min() <= 1


def slow_history(x: np.ndarray, series: list[Any], lags: int) -> np.ndarray:
    """Row by row: the rows before it in its stretch of the series, as far as there are any."""
    rows = []
    for t in range(len(x)):
        start = t
        while start > 0 and series[start - 1] == series[t]:
            start -= 1
        rows.append(np.concatenate([x[max(t - lag, start)] for lag in range(1, lags + 1)]))
    return np.array(rows)


SERIES: dict[str, Any] = {
    "one": None,
    "two": [0, 0, 0, 0, 0, 1, 1, 1],
    "names": list("aabbbbcc"),
    "of one row": [0, 0, 1, 2, 2, 2, 2, 3],
    "pandas": pd.Series(list("aabbbbcc")),
    "torch": torch.tensor([0, 0, 1, 2, 2, 2, 2, 3]),
}


@pytest.mark.parametrize("lags", [1, 2, 5])
@pytest.mark.parametrize("name", SERIES)
def test_history_is_the_past_of_its_own_series(name, lags):
    series = SERIES[name]
    _, past, _, incomplete, *_ = read_auxiliary(History(lags, series), X)
    series_of = [0] * 8 if series is None else list(series)
    expected = slow_history(X, series_of, lags)
    assert incomplete.tolist() == [
        t < lags or series_of[t - lags] != series_of[t] for t in range(8)
    ]
    expected[incomplete] = expected[[incomplete.all()] * 8 | ~incomplete].mean(0)
    np.testing.assert_allclose(past, expected, rtol=1e-12)
    frame = pd.DataFrame(X, index=range(5, 13))
    np.testing.assert_array_equal(History(lags, series).columns(frame).continuous, past)
    if not incomplete.all():
        encoder, codes = encoded(History(lags, series))
        assert encoder.aux_dim == 2 * lags and codes.shape == (8, 2 * lags)


def test_fourier_features_come_back_after_a_period_and_are_orthogonal():
    hours = np.arange(48.0)
    past = read_auxiliary(Fourier(hours, period=24, harmonics=3), np.zeros((48, 1))).continuous
    assert past.shape == (48, 6)
    np.testing.assert_allclose(past[:24], past[24:], atol=1e-12)
    np.testing.assert_allclose(past.T @ past, 24 * np.eye(6), atol=1e-9)
    np.testing.assert_allclose(past[6], [1, 0, -1, 0, -1, 0], atol=1e-12)  # a quarter of a period


def test_times_of_day_are_durations_since_midnight():
    times = [time(hour, 30) for hour in range(24)]
    hours, x = np.arange(24) + 0.5, np.zeros((24, 1))
    waves = read_auxiliary(Fourier(times, pd.Timedelta("24h")), x).continuous
    np.testing.assert_allclose(waves, read_auxiliary(Fourier(hours, 24), x).continuous, atol=1e-9)
    seconds = read_auxiliary(Continuous(times), x).continuous[:, 0] / 1e9
    np.testing.assert_allclose(seconds, hours * 3600)
    assert read_auxiliary(times, x).labels[0] == "00:30:00"


def test_periods_are_the_moments_of_their_beginning():
    periods = pd.period_range("2024-01-31", periods=8, freq="D")
    days = as_continuous(periods.to_timestamp().to_numpy())
    for values in (periods, pd.Series(periods), list(periods)):
        read = read_auxiliary(Continuous(values), X)
        np.testing.assert_array_equal(read.continuous, days)
    assert read_auxiliary(Fourier(periods, pd.Timedelta("7D")), X).continuous.shape == (8, 8)


def test_fourier_features_of_several_columns_keep_each_apart():
    both = read_auxiliary(Fourier(VALUES, period=5), X).continuous
    parts = [read_auxiliary(Fourier(column, period=5), X).continuous for column in VALUES.T]
    np.testing.assert_array_equal(both, np.concatenate(parts, axis=1))


def test_reading_leaves_the_arguments_alone():
    frame = pd.DataFrame({"a": VALUES[:, 0], "who": words()})
    before = frame.copy()
    encoded(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert isinstance(read_auxiliary(frame, X), Columns)


def test_labels_of_several_columns_keep_every_digit():
    large = np.arange(2**60, 2**60 + 4, dtype=np.uint64)
    frame = pd.DataFrame({"a": np.array([1, 1, 2, 2]), "b": large})
    expected = [f"{a}, {b}" for a, b in zip([1, 1, 2, 2], large, strict=True)]
    for u in (frame, Labels(frame)):
        assert read_auxiliary(u, np.zeros((4, 1))).labels.tolist() == expected
