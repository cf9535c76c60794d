"""The groups that labels make of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.inputs.validation import to_numpy
from identiflow.shared.metrics._arrays import expect_rows

_MIN_ROWS = 3  # two points always lie on a line: |corr| would be 1


def rows_of_groups(u: Any, n_rows: int) -> list[AnyArray]:
    """Return the row indices of each distinct label of u."""
    labels = _as_labels(u)
    expect_rows(len(labels), "u", n_rows, "z_true")
    try:
        missing = np.count_nonzero(labels != labels)  # only NaN differs from itself
        names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    except TypeError as error:  # labels that cannot be compared
        raise ValueError(
            f"Expected u with labels of one kind and none missing; got {error}. "
            "Pass integers or strings, one a row."
        ) from error
    if missing:
        raise ValueError(
            f"Expected u without NaN; got {missing} rows of it. "
            "Drop these rows, or give them a label of their own."
        )
    if counts.min() < _MIN_ROWS:
        raise ValueError(
            f"Expected u with at least {_MIN_ROWS} rows in each group; got {counts.min()} in group "
            f"{names[counts.argmin()]}. Drop such groups, or bin a continuous u."
        )
    return np.split(np.argsort(index, kind="stable"), np.cumsum(counts)[:-1])


def _as_labels(u: Any) -> AnyArray:
    labels = to_numpy(u, "u")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(
            f"Expected u of shape (N,) or (N, 1); got {labels.shape}. Pass one label for each row."
        )
    return labels
