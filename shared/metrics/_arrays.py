"""Input of every metric: arrays, tensors and frames become checked 2-D numpy arrays, not copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from identiflow.shared.inputs.arrays import AnyArray, floats_of
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.inputs.remarks import remark
from identiflow.shared.inputs.validation import LARGEST, to_numpy

_BLOCK_ENTRIES = 2**16  # 0.5 MiB of float64: a block stays in cache while it is worked on


def as_columns(values: Any, name: str, min_rows: int = 2) -> AnyArray:
    """Return `values` as a finite real array of shape (N, d); one dimension becomes one column."""
    matrix = _as_numbers(values, name)
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(
            f"Expected {name} of shape (N, d) or (N,), d >= 1; got {matrix.shape}. "
            "Pass one row for each sample and one column for each latent."
        )
    if len(matrix) < min_rows:
        raise ValueError(
            f"Expected {name} with at least {min_rows} rows; got {len(matrix)}. "
            "Pass more samples, one in each row."
        )
    _expect_finite(matrix, name)
    return _without_underflow(matrix)


def as_pair(z_true: Any, z_pred: Any) -> tuple[AnyArray, AnyArray]:
    """Return both as checked matrices that have the same number of rows."""
    check_paired(z_true, z_pred, names=("z_true", "z_pred"))
    true, pred = as_columns(z_true, "z_true"), as_columns(z_pred, "z_pred")
    expect_rows(len(pred), "z_pred", len(true), "z_true")
    if len(true) < true.shape[1]:
        remark(
            f"z_true has {len(true)} rows and {true.shape[1]} columns: of so few rows any two "
            "latents correlate by chance. One row is one sample; transpose if columns are."
        )
    return true, pred


def expect_rows(got: int, name: str, expected: int, other: str) -> None:
    """Raise ValueError unless `name` has one row for each row of `other`."""
    if got != expected:
        raise ValueError(
            f"Expected {name} with {expected} rows, one for each row of {other}; got {got}. "
            "Pass the same samples in the same order."
        )


def row_blocks(matrix: AnyArray) -> Iterator[slice]:
    """Yield slices that cover the rows of `matrix` in blocks of bounded memory."""
    step = max(1, _BLOCK_ENTRIES // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), step):
        yield slice(start, start + step)


def _as_numbers(values: Any, name: str) -> AnyArray:
    try:
        array = to_numpy(values, name)
        if array.dtype == object:  # from a frame with nullable columns
            array = floats_of(array)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected {name} to be an array of numbers; got {type(values).__name__} ({error}). "
            "Pass a numpy array, a tensor or a numeric frame."
        ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"Expected {name} to hold real numbers; got dtype {array.dtype}. "
            "Convert it, or pass the numeric columns only."
        )
    return array


def _without_underflow(matrix: AnyArray) -> AnyArray:
    """The same, with columns whose squares would vanish multiplied by a power of two, exactly."""
    if matrix.dtype.kind != "f" or not matrix.size:
        return matrix
    sizes = np.maximum(matrix.max(0), -matrix.min(0))
    tiny = (sizes > 0) & (sizes < np.finfo(matrix.dtype).tiny ** 0.3)
    return np.ldexp(matrix, np.where(tiny, -np.frexp(sizes)[1], 0)) if tiny.any() else matrix


def _expect_finite(matrix: AnyArray, name: str) -> None:
    if matrix.dtype.kind != "f":
        return
    for rows in row_blocks(matrix):
        block = matrix[rows]
        flat = block.ravel(order="K")
        with np.errstate(over="ignore", invalid="ignore"):
            # One product, at the speed of memory. It is NaN or too large if any entry is.
            if float(flat @ flat) <= LARGEST:
                continue
        bad = ~(np.abs(block.astype(np.float64)) <= LARGEST)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise ValueError(
                f"Expected {name} to be finite and below {LARGEST:g} in size; got "
                f"{block[row, column]} in row {rows.start + row}, column {column}. "
                "Drop such rows, or look for a diverged fit."
            )
