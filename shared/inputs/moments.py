"""Dates, times and durations as words: the same moment is the same word, whatever holds it."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import numpy as np

from identiflow.shared.inputs.arrays import AnyArray

MOMENTS = (date, timedelta, np.datetime64, np.timedelta64)
NUMBERED = (*MOMENTS, time)  # as continuous values; a time of day is a duration since midnight
UTC = "+00:00"  # after the word of a moment in a zone
COARSE = ("generic", "Y", "M", "W")  # numpy's units of a day and longer
LENGTHS = {"Y": "years", "M": "months", "generic": "some of no unit"}  # that no length is known of
# A moment as numpy, pandas and ISO 8601 write it: a date, and a time unless it is midnight.
WRITTEN = re.compile(r"(\d{4,}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?")


def words_of(moments: AnyArray) -> AnyArray:
    """An array of datetime64 or timedelta64 (N,), none missing, as words.

    A moment is 2020-01-31, or 2020-01-31 12:30:00 with the digits of the second that are not 0; a
    duration is as Python writes it, 1 day, 0:00:00.
    """
    different, position = np.unique(moments, return_inverse=True)
    if different.dtype.kind == "m":
        _check_length(different)
        words = [_duration(value) for value in different]
    else:
        unit = np.datetime_data(different.dtype)[0]
        finer = {"h": "s", "m": "s"} | dict.fromkeys(COARSE, "D")
        different = different.astype(f"M8[{finer.get(unit, unit)}]")
        words = [as_written(word) for word in np.datetime_as_string(different).tolist()]
    return np.asarray(words)[position.reshape(-1)]


def word_of(moment: Any) -> str:
    """One moment or duration, of Python, numpy or pandas, as its word."""
    return words_of(as_numpy(moment)[None])[0] + (UTC if is_in_zone(moment) else "")


def as_numpy(moment: Any) -> Any:
    """A moment (UTC if in a zone), time of day or duration as a number of numpy's, exactly."""
    if hasattr(moment, "to_timestamp"):  # a period, of which this is the beginning
        moment = moment.to_timestamp()
    if is_in_zone(moment):
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    for way in ("to_datetime64", "to_timedelta64"):  # of pandas, which knows nanoseconds
        if hasattr(moment, way):
            return getattr(moment, way)()
    if isinstance(moment, np.generic):
        return moment
    if isinstance(moment, time):
        moment = datetime.combine(date.min, moment.replace(tzinfo=None)) - datetime.min
    return np.timedelta64(moment) if isinstance(moment, timedelta) else np.datetime64(moment)


def is_in_zone(moment: Any) -> bool:
    """True for a time that says of which zone it is."""
    return isinstance(moment, datetime) and moment.tzinfo is not None


def as_written(word: str) -> str:
    """A word that writes a moment, in the one way; any other word as it is."""
    parts = WRITTEN.fullmatch(word)
    if parts is None:
        return word
    day, time = parts.groups(default="")
    time = time if time.count(":") == 2 or not time else f"{time}:00"
    time = time.rstrip("0").rstrip(".") if "." in time else time
    return f"{day} {time}" if time.strip("0:") else day


def as_numbers(moments: AnyArray) -> AnyArray:
    """Moments as nanoseconds since 1970, durations as nanoseconds, as floats."""
    ticks, size = _ticks(moments)
    return ticks.astype(np.float64) * size


def phases_of(moments: AnyArray, period: float) -> AnyArray:
    """The part of a period, in nanoseconds, that each moment is into one, from 0 to 1.

    Exactly, where it is a whole number of ticks: floats have too few digits for moments.
    """
    ticks, size = _ticks(moments)
    length = period / size
    return (ticks % int(length) if length % 1 == 0 else ticks.astype(np.float64) % length) / length


def _ticks(moments: AnyArray) -> tuple[AnyArray, float]:
    """Moments as whole numbers, and how many nanoseconds one is."""
    kind = moments.dtype.kind
    if np.datetime_data(moments.dtype)[0] in COARSE:
        moments = moments.astype(f"{kind}8[D]")
    unit, count = np.datetime_data(moments.dtype)
    size = np.array(count, dtype=f"m8[{unit}]") / np.timedelta64(1, "ns")
    return moments.astype(np.int64), float(size)


def _check_length(durations: AnyArray) -> None:
    """Raise for durations of months or years, which are not of one length."""
    unit = np.datetime_data(durations.dtype)[0]
    if unit in LENGTHS:
        raise ValueError(
            f"Expected durations of a fixed length as labels of u; got {LENGTHS[unit]}. Pass their "
            "number: u.astype(int)."
        )


def _duration(value: np.timedelta64) -> str:
    whole = value.astype("m8[us]")
    rest = int((value - whole) / np.timedelta64(1, "ns")) if whole != value else 0
    return str(whole.astype(object)) + (f" and {rest} ns" if rest else "")
