"""Forms of u that cannot be read, or do not fit the u of a fit, are refused in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from identiflow.shared.auxiliary import (
    AuxiliaryEncoder,
    Continuous,
    Fourier,
    History,
    Labels,
    Mixed,
    TimeSegments,
    read_auxiliary,
)
from identiflow.shared.auxiliary.labels import as_labels

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


NAN = float("nan")
UNREADABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: None, "auxiliary variable.*got None.*TimeSegments"),
    "rows": (lambda: CODES[:5], "u with 8 rows, one for each row of x; got 5"),
    "rows of a frame": (lambda: pd.DataFrame({"a": words()[:5]}), "u with 8 rows.*got 5"),
    "three dimensions": (
        lambda: np.zeros((8, 2, 2)),
        r"\(N,\) or \(N, q\), .*; got shape \(8, 2, 2\)",
    ),
    "a scalar": (lambda: 3, "a row for each of x; got 3"),
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
    "beyond what floats tell apart": (
        lambda: Labels(np.r_[2.0**53 + 2, CODES[:7]]),
        "floats below 9007199254740992, up to which float64 tells .*; got 9007199254740994. Pass",
    ),
    "beyond what single precision tells apart": (
        lambda: Labels((CODES + 2**24).astype("f4")),
        "floats below 16777216, up to which float32",
    ),
    "a word among numbers": (
        lambda: Continuous([*VALUES[:7, 0], "n/k"]),
        "'n/k' in row 7, column 0",
    ),
    "beyond 64 bits": (lambda: [2**70] * 8, rf"within 64 bits.*got {2**70}.*Use strings"),
    "beyond 64 bits, with signs": (lambda: [2**63, -1] * 4, rf"within 64 bits.*got {2**63}"),
    "beyond 64 bits, unsigned": (
        lambda: np.full(8, 2**63, dtype="u8"),
        rf"within 64 bits.*got {2**63}",
    ),
    "words said to be continuous": (lambda: Continuous(words()), "continuous u to be numeric"),
    "mixed of two lengths": (lambda: Mixed(words(), VALUES[:5]), "got 8 and 5"),
    "a name": (lambda: "condition", r"got 'condition'\. Of a table pass the column itself"),
    "nothing in an object": (lambda: Labels(None), "a row for each of x; got None"),
    "a structured array": (
        lambda: np.rec.fromarrays([np.arange(8), VALUES[:, 0]], names="a,b"),
        r"one type; got a structured one, of the fields a, b\. .* pd\.DataFrame\(u\)",
    ),
    "names twice": (
        lambda: pa.table([pa.array(range(8))] * 2, names=["a", "a"]),
        "names of their own; got 'a' twice",
    ),
    "no period": (lambda: Fourier(VALUES, 0), "the period of u = .* to be positive; got 0"),
    "dates with a number as period": (
        lambda: Fourier(np.datetime64("2020-01-01") + CODES, 7),
        r"to be a duration, such as pd\.Timedelta\('24h'\), for dates and times",
    ),
    "one phase": (lambda: Fourier(CODES * 24, 24), "at least 2 different values"),
    "waves as labels": (lambda: Mixed(Fourier(CODES, 9), VALUES), "labels first .* got Fourier"),
    "complex labels": (lambda: CODES + 0j, "words or real numbers; got complex"),
    "no rows": (lambda: np.zeros(0, int), r"got shape \(0,\)\. It is empty: pass at least one row"),
    "labels of no rows": (lambda: Labels([]), "It is empty"),
    "a class": (lambda: Labels, "a row for each of x; got <class"),
    "a period of text": (lambda: Fourier(VALUES, "24"), "to be positive; got '24'"),
    "no waves": (lambda: Fourier(VALUES, 1.0, 0), "harmonics of u = .* at least 1; got 0"),
    "segments of text": (lambda: TimeSegments("4"), "n of u = .* a whole number; got '4'"),
    "half a lag": (lambda: History(1.5), "lags of u = .* a whole number; got 1.5"),
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


@pytest.mark.parametrize("hold", [list, lambda u: np.array(u, object), pd.Series])
def test_a_label_that_is_a_text_is_refused(hold) -> None:
    """An array takes as much for each row as for the longest."""
    u = ["a", "b"] * 10
    u[7] = "Once upon a time, " * 1000
    with pytest.raises(ValueError, match="labels of u of 2000 letters at most; got 18000 in row 7"):
        read_auxiliary(hold(u), np.zeros((20, 2)))


@pytest.mark.parametrize("values", [["a\0", "a", "b"], [b"a\0", b"a", b"b"]])
def test_what_numpy_cuts_off_makes_no_two_labels_one(values):
    u = np.array(values, dtype=object)
    assert len(np.unique(as_labels(u))) == 3
