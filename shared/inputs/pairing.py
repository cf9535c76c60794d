"""Rows of x and of u are paired by their position; where both have an index, it has to agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date
from typing import Any

import numpy as np

from identiflow.shared.inputs.containers import index_of
from identiflow.shared.inputs.moments import WRITTEN
from identiflow.shared.inputs.remarks import remark

GAP = 20  # times the usual step between two rows


def check_paired(x: Any, *others: Any, names: tuple[str, ...] = ("x", "u", "u_new")) -> None:
    """Raise if an index says that row i of two arguments are not of the same observation.

    pandas' frames and series have an index, and so have xarray's arrays with coordinates. Rows are
    never put in order: of two indexes one is wrong, and only the user knows which.

    Args:
        x: in any form.
        *others: what has a row for each of x: u in any form, or an `Auxiliary` that holds it.
        names: of all of them, in errors.

    Raises:
        ValueError: for indexes that differ in their labels or in the order of these.
    """
    indexed = [(names[0], index_of(x))]
    _expect_in_order(*indexed[0], others)
    for name, other in zip(names[1:], others, strict=False):
        indexed += _indexes(name, other)
    indexed = [(name, index) for name, index in indexed if index is not None]
    way = _way((x, *others)).format(names[0])
    for name, index in indexed[1:]:
        _compare(*indexed[0], name, index, way)


def _way(all_values: tuple[Any, ...]) -> str:
    """How rows are put into the order of another's; "" where each is of another library."""
    dims = [getattr(values, "dims", ()) for values in all_values]
    first = [names[:1] if isinstance(names, tuple) else None for names in dims]
    if not any(first):
        return "loc[{}.index]"
    return "reindex_like({})" if len(set(first)) == 1 else ""


def _expect_in_order(name: str, index: Any, others: tuple[Any, ...]) -> None:
    """Raise if u is made of rows in order of time, and their index says that they are not."""
    made = [u for other in others for u in parts_of(other) if getattr(u, "in_order", False)]
    if not made or index is None:
        return
    u, of = made[0], type(made[0]).__name__
    series = getattr(u, "series", None)
    if series is None and getattr(index, "nlevels", 1) > 1:
        levels = [index.get_level_values(i) for i in range(index.nlevels)]
        who = next((i for i, level in enumerate(levels) if not _are_moments(level)), 0)
        if levels[who].nunique() > 1:
            return _remark_several(of, name, who, index.names[who])
        index = levels[-1]
    if getattr(getattr(series, "dtype", None), "kind", "O") == "M":
        remark(
            "u = History(lags, series) takes series for names of recordings; got moments. Pass "
            "what tells recordings apart, with the rows of each together and in order of time."
        )
    for first, last in _stretches(series, len(index)):
        stretch = index[first:last]
        if not stretch.is_monotonic_increasing:
            _refuse_order(of, name, stretch, first)
        elif of == "History":
            _remark_gap(name, stretch, first)


def _stretches(series: Any, n_rows: int) -> Iterator[tuple[int, int]]:
    """The first row of each series and the row after its last; of all rows, if there is one."""
    values = [] if series is None else [str(value) for value in np.asarray(series).ravel()]
    if len(values) != n_rows:  # none, or an error that others raise
        return iter([(0, n_rows)])
    starts = [row for row in range(n_rows) if not row or values[row] != values[row - 1]]
    return zip(starts, [*starts[1:], n_rows], strict=True)


def _refuse_order(made: str, name: str, index: Any, first: int) -> None:
    """Raise for moments that go back, warn of numbers that do."""
    back = next(i for i in range(1, len(index)) if index[i] < index[i - 1])
    text = (
        f"u = {made} takes the rows of {name} in order of time; their index goes back, first "
        f"in row {first + back}. Pass {name}.sort_index()"
    )
    if _are_moments(index):
        raise ValueError(f"Expected rows in their order: {text}, or sort by series and time.")
    if getattr(index.dtype, "kind", "O") in "iuf":
        remark(f"{text}, or {name}.to_numpy() if the index is no time.")


def _are_moments(index: Any) -> bool:
    """True for moments, or durations, of any kind: pandas', Python's, or words of ISO 8601."""
    if getattr(index, "nlevels", 1) > 1:
        return any(_are_moments(index.get_level_values(i)) for i in range(index.nlevels))
    if type(index).__name__ in ("DatetimeIndex", "TimedeltaIndex", "PeriodIndex"):
        return True
    return all(isinstance(label, date) or WRITTEN.fullmatch(str(label)) for label in index)


def _remark_several(made: str, name: str, number: int, level: Any) -> None:
    """Warn of an index of several series, which a level of it names."""
    order = f" once the rows are sorted by it: {name}.sort_index(level={number})" if number else ""
    remark(
        f"u = {made} takes all rows of {name} for one series; their index has several "
        f"{level or f'values of level {number}'!r}. Pass them as u or as series, "
        f"{name}.index.get_level_values({number}){order}."
    )


def _remark_gap(name: str, index: Any, first: int) -> None:
    """Warn of pasts that reach across a gap in time."""
    if getattr(index, "nlevels", 1) > 1:
        index = index.get_level_values(-1)
    times = getattr(index, "asi8", None)  # in the index's unit
    if times is None and getattr(index.dtype, "kind", "O") in "iuf":
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


def parts_of(u: Any) -> Iterator[Any]:
    """An object in the place of u, and those that it holds."""
    yield u
    for part in _held_by(u).values():
        yield from parts_of(part)


def _held_by(u: Any) -> dict[str, Any]:
    """What an object in the place of u holds, by name; nothing for all else."""
    is_holder = is_dataclass(u) and not isinstance(u, type)
    return {field.name: getattr(u, field.name) for field in fields(u)} if is_holder else {}


def _indexes(name: str, values: Any) -> Iterator[tuple[str, Any]]:
    """The index of u, or of each of the parts that an object in its place holds."""
    held = _held_by(values)
    if not held:
        yield name, index_of(values)
    for part, value in held.items():
        yield from _indexes(f"{name}.{part}", value)


def _compare(name: str, index: Any, other: str, another: Any, way: str) -> None:
    if (
        _are_same(index, another)
        or _names_no_rows(index, another)
        or _names_no_rows(another, index)
    ):
        return
    by_position = f"{other}.to_numpy() pairs rows by their position"
    if index.has_duplicates or another.has_duplicates:
        advice = f"Labels come more than once, so only {by_position}. Pass that if it is right."
    elif way and index.nlevels == another.nlevels and index.isin(another).all():
        advice = f"Pass {other}.{way} to pair rows by their label; {by_position}."
    else:
        advice = f"Pass rows of the same observations in one order; {by_position}."
    raise ValueError(
        f"Expected {other} with the index of {name}, in the same order; got "
        f"{_difference(index, another)}. {advice}"
    )


def _are_same(index: Any, another: Any) -> bool:
    """True for equal labels; moments in another unit are unequal to `equals` of pandas 2.1."""
    if index.equals(another):
        return True
    are_moments = {getattr(i.dtype, "kind", "O") for i in (index, another)} in ({"M"}, {"m"})
    return are_moments and len(index) == len(another) and bool((index == another).all())


def _names_no_rows(index: Any, another: Any) -> bool:
    """True for the index that a frame has by default, beside one of other labels than integers."""
    is_default = type(index).__name__ == "RangeIndex" and index.equals(type(index)(len(index)))
    return is_default and getattr(another.dtype, "kind", "O") not in "iu"


def _difference(index: Any, another: Any) -> str:
    if len(index) != len(another):
        return f"{len(another)} rows for {len(index)}"
    row = next((i for i, pair in enumerate(zip(index, another, strict=True)) if _differ(*pair)), 0)
    return f"{another[row]!r} in row {row}, where {index[row]!r} is"


def _differ(label: Any, other: Any) -> bool:
    return not (label is other or label == other)
