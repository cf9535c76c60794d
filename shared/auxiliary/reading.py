"""Reads u in any form users have it, as labels and continuous values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.inputs.validation import check_finite, check_same_rows, to_numpy

INT64 = np.iinfo(np.int64)


class Columns(NamedTuple):
    """The parts of u: labels (N,) or None, and continuous values (N, q) or None."""

    labels: NDArray[Any] | None
    continuous: NDArray[np.float64] | None
    # The names of those columns in a data frame, labels first.
    names: list[list[str]] | None = None


class Auxiliary(ABC):
    """Says how u is to be read. Pass an instance in the place of u."""

    @abstractmethod
    def columns(self, x: NDArray[np.float64]) -> Columns:
        """The labels and continuous values of the rows of x."""

    def __len__(self) -> int:
        """The number of rows, for those that hold values of their own."""
        raise ValueError(
            f"Expected x together with u = {type(self).__name__}, made from the rows of x; got u "
            "alone. Pass x too, or the labels or values themselves."
        )


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


def as_array(values: Any) -> NDArray[Any]:
    """A list, tensor, array or frame as an array (N,) or (N, q), no label changed on the way."""
    if hasattr(values, "columns") and hasattr(values, "dtypes") and values.dtypes.nunique() > 1:
        values = values.to_numpy(dtype=object)  # a type in common could round some of them
    array = to_numpy(values, "u")
    if array.dtype.kind in "fU" and not hasattr(values, "dtype"):
        # Of a list numpy makes ["a", nan] strings and [2**63, -1] floats.
        plain = np.asarray(values, dtype=object)
        if array.dtype.kind == "U" or all(isinstance(value, int) for value in plain.flat):
            array = plain
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"Expected u of shape (N,) or (N, q); got shape {array.shape}.")
    return array


def as_continuous(values: NDArray[Any]) -> NDArray[np.float64]:
    """Finite numbers, (N, q)."""
    if values.dtype.kind == "c":
        raise ValueError("Expected continuous u to be real; got complex numbers.")
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected continuous u to be numeric; got {error}.") from None
    check_finite(values, "u")
    return values.reshape(len(values), -1)


def as_labels(values: NDArray[Any]) -> NDArray[Any]:
    """One label a row, (N,): of several columns, the combination."""
    if values.ndim == 2 and values.shape[1] > 1:
        return _joint_labels(values)
    values = values.reshape(-1)
    if values.dtype.kind == "f":
        check_finite(values, "u")
        return values
    _check_none_missing(values)
    if values.dtype.kind == "O":
        return _object_labels(values)
    if values.dtype.kind == "u" and values.size and values.max() > INT64.max:
        raise ValueError(
            f"Expected integer labels of u within 64 bits (≤ {INT64.max}); got {values.max()}. "
            "Use strings for identifiers this long."
        )
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "backslashreplace")
    return values.astype(np.int64) if values.dtype.kind in "bui" else values.astype(str)


def _joint_labels(values: NDArray[Any]) -> NDArray[Any]:
    """One label for each combination of the columns: "subject 1, left"."""
    _check_none_missing(values)
    rows = [[str(part).replace("\\", r"\\").replace(",", r"\,") for part in row] for row in values]
    return np.asarray([", ".join(row) for row in rows])


def _check_none_missing(values: NDArray[Any]) -> None:
    if values.dtype.kind not in "OfMm":
        return
    rows = values.reshape(len(values), -1)
    missing = [i for i, row in enumerate(rows) if any(map(_is_missing, row))]
    if missing:
        raise ValueError(
            f"Expected a label in every row of u; got {len(missing)} missing, the first in row "
            f"{missing[0]}. Drop those rows or give them a label of their own."
        )


def _is_missing(value: Any) -> bool:
    # NaN and NaT differ from themselves; pandas' NA refuses to say, which is a TypeError.
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def _object_labels(values: NDArray[Any]) -> NDArray[Any]:
    if all(isinstance(v, (int, np.integer)) for v in values):
        too_large = [v for v in values if not INT64.min <= v <= INT64.max]
        if too_large:
            raise ValueError(
                f"Expected integer labels of u within 64 bits (≤ {INT64.max}); got "
                f"{too_large[0]}. Use strings for identifiers this long."
            )
        return values.astype(np.int64)
    return values.astype(str)
