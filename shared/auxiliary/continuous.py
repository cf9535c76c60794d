"""What continuous values of u are: numbers, and dates and times as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.auxiliary.labels import check_none_missing
from identiflow.shared.inputs.arrays import OF_CELLS, floats_of
from identiflow.shared.inputs.columns import ranges_of
from identiflow.shared.inputs.moments import NUMBERED, as_numbers, as_numpy, is_in_zone
from identiflow.shared.inputs.remarks import remark
from identiflow.shared.inputs.validation import check_finite, first_word

NUMBERS = "numbers"
KINDS = {"M": "dates or times", "m": "durations"}  # numpy's words for the types of moments
ZONES = {True: " in a zone", False: " without a zone"}
NUMBERS_FOR_MOMENTS = (
    "u had dates, times or durations in fit and has plain numbers here, which are taken for "
    "nanoseconds. Pass moments: Continuous(pd.to_timedelta(u, unit='s')) of seconds."
)
OF_ZONES = (
    "Those without a zone are taken to be of UTC; t.dt.tz_convert(zone).dt.tz_localize(None) are "
    "the times of a place without its zone."
)
LEAST = 1e-8  # of all that there can be: below it waves differ by their rounding


def as_continuous(
    values: NDArray[Any], names: tuple[str, ...] | None = None
) -> NDArray[np.float64]:
    """Finite numbers, (N, q); dates and times as nanoseconds since 1970."""
    if values.dtype.kind == "c":
        raise ValueError("Expected continuous u to be real; got complex numbers.")
    if holds_moments(values):
        values = _with_numbers(values)
    try:
        values = floats_of(values) if values.dtype.kind in OF_CELLS else values.astype(np.float64)
    except (TypeError, ValueError) as error:
        where = first_word(values.reshape(len(values), -1), names)
        raise ValueError(f"Expected continuous u to be numeric; got {error}{where}.") from None
    check_finite(values, "u", names)
    return values.reshape(len(values), -1)


def _with_numbers(values: NDArray[Any]) -> NDArray[Any]:
    """The same with numbers for moments, in columns of objects that hold some."""
    if values.dtype.kind != "O" or values.ndim == 1:
        return as_numbers(moments_of(values))
    columns = [as_numbers(moments_of(c)) if holds_moments(c) else c for c in values.T]
    return np.array(columns, dtype=object).T


def holds_moments(values: NDArray[Any]) -> bool:
    """True for dates, times or durations."""
    if values.dtype.kind != "O":
        return values.dtype.kind in "mM"
    return any(isinstance(v, NUMBERED) or hasattr(v, "to_timestamp") for v in values.flat)


def moments_of(values: NDArray[Any]) -> NDArray[Any]:
    """Moments or durations, none of them missing, as an array of numpy's."""
    columns = list(values.reshape(len(values), -1).T)
    check_none_missing(columns, what="value")
    if values.dtype.kind in "mM":
        return values
    try:
        moments = [[as_numpy(value) for value in column] for column in columns]
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected continuous u to be numeric; got {error}.") from None
    _check_zones(columns)
    _check_one_kind(moments)
    together = np.array(moments).T.reshape(values.shape)
    if together.dtype.kind == "O":
        raise ValueError(
            "Expected continuous u of durations of one unit; got months or years beside shorter "
            "ones, which have no length in days. Give all of them in days or in months."
        )
    return together


def kinds_of(values: NDArray[Any]) -> tuple[str, ...]:
    """What each column of continuous values, (N,) or (N, q), holds: numbers, durations, ..."""
    return tuple(map(_kind_of, values.reshape(len(values), -1).T))


def _kind_of(column: NDArray[Any]) -> str:
    """In words; all values of a column (N,) that can be read are of one kind."""
    if not holds_moments(column):
        return NUMBERS
    kind = as_numpy(column[0]).dtype.kind
    return KINDS[kind] + (ZONES[is_in_zone(column[0])] if kind == "M" else "")


def remark_other_kinds(seen: Sequence[str] | None, moments: bool, here: Sequence[str]) -> None:
    """Warn of continuous values of another kind than in fit, which are other numbers there.

    Args:
        seen: what `kinds_of` said in fit; None if that is not known.
        moments: whether there were some in fit.
        here: what it says now; nothing for values that were made of x.
    """
    here = here or (NUMBERS,)
    if moments and set(here) == {NUMBERS}:
        remark(NUMBERS_FOR_MOMENTS)
        return
    pairs = list(zip(seen or (), here, strict=False))
    number = next((i for i, (then, now) in enumerate(pairs) if then != now), None)
    if number is None:
        return
    then, now = pairs[number]
    column = f" in column {number}" if len(pairs) > 1 else ""
    is_zone = {then, now} == {KINDS["M"] + zone for zone in ZONES.values()}
    way = f" {OF_ZONES}" if is_zone else ""
    remark(f"u had {then} in fit and has {now} here{column}. Pass them as in fit.{way}")


def _check_zones(columns: list[NDArray[Any]]) -> None:
    if any(len(set(map(is_in_zone, column))) > 1 for column in columns):
        raise ValueError(
            "Expected continuous u of times that are all in a zone, or none; got both in one "
            "column. Say of which zone the others are."
        )


def _check_one_kind(columns: list[list[Any]]) -> None:
    for column in columns:
        kinds = sorted({KINDS.get(value.dtype.kind, NUMBERS) for value in column})
        if len(kinds) > 1:
            raise ValueError(
                f"Expected continuous u of one kind in each column; got {' and '.join(kinds)} in "
                "one. Give each a column of its own, or make all of them one."
            )


def ranges_within(
    values: NDArray[np.float64], limits: tuple[float, float] | None
) -> NDArray[np.float64]:
    """The largest less the smallest value of each column; 0 if they differ by rounding, (q,)."""
    ranges = ranges_of(values)
    least = 0.0 if limits is None else LEAST * (limits[1] - limits[0])
    return np.where(ranges > least, ranges, 0.0)


def limits_of(
    values: NDArray[np.float64], ranges: NDArray[np.float64], limits: tuple[float, float] | None
) -> tuple[list[float], list[float]]:
    """The smallest and the largest value of each column that λ(u) is to answer for.

    Of a column that fit saw one value of, that value, whatever others there can be.
    """
    low, high = limits or (values.min(0), values.max(0))
    only = np.median(values, axis=0)
    return np.where(ranges > 0, low, only).tolist(), np.where(ranges > 0, high, only).tolist()
