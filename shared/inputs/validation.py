"""Checks of what users pass in: each error names the argument, what was expected and what came."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from identiflow.shared.inputs.rows import chunks_of

MIN_ROWS = 10
# Sums of squares of numbers much beyond these overflow float64, or vanish. They are in float64, so
# that single and half precision are compared with them and not they with those.
SMALLEST, LARGEST = np.float64(1e-100), np.float64(1e100)


def as_matrix(values: Any, name: str = "x", columns: int | None = None) -> NDArray[Any]:
    """`values` as a finite float64 matrix (N, d); a memory-map as it is, checked part by part.

    Takes numpy arrays, torch tensors, pandas frames, memory-maps and nested lists.

    Raises:
        TypeError: for a sparse matrix, or cells that are no numbers or strings of numbers.
        ValueError: if it is not numeric, not two-dimensional, not finite, or not `columns` wide.
    """
    on_disk = isinstance(values, np.memmap) and values.dtype.kind in "fiub"
    array = values if on_disk else to_numpy(values, name)
    if array.dtype.kind == "c":
        raise ValueError(
            f"Expected {name} to be numeric, shape (N, d); got complex numbers. Complex data not "
            "supported."
        )
    try:
        matrix = array if on_disk else array.astype(np.float64, order="C", copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raised = TypeError if isinstance(error, TypeError) else ValueError
        raise raised(f"Expected {name} to be numeric, shape (N, d); got {error}.") from None
    if matrix.ndim != 2:
        raise ValueError(
            f"Expected {name} of shape (N, d), one row for each observation; got shape "
            f"{matrix.shape}. Reshape your data: a single column is {name}[:, None]."
        )
    if columns is not None and matrix.shape[1] != columns:
        raise ValueError(
            f"Expected {name} with {columns} columns, as in fit; got {matrix.shape[1]}."
        )
    check_finite(matrix, name)
    return matrix


def to_numpy(values: Any, name: str) -> NDArray[Any]:
    """`values` as a numpy array, with its memory where that can be; no mask is dropped on the way.

    Raises:
        TypeError: for what is sparse, or a tensor without data.
        ValueError: for masked cells, or rows of different lengths.
    """
    if hasattr(values, "toarray") or getattr(values, "layout", torch.strided) != torch.strided:
        raise TypeError(f"Expected {name} to be dense; got a sparse matrix. Pass its toarray().")
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"Expected {name} without masked cells; got {np.ma.count_masked(values)} of them. Drop "
            "or impute those rows."
        )
    if isinstance(values, torch.Tensor):
        return _of_tensor(values.detach(), name)
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"Expected {name} with rows of one length; got {error}. Pass an array."
        ) from None


def _of_tensor(values: torch.Tensor, name: str) -> NDArray[Any]:
    if values.is_meta:
        raise TypeError(f"Expected {name} to hold values; got a tensor on the device 'meta'.")
    known_to_numpy = values.dtype != torch.bfloat16
    return (values if known_to_numpy else values.float()).cpu().resolve_conj().numpy()


def check_finite(values: NDArray[Any], name: str) -> None:
    """Raise for NaN, infinity and what is nearly that, saying how many and where the first is."""
    n_bad, first, rows_before = 0, None, 0
    for part in chunks_of(values):
        bad = ~(np.abs(part) <= LARGEST)  # of which squares and their sums are finite
        if first is None and bad.any():
            row, *rest = (int(i) for i in np.argwhere(bad)[0])
            first = (rows_before + row, *rest)
        n_bad, rows_before = n_bad + int(bad.sum()), rows_before + len(part)
    if n_bad:
        raise ValueError(
            f"Expected finite values in {name}; got {n_bad} NaN, infinite or beyond {LARGEST:g}, "
            f"the first at {first}. Drop or impute those rows."
        )


def check_enough_rows(x: NDArray[Any], needed: int) -> None:
    """Raise if x has no column, fewer rows than needed, or too few to hold some of them out."""
    if not x.shape[1]:
        raise ValueError(
            f"Expected x with at least 1 column; got 0 feature(s) (shape={x.shape}) while a "
            "minimum of 1 is required."
        )
    needed = max(MIN_ROWS, needed)
    if len(x) < needed:
        raise ValueError(
            f"Expected x with at least {needed} rows for {x.shape[1]} columns; got n_samples = "
            f"{len(x)}. "
            "Collect more rows or use fewer columns."
        )


def check_varying(x: NDArray[Any]) -> None:
    """Raise if a column of x is constant: it has no density and cannot be standardised."""
    spread = x.max(0).astype(np.float64) - x.min(0)  # np.ptp knows no booleans
    constant = np.flatnonzero(spread == 0)
    if len(constant):
        raise ValueError(
            f"Expected every column of x to vary; got constant column(s) {constant.tolist()}. "
            "Drop them: a constant carries no density."
        )
    check_spread(spread, "x")


def check_spread(spread: NDArray[Any], name: str) -> None:
    """Raise if a column's values differ, but by so little (d,) that the squares of that are 0."""
    tiny = np.flatnonzero((spread > 0) & (spread < SMALLEST))
    if len(tiny):
        raise ValueError(
            f"Expected columns of {name} that vary by at least {SMALLEST:g}; got "
            f"{spread[tiny[0]]:g} in column {tiny[0]}. Use another unit."
        )


def check_same_rows(n_x: int, n_u: int) -> None:
    """Raise unless x and u have one row for each other."""
    if n_x != n_u:
        raise ValueError(
            f"Expected u with {n_x} rows, one for each row of x; got {n_u}. "
            "Pass the u that was observed with these x."
        )
