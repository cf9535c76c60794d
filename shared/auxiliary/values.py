"""Labels and continuous values as numpy arrays, whatever they come as."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.inputs.validation import check_finite, to_numpy

INT64 = np.iinfo(np.int64)


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
