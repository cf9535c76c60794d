"""Continuous values of another kind than in fit are other numbers, which a warning says."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from identiflow.shared.auxiliary import (
    AuxiliaryEncoder,
    Continuous,
    Fourier,
    Mixed,
    read_auxiliary,
)
from identiflow.shared.inputs.remarks import InputWarning

N = 60
X = np.zeros((N, 1))
NAIVE = pd.Series(pd.date_range("2020-01-01", periods=N, freq="7h"))
DAY = pd.Timedelta("24h")
KINDS: dict[str, Any] = {
    "dates or times without a zone": NAIVE,
    "dates or times in a zone": NAIVE.dt.tz_localize("Asia/Tokyo"),
    "durations": NAIVE - NAIVE[0],
    "numbers": NAIVE.astype("i8").astype(float),
}
MADE: dict[str, Callable[[Any], Any]] = {
    "Continuous": Continuous,
    "Fourier": lambda values: Fourier(values, DAY if values.dtype.kind != "f" else 8.64e13),
    "Mixed": lambda values: Mixed(np.arange(N) % 3, values),
    "Mixed with waves": lambda values: Mixed(np.arange(N) % 3, MADE["Fourier"](values)),
    "beside others": lambda values: Continuous(
        pd.DataFrame({"dose": np.arange(N) / 7, "when": values})
    ),
}
made = pytest.mark.parametrize("how", MADE)


def fitted(u: Any) -> AuxiliaryEncoder:
    return AuxiliaryEncoder.fit(read_auxiliary(u, X))


def remarks(encoder: AuxiliaryEncoder, u: Any) -> str:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", InputWarning)
        encoder.read(u, X)
    return " ".join(str(warning.message) for warning in said)


@made
@pytest.mark.parametrize("later", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_another_kind_is_remarked_on_and_the_same_is_not(how: str, first: str, later: str) -> None:
    said = remarks(fitted(MADE[how](KINDS[first])), MADE[how](KINDS[later]))
    if first == later:
        assert said == ""
    elif later == "numbers":
        assert "plain numbers here" in said or f"u had {first} in fit and has numbers" in said
    else:
        assert f"u had {first} in fit and has {later} here" in said
        assert ("taken to be of UTC" in said) == ("zone" in first and "zone" in later)


def test_two_zones_are_of_one_kind() -> None:
    here = NAIVE.dt.tz_localize("UTC")
    assert remarks(fitted(Continuous(here)), Continuous(here.dt.tz_convert("Asia/Tokyo"))) == ""


def test_the_column_of_another_kind_is_named_among_several() -> None:
    how, zone = MADE["beside others"], KINDS["dates or times in a zone"]
    assert "here in column 1. Pass them as in fit" in remarks(fitted(how(NAIVE)), how(zone))


@made
def test_encoders_of_files_from_before_do_not_know_of_zones(how: str) -> None:
    new = fitted(MADE[how](NAIVE))
    old = AuxiliaryEncoder(**{k: v for k, v in asdict(new).items() if k != "kinds"})
    assert old == replace(new, kinds=None)
    assert "u had" not in remarks(old, MADE[how](KINDS["dates or times in a zone"]))
