"""Rows to fit on and rows to score on, never the same."""

from __future__ import annotations

from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.inputs.chosen import check_no_labels, vector_of
from identiflow.shared.inputs.containers import index_of
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.inputs.validation import to_numpy

FitRows: TypeAlias = ArrayLike | slice | None
NAMES = ("z_true", "z_pred")


def split_rows(
    n_rows: int, fit_rows: FitRows, seed: int, min_fit: int, of: tuple[Any, Any]
) -> tuple[AnyArray, AnyArray]:
    """Return the indices to fit on and, all others, to score on; None draws a random half.

    Args:
        n_rows: N.
        fit_rows: a slice, a mask (N,) or indices.
        seed: of that draw.
        min_fit: the number of rows that the fit has to have at least.
        of: z_true and z_pred as they were given; where they have an index, a mask has the same.

    Raises:
        ValueError: for what is none of these, indices that come twice, numbers 0 and 1 that are a
            mask, an index of pandas that may be labels, or too few rows on either side.
    """
    chosen = np.zeros(n_rows, dtype=bool)
    if fit_rows is None:
        fit_rows = np.random.default_rng(seed).permutation(n_rows)[: n_rows // 2]
    try:
        chosen[fit_rows if isinstance(fit_rows, slice) else _as_given(fit_rows, n_rows, of)] = True
    except (IndexError, TypeError) as error:  # of a slice of labels, too
        _refuse(n_rows, f"an invalid index ({error})")
    fit, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    if len(fit) < min_fit or len(rest) < 2:
        raise ValueError(
            f"Expected fit_rows to leave at least {min_fit} rows to fit on and 2 to score on; got "
            f"{len(fit)} and {len(rest)}. Pass another fit_rows, or more samples."
        )
    return fit, rest


def _as_given(fit_rows: Any, n_rows: int, of: tuple[Any, Any]) -> AnyArray:
    """A mask (N,) or indices that are each of another row."""
    rows = vector_of(to_numpy(fit_rows, "fit_rows"))
    if rows.dtype != bool:
        indexes = zip(NAMES, map(index_of, of), strict=True)
        check_no_labels(fit_rows, "fit_rows", "fit_rows to be", indexes)
    if rows.ndim != 1:
        _refuse(n_rows, f"an array of shape {rows.shape}")
    if rows.dtype != bool:
        _check_indices(rows, n_rows, fit_rows)
        return rows
    check_paired(*of, fit_rows, names=(*NAMES, "fit_rows"))
    if len(rows) != n_rows:
        _refuse(n_rows, f"{len(rows)} booleans")
    return rows


def _check_indices(rows: AnyArray, n_rows: int, fit_rows: Any) -> None:
    """Raise unless these numbers (k,) are indices of rows, each of another one."""
    if rows.dtype.kind in "iuf" and len(rows) == n_rows > 2 and np.isin(rows, (0, 1)).all():
        own = "fit_rows" if hasattr(fit_rows, "astype") else "np.asarray(fit_rows)"
        _refuse(n_rows, f"{n_rows} numbers, all 0 or 1", f"Is it a mask? Pass {own}.astype(bool).")
    if rows.dtype.kind not in "iu":
        _refuse(n_rows, f"an array of dtype {rows.dtype}")
    outside = (rows >= n_rows) | (rows < -n_rows)
    if outside.any():
        _refuse(n_rows, f"{rows[outside.argmax()]} at position {outside.argmax()}")
    places, counts = np.unique(rows.astype(np.int64) % n_rows, return_counts=True)
    if (counts > 1).any():
        most = counts.argmax()
        _refuse(n_rows, f"row {places[most]} {counts[most]} times", "Pass each row once.")


def _refuse(n_rows: int, got: str, way: str = "Pass the rows to fit on.") -> NoReturn:
    raise ValueError(
        f"Expected fit_rows to be a slice, a mask of {n_rows} booleans or indices below {n_rows}, "
        f"each once; got {got}. {way}"
    )
