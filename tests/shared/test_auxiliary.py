"""Laws of reading u: any form of the same u encodes the same; what cannot be read is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
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
    "resumed": [0, 0, 0, 1, 1, 0, 0, 0],
    "pandas": pd.Series(list("aabbbbcc")),
    "torch": torch.tensor([0, 0, 1, 2, 2, 2, 2, 3]),
}


@pytest.mark.parametrize("lags", [1, 2, 5])
@pytest.mark.parametrize("name", SERIES)
def test_history_is_the_past_of_its_own_series(name, lags):
    series = SERIES[name]
    past = read_auxiliary(History(lags, series), X).continuous
    expected = slow_history(X, [0] * 8 if series is None else list(series), lags)
    np.testing.assert_array_equal(past, expected)
    encoder, codes = encoded(History(lags, series))
    assert encoder.aux_dim == 2 * lags and codes.shape == (8, 2 * lags)


def test_fourier_features_come_back_after_a_period_and_are_orthogonal():
    hours = np.arange(48.0)
    past = read_auxiliary(Fourier(hours, period=24, harmonics=3), np.zeros((48, 1))).continuous
    assert past.shape == (48, 6)
    np.testing.assert_allclose(past[:24], past[24:], atol=1e-12)
    np.testing.assert_allclose(past.T @ past, 24 * np.eye(6), atol=1e-9)
    np.testing.assert_allclose(past[6], [1, 0, -1, 0, -1, 0], atol=1e-12)  # a quarter of a period


def test_fourier_features_of_several_columns_keep_each_apart():
    both = read_auxiliary(Fourier(VALUES, period=5), X).continuous
    parts = [read_auxiliary(Fourier(column, period=5), X).continuous for column in VALUES.T]
    np.testing.assert_array_equal(both, np.concatenate(parts, axis=1))


# Errors -----------------------------------------------------------------------------------------

NAN = float("nan")
UNREADABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: None, "auxiliary variable.*got None.*TimeSegments"),
    "rows": (lambda: CODES[:5], "u with 8 rows, one for each row of x; got 5"),
    "rows of a frame": (lambda: pd.DataFrame({"a": words()[:5]}), "u with 8 rows.*got 5"),
    "three dimensions": (lambda: np.zeros((8, 2, 2)), r"\(N,\) or \(N, q\); got shape \(8, 2, 2\)"),
    "a scalar": (lambda: 3, r"got shape \(\)"),
    "no columns": (lambda: np.zeros((8, 0)), r"got shape \(8, 0\)"),
    "a frame without columns": (lambda: pd.DataFrame(index=range(8)), r"frame of shape \(8, 0\)"),
    "a frame without rows": (lambda: pd.DataFrame({"a": []}), r"frame of shape \(0, 1\)"),
    "NaN": (lambda: np.r_[VALUES[:7, 0], NAN], r"finite values in u; got 1 .*\(7,\)"),
    "infinity": (lambda: np.r_[VALUES[:7, 0], np.inf], "finite values in u; got 1"),
    "NaN label": (lambda: Labels(np.r_[VALUES[:7, 0], NAN]), r"finite values in u.*\(7,\)"),
    "None": (lambda: [*words()[:7], None], "label in every row of u; got 1 missing.* row 7"),
    "NaN among strings": (lambda: [NAN, *words()[1:]], "label in every row of u.* row 0"),
    "missing in a series": (lambda: pd.Series([None, *words()[1:]]), "label in every row.* row 0"),
    "NA": (lambda: np.array([*words()[:7], pd.NA], object), "label in every row .* row 7"),
    "NaT": (lambda: np.array(["NaT", *["2020-01-01"] * 7], "M8[D]"), "label in every row"),
    "missing in a combination": (
        lambda: pd.DataFrame({"a": words(), "b": [*words()[:7], None]}),
        "label in every row of u; got 1 missing.* row 7",
    ),
    "missing among continuous": (
        lambda: pd.DataFrame({"a": pd.Series([*VALUES[:7, 0], None], dtype="Float64")}),
        "finite values in u",
    ),
    "beyond 64 bits": (lambda: [2**70] * 8, rf"within 64 bits.*got {2**70}.*Use strings"),
    "beyond 64 bits, with signs": (lambda: [2**63, -1] * 4, rf"within 64 bits.*got {2**63}"),
    "beyond 64 bits, unsigned": (
        lambda: np.full(8, 2**63, dtype="u8"),
        rf"within 64 bits.*got {2**63}",
    ),
    "words said to be continuous": (lambda: Continuous(words()), "continuous u to be numeric"),
    "mixed of two lengths": (lambda: Mixed(words(), VALUES[:5]), "got 8 and 5"),
    "no period": (lambda: Fourier(VALUES, 0), "period > 0 .*got period = 0"),
    "no waves": (lambda: Fourier(VALUES, 1.0, 0), "harmonics ≥ 1; got .*harmonics = 0"),
    "words in waves": (lambda: Fourier(words(), 1.0), "continuous u to be numeric"),
    "one segment": (lambda: TimeSegments(1), "2 ≤ n ≤ 8 rows of x; got n = 1"),
    "too many segments": (lambda: TimeSegments(9), "got n = 9"),
    "no lags": (lambda: History(0), "1 ≤ lags < 8 rows of x; got 0"),
    "too many lags": (lambda: History(8), "got 8"),
    "rows of the series": (lambda: History(1, series=[0] * 5), "with 8 rows.*got 5"),
    "one label": (lambda: ["a"] * 8, "at least 2 different values; got only 'a'.*unconditional"),
    "one value": (lambda: np.full(8, 0.1), "at least 2 different values; got only .0.1"),
    "one label and one value": (lambda: Mixed([1] * 8, np.full(8, 0.1)), "got only 1"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_refused(case):
    u, message = UNREADABLE[case]
    with pytest.raises(ValueError, match=f"(?s)^Expected .*{message}"):
        encoded(u())


OTHER_U: dict[str, tuple[Any, Any, str]] = {
    "unseen label": (
        words(),
        ["dee", *words()[1:]],
        r"seen in fit \('ada', 'ben', 'cy'\); got 'dee'",
    ),
    "unseen integer": (CODES, CODES + 1, "seen in fit.*got 3"),
    "unseen, of many": (np.arange(8), np.arange(8) + 8, r"0, 1, 2, 3, 4, … \(8 in all\)"),
    "unseen combination": (np.c_[CODES, CODES], np.c_[CODES, 2 - CODES], "seen in fit"),
    "wrong width": (VALUES, VALUES[:, :1], r"with 2 continuous column\(s\).*with 1 continuous"),
    "labels for continuous": (VALUES, CODES, "2 continuous.*, as in fit; got u of labels"),
    "continuous for labels": (CODES, VALUES, "u of labels, as in fit; got u with 2 continuous"),
    "columns in another order": (
        pd.DataFrame(VALUES, columns=["a", "b"]),
        pd.DataFrame(VALUES, columns=["a", "b"])[["b", "a"]],
        r"columns \['a', 'b'\], as in fit; got \['b', 'a'\]",
    ),
    "half of a mixed u": (Mixed(CODES, VALUES), CODES, "of labels with 2 continuous"),
}


@pytest.mark.parametrize("case", OTHER_U)
def test_u_of_another_kind_than_in_fit_is_refused(case):
    fitted_on, given, message = OTHER_U[case]
    encoder, _ = encoded(fitted_on)
    with pytest.raises(ValueError, match=f"(?s)^Expected .*{message}"):
        encoder.encode(read_auxiliary(given, X))


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
