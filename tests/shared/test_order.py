"""An index that says when rows were says it of each, in one order and of one kind."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr

from identiflow.shared.auxiliary import History, Mixed, TimeSegments
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.inputs.remarks import InputWarning

N = 12
ROWS = np.arange(2.0 * N).reshape(N, 2)
DAYS = pd.date_range("2020-01-01", periods=N)
MADE = (History(1), TimeSegments(3), Mixed(TimeSegments(3), np.zeros(N)))


def without(index: Any, row: int, value: Any = None) -> pd.Index:
    return pd.Index([value if i == row else label for i, label in enumerate(index)], dtype=object)


# Indexes of which one label says nothing of time, by that row.
MISSING: dict[str, Any] = {
    "dates": lambda row: DAYS.where(np.arange(N) != row),
    "dates in a zone": lambda row: DAYS.tz_localize("Europe/Paris").where(np.arange(N) != row),
    "periods": lambda row: DAYS.to_period("D").where(np.arange(N) != row),
    "durations": lambda row: (DAYS - DAYS[0]).where(np.arange(N) != row),
    "numbers": lambda row: pd.Index(np.where(np.arange(N) == row, np.nan, np.arange(N))),
    "numbers that may be missing": lambda row: pd.Index(
        pd.array([None if i == row else i for i in range(N)], dtype="Int64")
    ),
    "pyarrow's": lambda row: pd.Index(
        pd.Series(DAYS.where(np.arange(N) != row)).astype(pd.ArrowDtype(pa.timestamp("us")))
    ),
    "days of Python": lambda row: without([day.date() for day in DAYS], row),
    "words": lambda row: without(DAYS.strftime("%Y-%m-%d"), row),
    "a word among words": lambda row: without(DAYS.strftime("%Y-%m-%dT%H:%M:%SZ"), row, "unknown"),
    "months": lambda row: without(DAYS.strftime("%Y-%m"), row, "total"),
    "people and days": lambda row: pd.MultiIndex.from_arrays(
        [["ada"] * N, list(DAYS.where(np.arange(N) != row))]
    ),
}


@pytest.mark.parametrize("row", [0, 5, N - 1])
@pytest.mark.parametrize("case", MISSING)
def test_a_row_without_a_time_is_named(case: str, row: int) -> None:
    x = pd.DataFrame(ROWS, index=MISSING[case](row))
    for u in (*MADE, History(1, ["ada"] * N)):
        with pytest.raises(ValueError, match=rf"got none in 1 of 12 rows, .* in row {row}\. Drop"):
            check_paired(x, u)
    check_paired(x, np.zeros(N))
    check_paired(x.to_numpy(), MADE[0])


def test_a_row_without_a_time_is_named_in_xarray() -> None:
    times = DAYS.where(np.arange(N) != 3)
    x = xr.DataArray(ROWS, dims=["t", "c"], coords={"t": times})
    with pytest.raises(ValueError, match=r"first NaT in row 3\."):
        check_paired(x, History(1))


SAME: dict[str, Any] = {  # rows 4 and 5 are of one time
    "dates": DAYS.where(np.arange(N) != 5, DAYS[4]),
    "periods": DAYS.to_period("D").where(np.arange(N) != 5, DAYS.to_period("D")[4]),
    "numbers": pd.Index(np.arange(N) - (np.arange(N) == 5)),
    "words": DAYS.where(np.arange(N) != 5, DAYS[4]).strftime("%Y-%m-%d"),
}


@pytest.mark.parametrize("case", SAME)
def test_rows_of_one_time_are_no_past_of_each_other(case: str) -> None:
    x = pd.DataFrame(ROWS, index=SAME[case])
    with pytest.warns(InputWarning, match="1 have the time of the row above, .* row 5. If they"):
        check_paired(x, History(1))
    check_paired(x, TimeSegments(3))
    check_paired(x, History(1, np.arange(N) >= 5))


def test_a_panel_in_the_order_of_time_is_remarked_on() -> None:
    for each in (2, 3):
        x = pd.DataFrame(ROWS, index=np.repeat(DAYS[: N // each], each))
        with pytest.warns(InputWarning, match=f"{N - N // each} have the time of the row above"):
            check_paired(x, History(1))


UNLIKE: dict[str, tuple[Any, Any]] = {
    "times in a zone and in none": (
        pd.Timestamp("2020-01-05"),
        pd.Timestamp("2020-01-04", tz="UTC"),
    ),
    "days and times": (date(2020, 1, 5), datetime(2020, 1, 4, 12)),
    "days and words": (date(2020, 1, 5), "2020-01-04"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_times_that_cannot_be_compared_are_named(case: str) -> None:
    first, second = UNLIKE[case]
    index = pd.Index([first] * 5 + [second] * (N - 5), dtype=object)
    for u in MADE:
        with pytest.raises(ValueError, match=r"can be compared; got .* in rows 4 and 5. Make them"):
            check_paired(pd.DataFrame(ROWS, index=index), u)


@pytest.mark.parametrize(
    "form", ["%d/%m/%Y", "%d.%m.%y", "%m/%d/%Y %H:%M", "%d %b %Y", "%B %d, %Y"]
)
def test_words_for_dates_that_do_not_sort_are_remarked_on(form: str) -> None:
    x = pd.DataFrame(ROWS, index=DAYS.strftime(form))
    for u in MADE:
        with pytest.warns(InputWarning, match="not checked, since their index has dates as words"):
            check_paired(x, u)
    check_paired(x, np.zeros(N))


@pytest.mark.parametrize(
    "names",
    [[f"cell {i}" for i in range(N)], [*range(N - 1), "total"], ["s1-1-20"] * N, [None] * N],
)
def test_names_are_in_no_order_of_time(names: list[Any]) -> None:
    for u in MADE:
        check_paired(pd.DataFrame(ROWS, index=pd.Index(names, dtype=object)), u)


HOURS = pd.date_range("2023-10-28 07:00", periods=60, freq="35h")  # into winter and another year
# How programs write times, by whether the order of rows can be told from the words.
WRITTEN: dict[str, tuple[Any, bool]] = {
    **{form: (form, True) for form in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H", "%Y-%m-%dT%H:%M:%SZ")},
    **{form: (form, True) for form in ("%Y/%m/%d %H:%M", "%Y.%m.%d %H.%M", "%Y %m %d %H")},
    **{form: (form, True) for form in ("%Y%m%d%H", "%Y%m%dT%H%M%S", "%G-W%V-%u %H", "%Y-%j %H")},
    **{form: (form, True) for form in ("t%Y_%m_%d_%H", "run %Y-%m-%d %H h", "%Y年%m月%d日 %H時")},
    **{form: (form, False) for form in ("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d.%m.%y %H:%M")},
    **{form: (form, False) for form in ("%d %b %Y %H:%M", "%b %d, %Y %H:%M", "%Y-%b-%d %H:%M")},
    **{form: (form, False) for form in ("%Y-%m-%d %I:%M %p", "%Y/%m/%d %I:%M:%S %p")},
    "no zeros": (lambda t: f"{t.year}-{t.month}-{t.day} {t.hour}:{t.minute}", True),
    "no zeros, bars": (lambda t: f"{t.year}/{t.month}/{t.day} {t.hour}:{t.minute:02}", True),
    "hours without a zero": (lambda t: f"{t:%Y-%m-%d} {t.hour}:{t:%M}", True),
    "seconds since": (lambda t: f"{(t - HOURS[0]).total_seconds() / 7e4} s", True),
    "numbers of rows": (lambda t: f"row {(t - HOURS[0]) // pd.Timedelta('35h')}", True),
    "durations": (lambda t: str(t - HOURS[0]), True),
    "summer and winter": (lambda t: str(t.tz_localize("UTC").tz_convert("Europe/Paris")), False),
    "two zones": (lambda t: f"{t:%Y-%m-%d %H:%M} CE{'S' * (t.month == 10)}T", False),
}


def as_words(form: Any) -> list[str]:
    return [time.strftime(form) if isinstance(form, str) else form(time) for time in HOURS]


@pytest.mark.parametrize("made", MADE[:2], ids=repr)
@pytest.mark.parametrize("case", WRITTEN)
def test_rows_in_another_order_are_noticed_however_their_times_are_written(
    case: str, made: Any
) -> None:
    form, is_told = WRITTEN[case]
    words = [time.strftime(form) if isinstance(form, str) else form(time) for time in HOURS]
    rows = pd.DataFrame({"a": range(60), "b": 0}, index=words)
    in_order = nullcontext() if is_told else pytest.raises(InputWarning, match="not checked")
    with in_order:
        check_paired(rows, made)
    order = np.arange(60)
    for other in (order[::-1], np.r_[1:41, 0, 41:60], np.random.default_rng(0).permutation(60)):
        with pytest.raises((ValueError, InputWarning), match="goes back|not checked"):
            check_paired(rows.iloc[other], made)


def test_words_are_in_order_within_each_series() -> None:
    words = [f"2024/{month}/3" for month in (9, 10, 11)] * 4
    series = np.repeat([0, 1, 2, 3], 3)
    x = pd.DataFrame(ROWS, index=words)
    check_paired(x, History(1, series))
    with pytest.raises(InputWarning, match="goes back, first in row 4, from '2024/10/3' to '2024/"):
        check_paired(x.iloc[[0, 1, 2, 4, 3, 5, *range(6, 12)]], History(1, series))
