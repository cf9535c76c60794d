"""The "weak" MCC: correlation of sources and latents after the best linear map of either."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.metrics._arrays import as_pair
from identiflow.shared.metrics._correlation import cross_correlation
from identiflow.shared.metrics._split import FitRows, split_rows
from identiflow.shared.metrics._whitening import whitening
from identiflow.shared.metrics.matching import expect_equal_columns


def linear_mean_corr_coef(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    *,
    fit_rows: FitRows = None,
    seed: int = 0,
    allow_unequal: bool = False,
) -> float:
    """Mean canonical correlation, the MCC that removes any invertible linear map and any shift.

    1.0 means recovered up to a linear map, which is what theorem 1 promises of T(z); chance is
    about sqrt(2 / (π N_score)), since the map is fitted on one part of the rows and scored on the
    other. The `mean_corr_coef` of the same latents says how much of the linear map is left.

        score = 1 / n_true · Σ_i |corr(z_true a_i, z_pred b_i)|   on the rows not in fit_rows,
        (a_i, b_i) the canonical directions of the rows in fit_rows.

    Directions come from whitening both sides (QR, SVD) and one more SVD. Constant and collinear
    columns have no direction of their own and count 0, as do sources beyond the number of latents.

    Args:
        z_true: sources, shape (N, n_true) or (N,).
        z_pred: recovered latents of the same rows, shape (N, n_pred) or (N,).
        fit_rows: rows that fit the directions: a slice, a mask or indices; the others are scored.
            A mask in pandas has the index of z_true and z_pred. None draws a random half. For time
            series pass a block: random rows have neighbours on the other side.
        seed: of that draw.
        allow_unequal: accept n_pred ≠ n_true; unmatched true sources count 0.

    Returns:
        The score in [0, 1].

    Raises:
        ValueError: for inputs that are not finite numbers of shape (N, d), N ≥ 2; different rows or
            columns; invalid fit_rows; n_true + n_pred rows to fit on or fewer, where a linear map
            fits anything.

    Cost: O(N (n_true² + n_pred²)) time and a float64 copy of both arrays.

    Reference: Hotelling, "Relations between two sets of variates", 1936; as a score of weak
    identifiability Khemakhem, Monti, Kingma, Hyvärinen, "ICE-BeeM", 2020.

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(1000, 2))
    >>> mixed = z @ [[2.0, 1.0], [1.0, 3.0]] + 5
    >>> round(linear_mean_corr_coef(z, mixed), 6)
    1.0
    """
    true, pred = as_pair(z_true, z_pred)
    expect_equal_columns(true, pred, allow_unequal)
    n_columns = true.shape[1] + pred.shape[1]
    fit, rest = split_rows(len(true), fit_rows, seed, n_columns + 1, of=(z_true, z_pred))
    true, pred = true.astype(np.float64, copy=False), pred.astype(np.float64, copy=False)
    to_true, to_pred = _canonical_directions(true[fit], pred[fit])
    correlation = np.diagonal(cross_correlation(true[rest] @ to_true, pred[rest] @ to_pred))
    return float(np.abs(correlation).sum() / true.shape[1])


def _canonical_directions(x: AnyArray, y: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return A (d_x, k) and B (d_y, k): column i of x A and of y B is the i-th canonical pair."""
    (centre_x, white_x), (centre_y, white_y) = whitening(x), whitening(y)
    cross = ((x - centre_x) @ white_x).T @ ((y - centre_y) @ white_y)
    left, _, right = np.linalg.svd(cross, full_matrices=False)
    return white_x @ left, white_y @ right.T
