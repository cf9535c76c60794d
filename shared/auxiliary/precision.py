"""Numbers that went through single precision: 0.10000000149011612 is what it makes of 0.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_they_print(values: NDArray[Any]) -> NDArray[np.float64]:
    """0.1 of any precision as the float64 0.1."""
    if values.dtype.itemsize >= 8:
        return values.astype(np.float64)
    different, position = np.unique(values, return_inverse=True)
    return different.astype(str).astype(np.float64)[position.reshape(-1)]


def floats_of(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Objects that are numbers, (N,), as float64, those of lower precision as they print."""
    return np.array([float(str(n) if is_below_double(n) else n) for n in numbers], np.float64)


def is_below_double(number: Any) -> bool:
    """True for one of numpy's floats of half or single precision."""
    return isinstance(number, np.floating) and number.itemsize < 8


def word_in_double(word: str) -> str:
    """The word of a number as single precision prints it, if it went through that."""
    try:
        value = np.array([float(word)])
    except ValueError:
        return word
    return str(as_they_print(_single(value))[0]) if _went_through(value)[0] else word


def places_in_single(
    values: NDArray[np.float64], known: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The place of each value (N,) among those known (K,), and where it is one of them.

    It is where both are one number in single precision, no other that is known is, and one of the
    two plainly went through it. Of 0.5 and 0.5000000001 neither did: they are two numbers.
    """
    singles = _single(known)
    order = np.argsort(singles, kind="stable")
    first, last = (
        np.searchsorted(singles[order], _single(values), side) for side in ("left", "right")
    )
    places = order[first.clip(max=len(known) - 1)]
    went_through = _went_through(values) | _went_through(known)[places]
    return places, (last - first == 1) & went_through


def twins_in_single(labels: Sequence[Any]) -> list[tuple[float, float]]:
    """Pairs of labels that differ by what single precision makes of one of them."""
    if not all(isinstance(label, float) for label in labels):
        return []
    values = np.unique(np.asarray(labels, dtype=np.float64))
    same = _single(values[1:]) == _single(values[:-1])
    same &= _went_through(values[1:]) | _went_through(values[:-1])
    return [(float(values[i]), float(values[i + 1])) for i in np.flatnonzero(same)]


def near_in_single(label: Any, known: Sequence[Any]) -> list[float]:
    """Those of the labels known that are this one in single precision."""
    if not isinstance(label, float):
        return []
    floats = np.array([other for other in known if isinstance(other, float)])
    return floats[_single(floats) == _single(np.array([label]))].tolist()


def _single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(np.float32)


def _went_through(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where numbers (N,) are those of single precision, but have more digits than that prints."""
    singles = _single(values)
    return (singles == values) & (as_they_print(singles) != values)
