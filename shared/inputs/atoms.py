"""Values that many rows share: where one has a probability of its own, x has no density."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from identiflow.shared.inputs.arrays import Array


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
