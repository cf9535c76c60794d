"""What a label is depends on its value and on what is declared, not on what stores it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
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
    Labels,
    Mixed,
)
from identiflow.shared.inputs.remarks import InputWarning

FittedOn = Callable[..., AuxiliaryEncoder]
CodesOf = Callable[..., list[Any]]
N = 12
X = np.random.default_rng(0).standard_normal((N, 2))
CODES = np.arange(N) % 3


# Moments ----------------------------------------------------------------------------------------

UNITS = ["ns", "us", "ms", "s"]


def of_days(days: np.ndarray) -> dict[str, Any]:
    """The same days, as whatever people have them as."""
    dates = days.astype("M8[D]").astype(object).tolist()
    return {
        **{f"datetime64[{unit}]": days.astype(f"M8[{unit}]") for unit in (*UNITS, "m", "h", "D")},
        **{f"series of {unit}": pd.Series(days.astype(f"M8[{unit}]")) for unit in UNITS},
        "dates": dates,
        "datetimes": [datetime(d.year, d.month, d.day) for d in dates],
        "array of dates": np.array(dates, dtype=object),
        "Timestamps": [pd.Timestamp(d) for d in dates],
        "words": [str(d) for d in dates],
        "words of Timestamps": [str(pd.Timestamp(d)) for d in dates],
        "words of numpy": np.datetime_as_string(days.astype("M8[us]")),
        "categories": pd.Series(dates, dtype="category"),
        "an index": pd.DatetimeIndex(days),
        "pyarrow's dates": pa.array(dates),
        "pyarrow's table": pa.table({"day": days.astype("M8[ms]")}),
        "a frame": pd.DataFrame({"day": days.astype("M8[us]")}),
    }


DAYS = of_days(np.datetime64("2020-02-28") + CODES)


@pytest.mark.parametrize("one", DAYS)
def test_the_same_days_are_the_same_labels(
    fitted_on: FittedOn, codes_of: CodesOf, one: str
) -> None:
    encoder = fitted_on(DAYS[one])
    for other in DAYS:
        assert codes_of(DAYS[other], encoder) == CODES.tolist(), other


@pytest.mark.parametrize("form", [form for form in DAYS if "words" not in form])
def test_a_day_is_the_word_of_its_date(fitted_on: FittedOn, form: str) -> None:
    assert fitted_on(DAYS[form]).labels == ["2020-02-28", "2020-02-29", "2020-03-01"]


MOMENT = "2020-01-01 12:30:00.000001"
MOMENTS: dict[str, Any] = {
    "datetime": datetime(2020, 1, 1, 12, 30, 0, 1),
    "Timestamp": pd.Timestamp(MOMENT),
    "ns": np.datetime64("2020-01-01T12:30:00.000001000"),
    "us": np.datetime64("2020-01-01T12:30:00.000001"),
}


@pytest.mark.parametrize("form", MOMENTS)
def test_a_moment_is_a_word_without_zeros_at_its_end(fitted_on: FittedOn, form: str) -> None:
    others = [np.datetime64("2020-01-01T12:30"), pd.Timestamp("2020-01-01 12:30:00.1")]
    u = np.array([MOMENTS[form], *others] * 4, dtype=object)
    expected = ["2020-01-01 12:30:00", "2020-01-01 12:30:00.000001", "2020-01-01 12:30:00.1"]
    assert fitted_on(u).labels == expected


def test_the_same_moment_of_two_zones_is_one_label(fitted_on: FittedOn) -> None:
    here = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
    there = here.astimezone(timezone(timedelta(hours=2)))
    later = pd.Timestamp(here) + pd.Timedelta(hours=1)
    assert fitted_on([here, there, later] * 4).labels == [
        "2020-01-01 12:00:00+00:00",
        "2020-01-01 13:00:00+00:00",
    ]


def test_a_duration_is_as_python_writes_it(fitted_on: FittedOn) -> None:
    durations = [timedelta(days=int(code), seconds=1) for code in CODES]
    expected = ["0:00:01", "1 day, 0:00:01", "2 days, 0:00:01"]
    for u in (durations, pd.Series(durations), np.array(durations, dtype="m8[ns]")):
        assert fitted_on(u).labels == expected


@given(st.lists(st.datetimes(), min_size=2, max_size=6, unique=True))
def test_generated_moments_are_one_to_one_with_their_words(
    fitted_on: FittedOn, codes_of: CodesOf, moments: list[datetime]
) -> None:
    x = np.zeros((len(moments), 1))
    encoder = fitted_on(moments, x)
    assert len(encoder.labels) == len(moments)
    for other in (np.array(moments, "M8[us]"), [str(moment) for moment in moments]):
        assert codes_of(other, encoder, x) == codes_of(moments, encoder, x)


def test_labels_of_files_from_before_are_found(codes_of: CodesOf) -> None:
    written = sorted(np.datetime_as_string(DAYS["datetime64[ns]"]).tolist())
    old = AuxiliaryEncoder(sorted(set(written)))
    for form in DAYS:
        assert codes_of(DAYS[form], old) == CODES.tolist()


def test_combinations_have_the_word_of_a_day(fitted_on: FittedOn) -> None:
    for form in ("datetime64[ns]", "datetime64[s]", "dates", "Timestamps"):
        frame = pd.DataFrame({"who": list("ab") * 6, "day": DAYS[form]})
        assert fitted_on(frame).labels[0] == "a, 2020-02-28"


@pytest.mark.parametrize("unit", UNITS)
def test_continuous_moments_are_the_same_values(
    fitted_on: FittedOn, codes_of: CodesOf, unit: str
) -> None:
    expected = codes_of(Continuous(DAYS["datetime64[ns]"]), fitted_on(Continuous(DAYS["dates"])))
    encoder = fitted_on(Continuous(DAYS["datetime64[ns]"]))
    for form in (f"datetime64[{unit}]", f"series of {unit}", "dates", "Timestamps"):
        assert codes_of(Continuous(DAYS[form]), encoder) == expected


# Numbers ----------------------------------------------------------------------------------------

HALVES = np.array([0.5, 1.0, 2.0])[CODES]
UNDECLARED: dict[str, Any] = {
    "array": HALVES,
    "single precision": HALVES.astype("f4"),
    "list": HALVES.tolist(),
    "series": pd.Series(HALVES),
    "objects": HALVES.astype(object),
    "series of objects": pd.Series(HALVES, dtype=object),
    "integers among them": [1 if half == 1 else half for half in HALVES.tolist()],
    "Decimals": [Decimal(half) for half in HALVES.tolist()],
    "pandas' array": pd.array(HALVES),
    "pyarrow": pa.array(HALVES),
}
DECLARED: dict[str, Any] = {
    "Labels": Labels(HALVES),
    "Labels of objects": Labels(HALVES.astype(object)),
    "Labels of a list": Labels(HALVES.tolist()),
    "Labels of single precision": Labels(HALVES.astype("f4")),
    "Categorical": pd.Categorical(HALVES),
    "series of categories": pd.Series(HALVES, dtype="category"),
    "index of categories": pd.CategoricalIndex(HALVES),
    "categories in a frame": pd.DataFrame({"u": pd.Categorical(HALVES)}),
    "pyarrow's dictionary": pa.array(HALVES).dictionary_encode(),
}


@pytest.mark.parametrize("form", UNDECLARED)
def test_floats_are_continuous(fitted_on: FittedOn, codes_of: CodesOf, form: str) -> None:
    encoder = fitted_on(UNDECLARED[form])
    assert encoder.labels is None and encoder.aux_dim == 1
    assert codes_of(UNDECLARED["array"], encoder) == codes_of(UNDECLARED[form], encoder)


@pytest.mark.parametrize("form", DECLARED)
def test_floats_that_are_declared_are_labels_then_and_later(
    fitted_on: FittedOn, codes_of: CodesOf, form: str
) -> None:
    encoder = fitted_on(DECLARED[form])
    assert encoder.labels == [0.5, 1.0, 2.0]
    for u in (*DECLARED.values(), *UNDECLARED.values()):
        assert codes_of(u, encoder) == CODES.tolist()


def test_tenths_of_any_precision_are_the_same_labels(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    tenths = (CODES + 1) / 10
    encoder = fitted_on(Labels(tenths.astype("f4")))
    assert encoder.labels == [0.1, 0.2, 0.3]
    assert codes_of(Labels(tenths), encoder) == CODES.tolist()


def test_integers_are_continuous_where_fit_saw_floats(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    encoder = fitted_on(CODES / 1.0)
    for u in (CODES, CODES.tolist(), pd.Series(CODES), pa.array(CODES)):
        np.testing.assert_array_equal(codes_of(u, encoder), codes_of(CODES / 1.0, encoder))
    frame = pd.DataFrame({"who": list("abc") * 4, "when": CODES / 1.0})
    encoder, whole = fitted_on(frame), frame.assign(when=CODES)
    assert codes_of(whole, encoder) == codes_of(frame, encoder)


def test_whole_floats_are_labels_where_fit_saw_integers(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    encoder = fitted_on(CODES)
    assert codes_of(CODES / 1.0, encoder) == CODES.tolist()
    with pytest.raises(ValueError, match="of labels, as in fit; got u with 1 continuous"):
        codes_of(CODES / 2, encoder)
    with pytest.raises(ValueError, match=r"seen in fit \(0, 1, 2\); got 3.0"):
        codes_of(CODES + 1.0, encoder)


MISSING = {"None": None, "NaN": np.nan, "NA": pd.NA, "NaT": pd.NaT}
HOLDERS: dict[str, Callable[[list[Any]], Any]] = {
    "list": lambda u: u,
    "array": lambda u: np.array(u, dtype=object),
    "series": lambda u: pd.Series(u, dtype=object),
    "category": lambda u: pd.Series(u, dtype=object).astype("category"),
    "frame": lambda u: pd.DataFrame({"who": u}),
    "frame of two": lambda u: pd.DataFrame({"who": u, "side": list("lr") * 6}),
    "Labels": lambda u: Labels(pd.Series(u, dtype=object)),
    "Mixed": lambda u: Mixed(pd.Series(u, dtype=object), HALVES),
    "pyarrow": lambda u: pa.array([v if isinstance(v, str) else None for v in u]),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_label_is_refused_naming_its_row(
    fitted_on: FittedOn, codes_of: CodesOf, missing: str, holder: str
) -> None:
    u = HOLDERS[holder]([*"abcabca", MISSING[missing], *"abca"])
    column = ", column '(who|)'" if holder in ("frame", "frame of two") else ""
    message = f"label in every row of u; got 1 missing, the first in row 7{column}"
    with pytest.raises(ValueError, match=message):
        fitted_on(u)
    with pytest.raises(ValueError, match=message):
        codes_of(u, fitted_on(list("abc") * 4))


# Continuous moments -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", [f for f in DAYS if "words" not in f and f != "categories"])
def test_continuous_days_are_read_so_after_fit_whatever_holds_them(
    fitted_on: FittedOn, codes_of: CodesOf, form: str
) -> None:
    days = np.datetime64("2020-01-30") + np.arange(N)
    encoder = fitted_on(Continuous(days))
    assert codes_of(of_days(days)[form], encoder) == codes_of(Continuous(days), encoder)


def test_times_in_a_zone_and_without_one_are_not_mixed(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    there = [datetime(2020, 1, 1, tzinfo=timezone.utc) + timedelta(n) for n in range(N)]
    here = [moment.replace(tzinfo=None) for moment in there]
    encoder = fitted_on(Continuous(there))
    with pytest.warns(InputWarning, match="in a zone in fit and .* without a zone here"):
        codes = codes_of(Continuous(here), encoder)
    assert codes == codes_of(Continuous(there), encoder)
    with pytest.raises(ValueError, match="all in a zone, or none; got both"):
        fitted_on(Continuous([*there[:-1], here[-1]]))


# A label as an argument -------------------------------------------------------------------------

DAY = datetime(2020, 2, 1)
ONE_LABEL: dict[str, tuple[Any, list[Any]]] = {
    "a date": (pd.date_range("2020-01-31", periods=3), [DAY, DAY.date(), np.datetime64(DAY, "s")]),
    "words of a date": (np.array(["2020-01-31", "2020-02-01", "2020-02-02"]), ["2020-02-01", DAY]),
    "a duration": (pd.to_timedelta([1, 2, 3], unit="h"), [timedelta(hours=2)]),
}


@pytest.mark.parametrize("case", ONE_LABEL)
def test_one_label_is_found_whatever_holds_it(fitted_on: FittedOn, case: str) -> None:
    labels, ways = ONE_LABEL[case]
    encoder = fitted_on(np.asarray(labels)[CODES])
    assert [encoder.code_of(way) for way in ways] == [1] * len(ways)


def test_a_combination_of_labels_is_a_tuple(fitted_on: FittedOn) -> None:
    encoder = fitted_on(pd.DataFrame({"a": CODES, "b": np.array(["l", "r"])[np.arange(N) % 2]}))
    assert encoder.labels[encoder.code_of((1, "r"))] == "1, r"
