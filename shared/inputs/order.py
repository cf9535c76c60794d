"""Whether rows are in order of time, going by their index, where u is made of their positions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.inputs.remarks import remark

GAP = 20  # times the usual step between two rows
# Words for moments that sort as these do, where all are of one zone.
SORTED = re.compile(r"\d{4}-\d\d(-\d\d([T ]\d\d(:\d\d.*)?)?)?")
MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
DAY = re.compile(r"\d{4}-\d\d-\d\d")  # of which the rest may be another
UNSORTED = re.compile(rf"\d\d?[./ -](\d\d?|{MONTH})[./ -]\d\d(\d\d)?\b.*|{MONTH}\.? \d.*", re.I)
YEAR_FIRST = re.compile(r"\d{4}[./ -]\w.*")
ZONE = re.compile(r":\d\d.*?(Z|[+-]\d\d:?\d\d| [A-Z]{2,5})$")
DIGITS = re.compile(r"\d+")
DECIMAL = re.compile(r"\d+\.\d+")


def check_order(name: str, index: Any, u: Any) -> None:
    """Raise, or warn, if the index of rows says that they are not in order of time.

    Args:
        name: of the rows, in errors.
        index: theirs, pandas' own.
        u: made of rows in order of time, with an attribute `series` if it can tell some apart.

    Raises:
        ValueError: for moments that go back, that are missing, or that cannot be compared.
    """
    made, series = type(u).__name__, getattr(u, "series", None)
    if getattr(index, "nlevels", 1) > 1:
        levels = [index.get_level_values(i) for i in range(index.nlevels)]
        who = next((i for i, level in enumerate(levels) if not _are_moments(level)), 0)
        if series is None and levels[who].nunique() > 1:
            return _remark_several(made, name, who, index.names[who])
        index = next((level for level in reversed(levels) if _are_moments(level)), levels[-1])
    if getattr(getattr(series, "dtype", None), "kind", "O") == "M":
        return remark(
            "u = History(lags, series) takes series for names of recordings; got moments. Pass "
            "what tells recordings apart, with the rows of each together and in order of time."
        )
    if not _are_moments(index) and not _are_numbers(index):
        return _look_at_words(made, name, index, series)
    _check_none_missing(made, name, index)
    for first, last in _stretches(series, len(index)):
        stretch = index[first:last]
        if not stretch.is_monotonic_increasing:
            _refuse(made, name, stretch, first)
        elif made == "History":
            (_remark_same if stretch.has_duplicates else _remark_gap)(name, stretch, first)


def _stretches(series: Any, n_rows: int) -> Iterator[tuple[int, int]]:
    """The first row of each series and the row after its last; of all rows, if there is one."""
    values = [] if series is None else [str(value) for value in np.asarray(series).ravel()]
    if len(values) != n_rows:  # none, or an error that others raise
        return iter([(0, n_rows)])
    starts = [row for row in range(n_rows) if not row or values[row] != values[row - 1]]
    return zip(starts, [*starts[1:], n_rows], strict=True)


def _are_numbers(index: Any) -> bool:
    return getattr(index.dtype, "kind", "O") in "iuf"


def _are_moments(index: Any) -> bool:
    """True for moments, or durations, of any kind, most of which may be words of ISO 8601."""
    if type(index).__name__ == "PeriodIndex" or getattr(index.dtype, "kind", "O") in "mM":
        return True
    return not _are_numbers(index) and 2 * int(_of_time(index).sum()) > len(index)


def _of_time(index: Any) -> AnyArray:
    """Where labels of an index say when a row was, (N,); nowhere, if words for it do not sort."""
    if getattr(index.dtype, "kind", "O") != "O":
        return ~np.asarray(index.isna())
    words = [label for label in index if isinstance(label, str)]
    if _are_of_zones(words) or any(DAY.match(w) and not SORTED.fullmatch(w) for w in words):
        return np.zeros(len(index), dtype=bool)
    return np.array([isinstance(i, date) or bool(SORTED.fullmatch(str(i))) for i in index])


def _check_none_missing(made: str, name: str, index: Any) -> None:
    """Raise for rows whose index says nothing of when they were, as that of others does."""
    missing = ~_of_time(index) | np.asarray(index.isna())
    if missing.any():
        row = int(missing.argmax())
        raise ValueError(
            f"Expected a time in the index of every row of {name}, of which u = {made} takes the "
            f"order; got none in {int(missing.sum())} of {len(index)} rows, the first "
            f"{index[row]!r} in row {row}. Drop those rows, or pass {name}.to_numpy() if all are "
            "in order."
        )


def _refuse(made: str, name: str, index: Any, first: int) -> None:
    """Raise for moments that go back, warn of numbers that do."""
    row = first + _first_back(name, index, first)
    text = (
        f"u = {made} takes the rows of {name} in order of time; their index goes back, first "
        f"in row {row}. Pass {name}.sort_index()"
    )
    if not _are_numbers(index):
        raise ValueError(f"Expected rows in their order: {text}, or sort by series and time.")
    remark(f"{text}, or {name}.to_numpy() if the index is no time.")


def _first_back(name: str, index: Any, first: int) -> int:
    """The first row that is before the one above it."""
    for row in range(1, len(index)):
        try:
            if index[row] < index[row - 1]:
                return row
        except TypeError:
            raise ValueError(
                f"Expected times in the index of {name} that can be compared; got "
                f"{index[row - 1]!r} and {index[row]!r} in rows {first + row - 1} and "
                f"{first + row}. Make them of one kind, by pd.to_datetime(..., utc=True)."
            ) from None
    return 0


def _look_at_words(made: str, name: str, index: Any, series: Any) -> None:
    """Warn of an index of words that goes back by the numbers in them, or that may do so."""
    words = [str(label) for label in index]
    forms = {_form(word) for word in words}
    of_dates = _most(UNSORTED, words) or (_most(YEAR_FIRST, words) and len(forms) > 1)
    if of_dates or _are_of_zones(words):
        return remark(
            f"u = {made} takes the rows of {name} in order of time; whether they are is not "
            f"checked, since their index has dates as words, such as {words[0]!r}. Read them with "
            "pd.to_datetime."
        )
    if len(forms) > 1:
        return None
    numbers = [_numbers_in(word) for word in words]
    for first, last in _stretches(series, len(words)):
        for row in range(first + 1, last):
            if numbers[row] < numbers[row - 1]:
                return remark(
                    f"u = {made} takes the rows of {name} in order of time; their index goes back, "
                    f"first in row {row}, from {words[row - 1]!r} to {words[row]!r}. Sort them by "
                    f"time, or pass {name}.to_numpy() if the index is no time."
                )
    return None


def _most(pattern: re.Pattern[str], words: Sequence[str]) -> bool:
    """True if most words, by the first of them, are of a pattern."""
    return 2 * sum(pattern.fullmatch(word) is not None for word in words[:100]) > len(words[:100])


def _form(word: str) -> str:
    """A word without its digits: the same for words of which numbers say the order."""
    return DIGITS.sub("#", word)


def _are_of_zones(words: Sequence[str]) -> bool:
    """True for words for times that say of which zone they are, if it is not the same of all."""
    found = [ZONE.search(word) for word in words]
    return len({match[1] for match in found if match}) > 1


def _numbers_in(word: str) -> list[float]:
    """The numbers in a word, that which counts most first."""
    is_one = len(DIGITS.findall(word)) == 2 and DECIMAL.search(word)  # 0.5 s, and not 1.2.2024
    return [float(part) for part in (DECIMAL if is_one else DIGITS).findall(word)]


def _remark_several(made: str, name: str, number: int, level: Any) -> None:
    """Warn of an index of several series, which a level of it names."""
    order = f" once the rows are sorted by it: {name}.sort_index(level={number})" if number else ""
    remark(
        f"u = {made} takes all rows of {name} for one series; their index has several "
        f"{level or f'values of level {number}'!r}. Pass them as u or as series, "
        f"{name}.index.get_level_values({number}){order}."
    )


def _remark_same(name: str, index: Any, first: int) -> None:
    """Warn of rows of one time, of which none is the past of another."""
    again = np.asarray(index.duplicated())
    remark(
        f"u = History takes each row of {name} for the past of the next; {int(again.sum())} have "
        f"the time of the row above, the first of them row {first + int(again.argmax())}. If they "
        "are of several series, sort by series and time and pass History(lags, series)."
    )


def _remark_gap(name: str, index: Any, first: int) -> None:
    """Warn of pasts that reach across a gap in time."""
    times = getattr(index, "asi8", None)  # in the index's unit
    if times is None and _are_numbers(index):
        times = index.to_numpy()
    if times is None or len(times) < 3:
        return
    steps = np.abs(np.diff(times.astype(float)))
    if steps.max() > GAP * max(np.median(steps), np.finfo(float).tiny):
        row = int(steps.argmax()) + 1
        remark(
            f"u = History takes the rows of {name} for one series; between rows {first + row - 1} "
            f"and {first + row} lie {index[row] - index[row - 1]}. If that is a gap, tell the parts"
            " apart: History(lags, series)."
        )
