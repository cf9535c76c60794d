"""Rows to fit on and rows to score on, never the same."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.inputs.validation import to_numpy

FitRows: TypeAlias = ArrayLike | slice | None


def split_rows(
    n_rows: int, fit_rows: FitRows, seed: int, min_fit: int = 2
) -> tuple[AnyArray, AnyArray]:
    """Return the indices to fit on and, all others, to score on; None draws a random half."""
    chosen = np.zeros(n_rows, dtype=bool)
    if fit_rows is None:
        fit_rows = np.random.default_rng(seed).permutation(n_rows)[: n_rows // 2]
    try:
        chosen[fit_rows if isinstance(fit_rows, slice) else to_numpy(fit_rows, "fit_rows")] = True
    except IndexError as error:
        raise ValueError(
            f"Expected fit_rows to be a slice, a mask of {n_rows} booleans or indices below "
            f"{n_rows}; got an invalid index ({error}). Pass the rows to fit on."
        ) from error
    fit, rest = np.flatnonzero(chosen), np.flatnonzero(~chosen)
    if len(fit) < min_fit or len(rest) < 2:
        raise ValueError(
            f"Expected fit_rows to leave at least {min_fit} rows to fit on and 2 to score on; got "
            f"{len(fit)} and {len(rest)}. Pass another fit_rows, or more samples."
        )
    return fit, rest
