"""What a label is depends on its value and on what is declared, not on what stores it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
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
    History,
    Labels,
    Mixed,
    TimeSegments,
    read_auxiliary,
)
from identiflow.shared.inputs.remarks import InputWarning

N = 12
X = np.random.default_rng(0).standard_normal((N, 2))
CODES = np.arange(N) % 3


def fitted_on(u: Any, x: np.ndarray = X) -> AuxiliaryEncoder:
    return AuxiliaryEncoder.fit(read_auxiliary(u, x))


def codes_of(u: Any, encoder: AuxiliaryEncoder, x: np.ndarray = X) -> list[Any]:
    return encoder.encode(encoder.read(u, x)).tolist()


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


@pytest.mark.parametrize(("one", "other"), list(product(DAYS, DAYS)))
def test_the_same_days_are_the_same_labels(one: str, other: str) -> None:
    assert codes_of(DAYS[other], fitted_on(DAYS[one])) == CODES.tolist()


@pytest.mark.parametrize("form", [form for form in DAYS if "words" not in form])
def test_a_day_is_the_word_of_its_date(form: str) -> None:
    assert fitted_on(DAYS[form]).labels == ["2020-02-28", "2020-02-29", "2020-03-01"]


MOMENT = "2020-01-01 12:30:00.000001"
MOMENTS: dict[str, Any] = {
    "datetime": datetime(2020, 1, 1, 12, 30, 0, 1),
    "Timestamp": pd.Timestamp(MOMENT),
    "ns": np.datetime64("2020-01-01T12:30:00.000001000"),
    "us": np.datetime64("2020-01-01T12:30:00.000001"),
}


@pytest.mark.parametrize("form", MOMENTS)
def test_a_moment_is_a_word_without_zeros_at_its_end(form: str) -> None:
    others = [np.datetime64("2020-01-01T12:30"), pd.Timestamp("2020-01-01 12:30:00.1")]
    u = np.array([MOMENTS[form], *others] * 4, dtype=object)
    expected = ["2020-01-01 12:30:00", "2020-01-01 12:30:00.000001", "2020-01-01 12:30:00.1"]
    assert fitted_on(u).labels == expected


def test_the_same_moment_of_two_zones_is_one_label() -> None:
    here = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
    there = here.astimezone(timezone(timedelta(hours=2)))
    later = pd.Timestamp(here) + pd.Timedelta(hours=1)
    assert fitted_on([here, there, later] * 4).labels == [
        "2020-01-01 12:00:00+00:00",
        "2020-01-01 13:00:00+00:00",
    ]


def test_a_duration_is_as_python_writes_it() -> None:
    durations = [timedelta(days=int(code), seconds=1) for code in CODES]
    expected = ["0:00:01", "1 day, 0:00:01", "2 days, 0:00:01"]
    for u in (durations, pd.Series(durations), np.array(durations, dtype="m8[ns]")):
        assert fitted_on(u).labels == expected


@given(st.lists(st.datetimes(), min_size=2, max_size=6, unique=True))
def test_generated_moments_are_one_to_one_with_their_words(moments: list[datetime]) -> None:
    x = np.zeros((len(moments), 1))
    encoder = fitted_on(moments, x)
    assert len(encoder.labels) == len(moments)
    for other in (np.array(moments, "M8[us]"), [str(moment) for moment in moments]):
        assert codes_of(other, encoder, x) == codes_of(moments, encoder, x)


def test_labels_of_files_from_before_are_found() -> None:
    written = sorted(np.datetime_as_string(DAYS["datetime64[ns]"]).tolist())
    old = AuxiliaryEncoder(sorted(set(written)))
    for form in DAYS:
        assert codes_of(DAYS[form], old) == CODES.tolist()


def test_combinations_have_the_word_of_a_day() -> None:
    for form in ("datetime64[ns]", "datetime64[s]", "dates", "Timestamps"):
        frame = pd.DataFrame({"who": list("ab") * 6, "day": DAYS[form]})
        assert fitted_on(frame).labels[0] == "a, 2020-02-28"


@pytest.mark.parametrize("unit", UNITS)
def test_continuous_moments_are_the_same_values(unit: str) -> None:
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
def test_floats_are_continuous(form: str) -> None:
    encoder = fitted_on(UNDECLARED[form])
    assert encoder.labels is None and encoder.aux_dim == 1
    assert codes_of(UNDECLARED["array"], encoder) == codes_of(UNDECLARED[form], encoder)


@pytest.mark.parametrize("form", DECLARED)
def test_floats_that_are_declared_are_labels_then_and_later(form: str) -> None:
    encoder = fitted_on(DECLARED[form])
    assert encoder.labels == [0.5, 1.0, 2.0]
    for u in (*DECLARED.values(), *UNDECLARED.values()):
        assert codes_of(u, encoder) == CODES.tolist()


def test_tenths_of_any_precision_are_the_same_labels() -> None:
    tenths = (CODES + 1) / 10
    encoder = fitted_on(Labels(tenths.astype("f4")))
    assert encoder.labels == [0.1, 0.2, 0.3]
    assert codes_of(Labels(tenths), encoder) == CODES.tolist()


def test_integers_are_continuous_where_fit_saw_floats() -> None:
    encoder = fitted_on(CODES / 1.0)
    for u in (CODES, CODES.tolist(), pd.Series(CODES), pa.array(CODES)):
        np.testing.assert_array_equal(codes_of(u, encoder), codes_of(CODES / 1.0, encoder))
    frame = pd.DataFrame({"who": list("abc") * 4, "when": CODES / 1.0})
    encoder, whole = fitted_on(frame), frame.assign(when=CODES)
    assert codes_of(whole, encoder) == codes_of(frame, encoder)


def test_whole_floats_are_labels_where_fit_saw_integers() -> None:
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
def test_a_missing_label_is_refused_naming_its_row(missing: str, holder: str) -> None:
    u = HOLDERS[holder]([*"abcabca", MISSING[missing], *"abca"])
    column = ", column '(who|)'" if holder in ("frame", "frame of two") else ""
    message = f"label in every row of u; got 1 missing, the first in row 7{column}"
    with pytest.raises(ValueError, match=message):
        fitted_on(u)
    with pytest.raises(ValueError, match=message):
        codes_of(u, fitted_on(list("abc") * 4))


# Beyond the range of fit ------------------------------------------------------------------------

SEEN = np.linspace(0, 10, N)


def test_values_beyond_the_range_of_fit_are_held_at_its_edge() -> None:
    encoder = fitted_on(pd.DataFrame({"day": SEEN, "dose": SEEN**2}))
    low, high = codes_of(pd.DataFrame({"day": SEEN, "dose": SEEN**2}), encoder)[:: N - 1]
    beyond = pd.DataFrame({"day": [-5.0, *SEEN[1:-1], 1e6], "dose": [-1e9, *SEEN[1:-1] ** 2, 200]})
    message = (
        "u goes beyond what fit saw in 2 of 12 rows: in column 'day' that was 0 to 10, row 0 has -5"
    )
    with pytest.warns(InputWarning, match=message):
        codes = codes_of(beyond, encoder)
    assert codes[0] == low and codes[-1] == high


@given(st.lists(st.floats(-1e6, 1e6), min_size=N, max_size=N), st.floats(-1e9, 1e9))
def test_inside_the_range_nothing_changes(values: list[float], beyond: float) -> None:
    u = np.array(values)
    if not 1e-6 < np.ptp(u):
        return
    encoder = fitted_on(u)
    expected = (u - np.asarray(encoder.mean)) / np.asarray(encoder.scale)
    np.testing.assert_array_equal(np.ravel(codes_of(u, encoder)), expected)
    clipped = np.full(N, np.clip(beyond, u.min(), u.max()))
    columns = read_auxiliary(np.full(N, beyond), X)
    np.testing.assert_array_equal(encoder.encode(columns).tolist(), codes_of(clipped, encoder))


def test_a_hundredth_of_the_range_is_not_remarked_on() -> None:
    encoder = fitted_on(SEEN)
    assert codes_of(SEEN + 0.09, encoder)[-1] == codes_of(SEEN, encoder)[-1]


def test_encoders_of_files_from_before_have_no_range() -> None:
    old = AuxiliaryEncoder(None, [0.0], [1.0])
    assert codes_of(np.full(N, 1e6), old) == [[1e6]] * N


# Segments and pasts -----------------------------------------------------------------------------

LONG = np.random.default_rng(1).standard_normal((60, 2))
OTHER_ROWS: dict[str, tuple[Any, Any]] = {
    "a part": (LONG[:30], 10),
    "the other half": (LONG[30:], 10),
    "as many others": (LONG[::-1], 10),
    "other segments": (LONG, 5),
    "one column": (LONG[:, :1], 10),
}


@pytest.mark.parametrize("case", OTHER_ROWS)
@pytest.mark.parametrize("first", [TimeSegments(10), np.arange(60) * 10 // 60])
def test_segments_are_those_of_the_recording_of_fit(case: str, first: Any) -> None:
    x, n = OTHER_ROWS[case]
    with pytest.raises(ValueError, match=r"the very rows of fit.* pass \(np.arange\(N\) \* n // N"):
        codes_of(TimeSegments(n), fitted_on(first, LONG), x)


def test_segments_of_the_same_rows_are_the_same() -> None:
    encoder = fitted_on(TimeSegments(10), LONG)
    expected = (np.arange(60) * 10 // 60).tolist()
    assert codes_of(TimeSegments(10), encoder, LONG) == expected
    assert codes_of(TimeSegments(10), encoder, LONG.astype("f4")) == expected
    assert codes_of(expected[20:30], encoder, LONG[20:30]) == expected[20:30]


INTERLEAVED = {
    "turns": [0, 1] * 6,
    "resumed": [0] * 4 + [1] * 4 + [0] * 4,
    "words": list("aba") * 4,
}


@pytest.mark.parametrize("case", INTERLEAVED)
def test_interleaved_series_are_refused_by_row(case: str) -> None:
    message = "rows of each series together; got series .* in row [28] again.* Sort the rows by"
    with pytest.raises(ValueError, match=message):
        read_auxiliary(History(1, series=INTERLEAVED[case]), X)


def test_the_first_rows_of_a_series_have_an_average_past_and_a_warning_says_so() -> None:
    series = np.arange(N) // 4
    columns = read_auxiliary(History(2, series), X)
    assert np.flatnonzero(columns.incomplete).tolist() == [0, 1, 4, 5, 8, 9]
    encoder = AuxiliaryEncoder.fit(columns)
    with pytest.warns(InputWarning, match="no whole past in x for 6 of 12 rows, .* row 0:"):
        codes = np.array(codes_of(History(2, series), encoder))
    assert (codes[columns.incomplete] == 0).all() and (codes[~columns.incomplete] != 0).all()


def test_waves_of_a_time_of_day_do_not_go_beyond() -> None:
    encoder = fitted_on(Fourier(np.arange(N), period=N), X)
    shifted = read_auxiliary(Fourier(np.arange(N) + 0.5, period=N), X).continuous
    expected = (shifted - np.asarray(encoder.mean)) / np.asarray(encoder.scale)
    got = codes_of(Fourier(np.arange(N) + 0.5, period=N), encoder)
    np.testing.assert_array_equal(got, expected)
