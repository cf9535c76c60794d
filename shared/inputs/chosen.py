"""Which rows a slice, a mask or positions choose; labels of an index are none of these."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.inputs.containers import is_index
from identiflow.shared.inputs.pairing import check_mask, indexes_of
from identiflow.shared.inputs.validation import to_numpy

BOOLEANS = (bool, np.bool_)


def positions_of(rows: Any, n_rows: int, u: Any) -> AnyArray:
    """The positions (k,) of the rows that `u[rows]` is of.

    Args:
        rows: a slice, a mask (N,), positions or one of them.
        n_rows: N.
        u: what the rows are of; where what it holds has an index, a mask has the same.

    Raises:
        IndexError: for positions beyond the rows, at which loops over them end.
        ValueError: for what is none of these, or an index of pandas that may be labels.
    """
    if isinstance(rows, tuple) and rows[1:] == (Ellipsis,):  # as scikit-learn asks for a fold
        rows = rows[0]
    is_range = isinstance(rows, slice) or rows is Ellipsis
    try:
        chosen = np.arange(n_rows)[rows if is_range else _as_given(rows, n_rows, u)]
    except IndexError:
        raise IndexError(_expected(n_rows, f"rows = {rows}")) from None
    except TypeError as error:  # of a slice of labels
        if not is_range:
            raise
        _refuse(n_rows, f"an invalid slice ({error})")
    return np.atleast_1d(chosen)


def vector_of(rows: AnyArray) -> AnyArray:
    """One column as (N,), and objects as the booleans or numbers that they are."""
    rows = rows[:, 0] if rows.ndim == 2 and rows.shape[1] == 1 else rows
    if rows.size == 0:
        return rows.astype(np.int64)
    if rows.dtype != object:
        return rows
    types = set(map(type, rows.flat))
    if np.timedelta64 in types:  # which numpy counts among integers
        return rows
    for kind, dtype in ((BOOLEANS, bool), (Integral, np.int64), (Real, np.float64)):
        if all(issubclass(t, kind) for t in types):
            return rows.astype(dtype)
    return rows


def _are_positions(index: Any) -> bool:
    """True for an index of pandas whose labels are 0 to N - 1, in this order."""
    is_of_integers = getattr(index.dtype, "kind", "O") in "iu"
    return is_of_integers and np.array_equal(index, np.arange(len(index)))


def check_no_labels(
    rows: Any, called: str, wanted: str, indexes: Iterable[tuple[str, Any]]
) -> None:
    """Raise for an index of pandas beside values whose labels are not their positions.

    Args:
        rows: what may be one.
        called: its name, in errors.
        wanted: the beginning of what is expected, in errors.
        indexes: of the values, each with its name; None where one has no index.
    """
    if not is_index(rows):
        return
    for name, index in indexes:
        if index is not None and not _are_positions(index):
            raise ValueError(
                f"Expected {wanted} a slice, a mask or positions; got a pandas "
                f"{type(rows).__name__}, which may be labels of the index of {name}. Of labels "
                f"pass the mask {name}.index.isin({called}), of positions {called}.to_numpy()."
            )


def _as_given(rows: Any, n_rows: int, u: Any) -> AnyArray:
    """A mask (N,), positions (k,) or a single one."""
    given = vector_of(to_numpy(rows, "rows"))
    if given.dtype != bool:
        check_no_labels(rows, "rows", "u[rows] with", indexes_of("u", u))
    if given.ndim > 1:
        _refuse(n_rows, f"an array of shape {given.shape}")
    if given.dtype.kind not in "iub":
        _refuse(n_rows, f"an array of dtype {given.dtype}")
    if given.dtype == bool:
        check_mask(u, rows)
        if given.shape != (n_rows,):
            _refuse(n_rows, f"{given.size} booleans")
    return given


def _refuse(n_rows: int, got: str) -> NoReturn:
    raise ValueError(_expected(n_rows, got))


def _expected(n_rows: int, got: str) -> str:
    return (
        f"Expected u[rows] with a slice, a mask of {n_rows} booleans or positions below {n_rows}; "
        f"got {got}. Pass positions, or of labels of an index the mask index.isin(labels)."
    )
