"""Checks of what users pass in: each error names the argument, what was expected and what came."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from identiflow.shared.inputs.arrays import OF_CELLS, as_number, floats_of
from identiflow.shared.inputs.columns import ranges_of
from identiflow.shared.inputs.containers import (
    PLAIN,
    column_names,
    expect_rows,
    is_pandas,
    table_of,
)
from identiflow.shared.inputs.remarks import row_number
from identiflow.shared.inputs.rows import chunks_of

MIN_ROWS = 10
DATES = (
    "dates or times. Pass numbers, such as (t - t[0]) / np.timedelta64(1, 's'), or leave such "
    "columns out."
)
# Sums of squares of numbers much beyond these overflow float64, or vanish. They are in float64, so
# that single and half precision are compared with them and not they with those.
SMALLEST, LARGEST = np.float64(1e-100), np.float64(1e100)


def as_matrix(values: Any, name: str = "x", columns: int | None = None) -> NDArray[Any]:
    """`values` as a finite float64 matrix (N, d); a memory-map as it is, checked part by part.

    Takes arrays, tensors, frames of pandas, polars, pyarrow and others, memory-maps, nested lists.

    Raises:
        TypeError: for a sparse matrix, cells that are no numbers or strings of numbers, and what
            has no rows to read.
        ValueError: if it is not numeric, not two-dimensional, not finite, or not `columns` wide.
    """
    on_disk = isinstance(values, np.memmap) and values.dtype.kind in "fiub"
    names = None if is_plain(values) else column_names(values)
    matrix = values if on_disk else _as_floats(to_numpy(values, name), name, names)
    if matrix.ndim != 2:
        array = name if isinstance(values, np.ndarray) else f"np.array({name})"
        raise ValueError(
            f"Expected {name} of shape (N, d), one row for each observation; got shape "
            f"{matrix.shape}. {_two_dimensional(matrix, array)}"
        )
    if columns is not None and matrix.shape[1] != columns:
        raise ValueError(
            f"Expected {name} with {columns} columns, as in fit; got {matrix.shape[1]}."
        )
    check_finite(matrix, name, names)
    return matrix


def is_plain(values: Any) -> bool:
    """True for arrays, tensors, lists and None, which have no index and no names of columns."""
    return isinstance(values, PLAIN) and not hasattr(values, "column_names")


def _as_floats(
    array: NDArray[Any], name: str, names: tuple[Any, ...] | None
) -> NDArray[np.float64]:
    what = {"c": "complex numbers. Complex data not supported.", "M": DATES, "m": DATES}
    if array.dtype.kind == "O":
        array = _with_nan(array)
        _refuse_moments(array, name, names)
    if array.dtype.kind in what:
        raise ValueError(
            f"Expected {name} to be numeric, shape (N, d); got {what[array.dtype.kind]}"
        )
    try:
        if array.dtype.kind in OF_CELLS:
            return floats_of(array)
        return array.astype(np.float64, order="C", copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raised = TypeError if isinstance(error, TypeError) else ValueError
        way = "Leave such columns out, or turn them into numbers."
        if "sequence" in str(error):
            way = "Of rows that are the cells of one column pass np.stack of it."
        elif "dict" in str(error):
            way = "Of rows that are dicts pass a data frame of them."
        raise raised(
            f"Expected {name} to be numeric, shape (N, d); got {error}{first_word(array, names)}. "
            f"{way}"
        ) from None


def _with_nan(cells: NDArray[Any]) -> NDArray[Any]:
    """Objects with NaN where pandas' NA stands, which is no number."""
    is_na = np.frompyfunc(lambda cell: type(cell).__name__ == "NAType", 1, 1)
    missing = np.asarray(is_na(cells), dtype=bool)
    return np.where(missing, np.nan, cells) if missing.any() else cells


def _refuse_moments(cells: NDArray[Any], name: str, names: tuple[Any, ...] | None) -> None:
    """Raise for dates and times among objects, which numpy would count in units of their own."""
    for number, column in enumerate(cells.T if cells.ndim == 2 else []):
        if any(isinstance(cell, np.datetime64 | np.timedelta64) for cell in column):
            raise ValueError(
                f"Expected {name} to be numeric, shape (N, d); got {DATES} It is "
                f"{named(number, names)}."
            )


def first_word(array: NDArray[Any], names: tuple[Any, ...] | None) -> str:
    """Where the first cell is that is no number."""
    for number, column in enumerate(array.T if array.ndim == 2 else []):
        for row, cell in enumerate(column):
            try:
                as_number(cell)
            except (TypeError, ValueError, OverflowError):
                return f": {reprlib.repr(cell)} in row {row_number(row)}, {named(number, names)}"
    return ""


def named(number: int, names: tuple[Any, ...] | None) -> str:
    """A column as errors speak of it: by its name, if it has one."""
    return f"column {number if names is None else repr(names[number])}"


def _two_dimensional(array: NDArray[Any], name: str) -> str:
    """How to bring another shape into that of rows and columns."""
    if array.ndim != 3:
        single = f"a single column is np.c_[{name}], a single row np.atleast_2d({name})."
        return f"Reshape your data: {single}"
    trials, times, columns = array.shape
    return (
        f"Of {trials} trials with {times} rows of {columns} columns each pass "
        f"{name}.reshape(-1, {columns}), and as u one row for each of these, such as the trial: "
        f"np.repeat(np.arange({trials}), {times}). If the columns come before the rows, as in MNE "
        f"and sktime, first take {name}.swapaxes(1, 2). Of what is one row each, such as an image, "
        f"pass {name}.reshape({trials}, -1)."
    )


def to_numpy(values: Any, name: str) -> NDArray[Any]:
    """`values` as a numpy array, with its memory where that can be; no mask is dropped on the way.

    Raises:
        TypeError: for what is sparse, has no rows to read, or a tensor without data.
        ValueError: for masked cells, rows of different lengths, or a structured array.
    """
    if _is_sparse(values):
        raise TypeError(f"Expected {name} to be dense; got a sparse matrix. Pass its toarray().")
    _check_rows(values if isinstance(values, list | tuple) else [values], name)
    if isinstance(values, torch.Tensor):
        return _of_tensor(values.detach(), name)
    if isinstance(values, list | tuple):
        expect_rows(values, name)
    if not isinstance(values, PLAIN):
        expect_rows(values, name)
        if not is_pandas(values) and (table := table_of(values)) is not None:
            return table.matrix()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"Expected {name} with rows of one length; got {error}. {_of_trials(values, name)}"
        ) from None
    if array.dtype.names:
        raise ValueError(
            f"Expected {name} as an array of one type; got a structured one, of the fields "
            f"{', '.join(array.dtype.names)}. Pass it as a data frame: pd.DataFrame({name})."
        )
    return array


def _is_sparse(values: Any) -> bool:
    """True for a matrix of scipy's kind, or a tensor; arrays are dense, whatever they can do."""
    has_way = hasattr(values, "toarray") and not isinstance(values, np.ndarray)
    return has_way or getattr(values, "layout", torch.strided) != torch.strided


def _check_rows(rows: Sequence[Any], name: str) -> None:
    """Raise for what numpy drops on the way: masks, and names that stand in another order."""
    masked = sum(np.ma.count_masked(row) for row in rows if isinstance(row, np.ma.MaskedArray))
    if masked:
        raise ValueError(
            f"Expected {name} without masked cells; got {masked} of them. Drop or impute those "
            "rows."
        )
    named = [row.index for row in rows if len(rows) > 1 and hasattr(row, "iloc")]
    if any(not names.equals(named[0]) for names in named):
        raise ValueError(
            f"Expected {name} as a list of series with the same names in one order; got others. "
            f"Pass pd.DataFrame({name})."
        )


def _of_trials(values: Any, name: str) -> str:
    """What to do with a list of arrays of different lengths."""
    if not all(getattr(part, "ndim", 0) == 2 for part in values):
        return "Pass an array."
    return (
        f"Of trials of different lengths pass np.concatenate({name}), and as u one row for each of "
        f"these, such as the trial: np.repeat(np.arange({len(values)}), lengths)."
    )


def _of_tensor(values: torch.Tensor, name: str) -> NDArray[Any]:
    if values.is_meta:
        raise TypeError(f"Expected {name} to hold values; got a tensor on the device 'meta'.")
    known_to_numpy = values.dtype != torch.bfloat16
    return (values if known_to_numpy else values.float()).cpu().resolve_conj().resolve_neg().numpy()


def check_finite(values: NDArray[Any], name: str, names: tuple[Any, ...] | None = None) -> None:
    """Raise for NaN, infinity and what is nearly that, saying how many and where the first is."""
    n_bad, first, rows_before = 0, None, 0
    for part in chunks_of(values):
        bad = ~(np.abs(part) <= LARGEST)  # of which squares and their sums are finite
        if first is None and bad.any():
            row, *rest = (int(i) for i in np.argwhere(bad)[0])
            first = (row_number(rows_before + row), *rest)
        n_bad, rows_before = n_bad + int(bad.sum()), rows_before + len(part)
    if n_bad:
        column = f", in {named(first[1], names)}" if names and first else ""
        raise ValueError(
            f"Expected finite values in {name}; got {n_bad} NaN, infinite or beyond {LARGEST:g}, "
            f"the first at {first}{column}. Drop or impute those rows."
        )


def missing_rows(column: NDArray[Any]) -> list[int]:
    """The numbers of the cells (N,) that have no value."""
    if column.dtype.kind not in "OfMm":
        return []
    return [row for row, value in enumerate(column) if _is_missing(value)]


def _is_missing(value: Any) -> bool:
    # NaN and NaT differ from themselves; pandas' NA refuses to say, which is a TypeError.
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):
        return True


def check_enough_rows(x: NDArray[Any]) -> None:
    """Raise if x has no column, or too few rows to hold some out and fit the others."""
    if not x.shape[1]:
        got = f"got 0 feature(s) (shape={x.shape}) while a minimum of 1 is required."
        raise ValueError(f"Expected x with at least 1 column; {got}")
    if len(x) < MIN_ROWS:
        raise ValueError(
            f"Expected x with at least {MIN_ROWS} rows for {x.shape[1]} columns; got n_samples = "
            f"{len(x)}. Collect more rows."
        )


def check_more_rows_than_columns(x: NDArray[Any]) -> None:
    """Raise if the rows of x are so few that they lie in a plane."""
    n_rows, n_features = x.shape
    if n_rows < n_features + 2:
        raise ValueError(
            f"Expected x with at least {n_features + 2} rows for {n_features} columns; got "
            f"{n_rows}. So few rows lie in a plane, whatever they are, and a flow has no density "
            "there. Collect more rows, use fewer columns, or fit an IVAE with fewer latents."
        )


def check_varying(x: NDArray[Any]) -> None:
    """Raise if a column of x is constant: it has no density and cannot be standardised."""
    spread = ranges_of(x)
    constant = np.flatnonzero(spread == 0)
    if len(constant):
        but, way = " (but for rounding)", " If their last digits count, subtract an origin first."
        if (x[:, constant] == x[0, constant]).all():
            but, way = "", ""
        raise ValueError(
            f"Expected every column of x to vary; got constant column(s) {constant.tolist()}{but}. "
            f"Drop them: a constant carries no density.{way}"
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
