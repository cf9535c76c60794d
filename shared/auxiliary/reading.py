"""Reads u in any form users have it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.auxiliary.kinds import Auxiliary, Columns
from identiflow.shared.auxiliary.values import as_array, as_continuous, as_labels
from identiflow.shared.inputs.validation import check_same_rows


def read_auxiliary(u: Any, x: NDArray[np.float64]) -> Columns:
    """u, in any form users have it, as labels and continuous values; one row for each row of x.

    Raises:
        ValueError: for missing values, labels beyond 64 bits, or another number of rows than x.
    """
    if u is None:
        raise ValueError(
            "Expected u, the auxiliary variable seen with every row of x; got None. Pass labels, "
            "continuous values, or TimeSegments(n) / History(lags) for a series."
        )
    columns = u.columns(x) if isinstance(u, Auxiliary) else _guess(u)
    check_same_rows(len(x), len(next(c for c in columns[:2] if c is not None)))
    return columns


def _guess(u: Any) -> Columns:
    if hasattr(u, "to_frame"):  # a series is a frame of one column
        u = u.to_frame()
    if hasattr(u, "dtypes") and hasattr(u, "columns"):
        return _read_frame(u)
    values = as_array(u)
    if values.dtype.kind == "f":
        return Columns(None, as_continuous(values))
    return Columns(as_labels(values), None)


def _read_frame(frame: Any) -> Columns:
    is_float = np.array([getattr(dtype, "kind", "O") == "f" for dtype in frame.dtypes], dtype=bool)
    floats, others = frame.loc[:, is_float], frame.loc[:, ~is_float]
    if not len(frame) or not len(is_float):
        raise ValueError(f"Expected u with rows and columns; got a frame of shape {frame.shape}.")
    labels = None if is_float.all() else as_labels(as_array(others))
    continuous = floats.to_numpy(dtype=float, na_value=np.nan) if is_float.any() else None
    names = [[str(name) for name in part.columns] for part in (others, floats)]
    values = None if continuous is None else as_continuous(continuous)
    return Columns(labels, values, names)
