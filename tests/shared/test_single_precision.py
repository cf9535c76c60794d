"""Labels that are numbers are the same in single and in double precision, whatever rounded them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given

from identiflow.shared.auxiliary import AuxiliaryEncoder, Labels, read_auxiliary
from identiflow.shared.auxiliary.precision import places_in_single, word_in_double
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.shared.priors.by_name import targets_of

FittedOn = Callable[..., AuxiliaryEncoder]
CodesOf = Callable[..., list[Any]]
N = 12
DOSES = np.array([0.1, 0.2, 1.0, 2.7])[np.arange(N) % 4]
CODES = (np.arange(N) % 4).tolist()


def alternating(values: np.ndarray) -> list[Any]:
    return [np.float32(v) if i % 2 else float(v) for i, v in enumerate(values)]


# How numbers reach a fit; some of these ways lead through single precision.
FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "double": np.asarray,
    "single": lambda v: v.astype("f4"),
    "single, then double": lambda v: v.astype("f4").astype("f8"),
    "single, then a list": lambda v: v.astype("f4").tolist(),
    "single, then Python's floats": lambda v: v.astype("f4").astype(float).astype(object),
    "tensor": lambda v: torch.from_numpy(v).float(),
    "tensor, then a list": lambda v: torch.from_numpy(v).float().tolist(),
    "column": lambda v: pd.Series(v, dtype="f4"),
    "column, then a list": lambda v: pd.Series(v, dtype="f4").tolist(),
    "cells": lambda v: pd.DataFrame({"dose": v.astype("f4")}).to_numpy()[:, 0],
    "objects of both": lambda v: np.array(alternating(v), dtype=object),
    "column of both": lambda v: pd.Series(alternating(v), dtype=object),
    "list of both": alternating,
}


@pytest.mark.parametrize("later", FORMS)
@pytest.mark.parametrize("first", FORMS)
def test_a_number_is_one_label_whatever_rounded_it(
    fitted_on: FittedOn, codes_of: CodesOf, first: str, later: str
) -> None:
    encoder = fitted_on(Labels(FORMS[first](DOSES)))
    assert encoder.n_labels == 4
    assert codes_of(Labels(FORMS[later](DOSES)), encoder) == CODES
    assert codes_of(FORMS[later](DOSES), encoder) == CODES
    assert not encoder.unseen(
        read_auxiliary(Labels(FORMS[later](DOSES)), np.zeros((N, 1)))[0]
    ).any()


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("baseline", [np.float32(0.1), float(np.float32(0.1)), 0.1])
def test_a_baseline_may_be_of_any_precision(fitted_on: FittedOn, first: str, baseline: Any) -> None:
    assert targets_of(baseline, fitted_on(Labels(FORMS[first](DOSES)))) == (None, 0, 1, 2)


@pytest.mark.parametrize("later", ["double", "single, then double", "single"])
@pytest.mark.parametrize("first", ["double", "single, then double", "single"])
def test_combinations_with_numbers_are_the_same(
    fitted_on: FittedOn, codes_of: CodesOf, first: str, later: str
) -> None:
    frames = [
        pd.DataFrame({"who": ["ada", "ben"] * (N // 2), "dose": FORMS[form](DOSES)})
        for form in (first, later)
    ]
    assert codes_of(Labels(frames[1]), fitted_on(Labels(frames[0]))) == [0, 2, 1, 3] * (N // 4)


# 1 to 7 digits, which single precision keeps.
NUMBERS = st.builds(
    lambda digits, power, sign: sign * float(f"{digits}e{power}"),
    st.integers(1, 999_999),
    st.integers(-12, 1),
    st.sampled_from([-1, 1]),
)


@given(
    st.lists(NUMBERS, min_size=2, max_size=6, unique=True),
    st.sampled_from(list(FORMS)),
    st.sampled_from(list(FORMS)),
)
def test_generated_numbers_are_one_label_in_every_precision(
    fitted_on: FittedOn, codes_of: CodesOf, numbers: list[float], first: str, later: str
) -> None:
    values = np.resize(np.array(numbers), N)
    encoder = fitted_on(Labels(FORMS[first](values)))
    expected = np.unique(values, return_inverse=True)[1].tolist()
    assert codes_of(Labels(FORMS[later](values)), encoder) == expected


@given(NUMBERS, st.integers(1, 2**20))
def test_no_number_that_was_not_rounded_is_taken_for_another(label: float, steps: int) -> None:
    known = np.array([label])
    other = np.array([label * (1 + steps * 2.0**-52)])
    single = other.astype("f4")
    if other == known or other == single or known == single:
        return
    assert not places_in_single(other, known)[1][0]


WRONG: dict[str, tuple[list[float], float, str]] = {
    "two that it may be": ([0.1234567891, 0.1234567892], float(np.float32(0.1234567891)), "single"),
    "more digits than single precision has": (
        [0.1234567891, 1.0],
        0.12345679,
        "In single precision it is 0.1234567891. If it is that, pass it as in fit.",
    ),
    "a half": ([0.5, 1.0], 0.5000000001, "In single precision it is 0.5"),
    "beside a half": ([0.5000000001, 1.0], 0.5, "In single precision it is 0.5000000001"),
    "another number": ([0.1, 1.0], 0.100001, "got 0.100001, first in row 0. Refit"),
    "beyond single precision": ([1e60, 1.0], 2e60, "Expected"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_may_be_another_number_is_refused(
    fitted_on: FittedOn, codes_of: CodesOf, case: str
) -> None:
    labels, value, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        codes_of(Labels([value] * N), fitted_on(Labels(np.resize(labels, N))))


def test_a_number_and_what_single_precision_makes_of_it_are_remarked_on(
    fitted_on: FittedOn,
) -> None:
    with pytest.warns(InputWarning, match="in single precision are two: 0.1 and 0.100000001490116"):
        encoder = fitted_on(Labels(np.resize([0.1, float(np.float32(0.1)), 0.5], N)))
    assert encoder.n_labels == 3


WORDS = {"0.10000000149011612": "0.1", "0.1": "0.1", "0.5": "0.5", "left": "left", "7": "7"}


@pytest.mark.parametrize("word", [*WORDS, "nan", "inf", "1e400", "", "16777217", "007"])
def test_words_stay_but_those_of_numbers_that_were_rounded(word: str) -> None:
    assert word_in_double(word) == WORDS.get(word, word)
