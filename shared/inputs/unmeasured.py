"""What in a column is no measurement: values that many rows share, codes, counts of the rows.

Where one value has a probability of its own, x has no density.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from identiflow.shared.inputs.arrays import Array

# What is written where nothing was measured: -9, 999, -8888, the smallest integers, 1e20 and more.
CODES = np.array(
    [sign * int(digit * n) for sign in (1, -1) for digit in "789" for n in range(1, 7)]
    + [-(2**15), -(2**31), -1e20, -1e30, 1e20, 1e30, 9.96921e36]
)
ENOUGH = 10  # rows, of which an order says something


@dataclass(frozen=True)
class Atom:
    """A value that many rows share.

    Attributes:
        column: its number.
        value: in units of x.
        share: of the rows.
    """

    column: int
    value: float
    share: float


def atoms(x: Array, share: float) -> list[Atom]:
    """The most frequent value of each column of x (N, d) in which that many rows or more share it.

    Args:
        x: rows (N, d).
        share: of the rows, above 1 / N.
    """
    columns = np.sort(x.T, axis=1)  # rows of it lie together
    several = max(1, int(np.ceil(share * len(x))) - 1)
    equal = columns[:, several:] == columns[:, : len(x) - several]
    return [_most_frequent(int(i), columns[i]) for i in np.flatnonzero(equal.any(1))]


def _most_frequent(column: int, values: Array) -> Atom:
    different, counts = np.unique(values, return_counts=True)
    most = int(counts.argmax())
    return Atom(column, float(different[most]), float(counts[most] / len(values)))


def codes(x: Array) -> Iterator[Atom]:
    """Values of columns of x (N, d) that may say that nothing was measured, as -999 beside 3.7.

    They are further away from all other values than these are from each other.
    """
    suspects = np.isin(x.min(0), CODES) | np.isin(x.max(0), CODES)
    for column in map(int, np.flatnonzero(suspects)):
        values = x[:, column]
        is_code = np.isin(values, CODES)
        others = values[~is_code]
        if not len(others):
            continue
        for code in np.unique(values[is_code]):
            if np.abs(others - code).min() > max(np.ptp(others), 1):
                yield Atom(column, float(code), float(np.mean(values == code)))


def counts_of_rows(x: Array) -> list[int]:
    """The columns of x (N, d) that rise or fall in equal steps, or are 1 to N in any order."""
    if len(x) < ENOUGH:
        return []
    steps = np.diff(x, axis=0)
    equal = (np.abs(steps - steps[0]) <= 1e-6 * np.abs(steps[0])).all(0) & (steps[0] != 0)
    whole = (np.ptp(x, axis=0) == len(x) - 1) & (x == np.round(x)).all(0)
    shuffled = [len(np.unique(x[:, i])) == len(x) for i in np.flatnonzero(whole)]
    equal[np.flatnonzero(whole)] |= np.array(shuffled, dtype=bool)
    return np.flatnonzero(equal).tolist()
