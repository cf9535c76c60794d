"""What u may not be meant to be is remarked on, and columns of u in another order are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given

from identiflow.shared.auxiliary import (
    AuxiliaryEncoder,
    Continuous,
    Fourier,
    Labels,
    Mixed,
    TimeSegments,
    read_auxiliary,
)
from identiflow.shared.auxiliary.labels import twins
from identiflow.shared.inputs.remarks import InputWarning

FittedOn = Callable[..., AuxiliaryEncoder]
CodesOf = Callable[..., list[Any]]
N = 12
X = np.random.default_rng(0).standard_normal((N, 2))
CODES = np.arange(N) % 3


# What may not be meant --------------------------------------------------------------------------

LONG = np.zeros((60, 1))

TWINS: dict[str, list[Any]] = {
    "spaces": ["left", " left"],
    "case": ["Control", "control"],
    "digits": ["1", "1.0"],
    "zeros": ["1", "01"],
    "accents": ["caf\u00e9", "cafe\u0301"],
    "flags": ["True", "1"],
    "a moment": ["2024-01-31", "2024-01-31 00:00:00"],
    "a wide space": ["day 1", "day\u00a01"],
    "a space inside": ["10 uM", "10uM"],
    "two spaces inside": ["treat A", "treat  A"],
    "a space without width": ["ctl", "ctl\u200b"],
    "a mark of bytes' order": ["ctl", "\ufeffctl"],
    "a soft hyphen": ["control", "con\u00adtrol"],
    "a control character": ["ctl", "ctl\x01"],
    "a long dash": ["CD4-", "CD4\u2013"],
    "a minus sign": ["-1", "\u22121"],
    "a round quotation mark": ["5'", "5\u2019"],
}


@pytest.mark.parametrize("case", TWINS)
def test_labels_that_may_be_one_are_named(fitted_on: FittedOn, case: str) -> None:
    first, second = TWINS[case]
    u = np.array(["other", first, second])[CODES]
    with pytest.warns(InputWarning, match="may be one, written in two ways, are two: ") as said:
        fitted_on(u)
    assert repr(first) in str(said[0].message) and repr(second) in str(said[0].message)


# Values of two types that are one word, with that word.
MERGED: dict[str, tuple[Any, Any]] = {
    "a number and its word": (1, "1"),
    "a float and its word": (0.5, "0.5"),
    "a flag and its word": (True, "True"),
    "bytes and their text": (b"ctl", "ctl"),
    "a day and its word": (date(2024, 1, 31), "2024-01-31"),
}


@pytest.mark.parametrize("case", MERGED)
def test_values_of_several_types_that_are_one_word_are_named(
    fitted_on: FittedOn, case: str
) -> None:
    first, second = MERGED[case]
    u = np.array(["other", first, second], dtype=object)[CODES]
    said = re.escape(f"{first!r} and {second!r}")
    other_way = re.escape(f"{second!r} and {first!r}")
    with pytest.warns(InputWarning, match=f"types are one, as words: ({said}|{other_way})"):
        encoder = fitted_on(u)
    assert len(encoder.labels) == 2
    with pytest.warns(InputWarning, match="types are one, as words"):
        fitted_on(np.column_stack([u, np.full(len(u), "here", dtype=object)]))
    fitted_on(np.array([1, "two", "three"], dtype=object)[CODES])


def test_floats_that_rounding_parts_are_twins(fitted_on: FittedOn) -> None:
    with pytest.warns(InputWarning, match=r"two: 0\.3 and 0\.30000000000000004"):
        fitted_on(Labels(np.array([0.3, 0.1 * 3, 0.5])[CODES]))


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=9, unique=True))
def test_different_numbers_are_no_twins(labels: list[int]) -> None:
    assert twins(labels) == twins([f"L{n}" for n in labels]) == []
    assert twins([n / 7 for n in labels]) == []
    assert twins([str(10**20 + n) for n in labels]) == []  # of which floats hold 16 digits


@pytest.mark.parametrize("case", [case for case in TWINS if case != "a moment"])
def test_a_label_that_fit_saw_in_another_way_is_asked_for(
    fitted_on: FittedOn, codes_of: CodesOf, case: str
) -> None:
    first, second = TWINS[case]
    encoder = fitted_on(np.array(["other", first])[CODES % 2])
    with pytest.raises(ValueError, match=re.escape(f"Is it {first!r}? Write it as in fit.")):
        codes_of(np.array([first, second])[CODES % 2], encoder)
    with pytest.raises(ValueError, match="got 'no such', first in row 1. Refit with those rows"):
        codes_of(np.array([first, "no such"])[CODES % 2], encoder)


def test_labels_of_next_to_no_rows_are_named(fitted_on: FittedOn) -> None:
    u = np.array(["a"] * 54 + ["b"] * 4 + ["c"] * 2)
    with pytest.warns(InputWarning, match=r"fewer than 5 rows: 'b' \(4\), 'c' \(2\)\. "):
        fitted_on(u, LONG)


WHOLE = np.arange(60) % 3 * 1.0
FORMS_OF_FLOATS: dict[str, Callable[[], Any]] = {
    "an array": lambda: WHOLE,
    "a list": lambda: WHOLE.tolist(),
    "a column": lambda: pd.Series(WHOLE),
    "a frame": lambda: pd.DataFrame({"c": WHOLE, "day": np.linspace(0, 1, 60)}),
    "pyarrow": lambda: pa.table({"c": WHOLE}),
}


@pytest.mark.parametrize("form", FORMS_OF_FLOATS)
def test_floats_that_may_be_labels_are_remarked_on_in_fit(
    fitted_on: FittedOn, codes_of: CodesOf, form: str
) -> None:
    u = FORMS_OF_FLOATS[form]()
    with pytest.warns(InputWarning, match="3 different values, floats that are whole numbers"):
        encoder = fitted_on(u, LONG)
    assert encoder.aux_dim and encoder.labels is None
    codes_of(u, encoder, LONG)  # it was said once
    assert fitted_on(Continuous(WHOLE), LONG).labels is None
    assert fitted_on(WHOLE + 0.5, LONG).labels is None
    assert fitted_on(np.arange(60.0), LONG).labels is None


# Names of columns in the objects that stand for u -----------------------------------------------

PAIR = pd.DataFrame({"a": np.arange(N) % 3, "b": np.arange(N) % 2})
OF_PAIRS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "Continuous": Continuous,
    "Labels": Labels,
    "Fourier": lambda pair: Fourier(pair, 5.0),
    "Mixed, its values": lambda pair: Mixed(CODES, pair),
    "Mixed, its labels": lambda pair: Mixed(pair, np.arange(N)),
}


@pytest.mark.parametrize("kind", OF_PAIRS)
def test_columns_in_another_order_are_refused(
    fitted_on: FittedOn, codes_of: CodesOf, kind: str
) -> None:
    make = OF_PAIRS[kind]
    encoder = fitted_on(make(PAIR))
    assert codes_of(make(PAIR), encoder) == codes_of(make(PAIR.to_numpy()), encoder)
    with pytest.raises(ValueError, match="u with the columns .* as in fit; got "):
        codes_of(make(PAIR[["b", "a"]]), encoder)


@pytest.mark.parametrize(
    "word",
    [
        "nan",
        "None",
        "<NA>",
        "NaT",
        "null",
        "",
        ".",
        "-",
        "?",
        r"\N",
        "*",
        "(null)",
        "[NULL]",
        "<undefined>",
        "%null%",
        "n.a.",
        "[NA]",
    ],
)
def test_words_for_what_is_missing_are_remarked_on(fitted_on: FittedOn, word: str) -> None:
    with pytest.warns(InputWarning, match=re.escape(f"label {word!r} of u may be a missing")):
        fitted_on(np.array(["a", "b", word])[CODES])


@pytest.mark.parametrize("code", [-999, 999, -9999, 2**31 - 1])
def test_codes_among_labels_are_remarked_on(fitted_on: FittedOn, code: int) -> None:
    with pytest.warns(InputWarning, match=f"The label {code} of u may be a missing value"):
        fitted_on(np.array([1, 2, code])[CODES])


@pytest.mark.parametrize(
    "labels",
    [
        ["+", "-", "0"],
        ["*", "**", "a"],
        ["Na", "none", "b"],
        [-1, 0, 1],
        [7, 8, 9],
        [998, 999, 1000],
    ],
)
def test_signs_and_small_numbers_are_labels(fitted_on: FittedOn, labels: list[Any]) -> None:
    fitted_on(np.array(labels)[CODES])


# Arrays of objects, and parts of parts ----------------------------------------------------------


def test_an_array_of_words_and_floats_is_read_by_its_columns(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    values = np.linspace(0, 1, N)
    u = np.array([[f"s{code}", value] for code, value in zip(CODES, values, strict=True)], object)
    encoder = fitted_on(u)
    assert encoder.labels == ["s0", "s1", "s2"] and encoder.aux_dim == 1
    assert encoder.names is None
    assert codes_of(u, encoder) == codes_of(Mixed(u[:, 0], values), encoder)


def test_parts_of_mixed_u_may_be_objects_of_their_own() -> None:
    hours = np.arange(N) * 5 % 24
    mixed = read_auxiliary(Mixed(CODES, Fourier(hours, 24)), X)
    np.testing.assert_array_equal(mixed.labels, CODES)
    np.testing.assert_array_equal(
        mixed.continuous, read_auxiliary(Fourier(hours, 24), X).continuous
    )
    assert mixed.made_by == ["Fourier", 24.0, 4] and mixed.limits == (-1.0, 1.0)
    segments = read_auxiliary(Mixed(TimeSegments(3), hours), X)
    assert (
        segments.recording is not None and segments.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    )
