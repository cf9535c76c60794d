"""R² of each source, predicted linearly from the latents on rows the regression has not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.metrics._arrays import as_pair
from identiflow.shared.metrics._split import FitRows, split_rows
from identiflow.shared.metrics._whitening import whitening


def mean_r2(
    z_true: ArrayLike, z_pred: ArrayLike, *, fit_rows: FitRows = None, seed: int = 0
) -> float:
    """Mean R² over sources, the score that removes any linear map from the latents to the sources.

    1.0 means that every source is a linear function of the latents; chance is 0 or below,
    since fit and score use different rows. It is the mean of `r2_per_source`, which explains the
    arguments and errors.

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(1000, 2))
    >>> round(mean_r2(z, z @ [[2.0, 1.0], [1.0, 3.0]] + 5), 6)
    1.0
    """
    return float(r2_per_source(z_true, z_pred, fit_rows=fit_rows, seed=seed).mean())


def r2_per_source(
    z_true: ArrayLike, z_pred: ArrayLike, *, fit_rows: FitRows = None, seed: int = 0
) -> AnyArray:
    """R² of each source given all latents; removes any linear map from the latents to the sources.

    1.0 means the source is a linear function of the latents, 0 that its mean predicts as well;
    independent latents come out a little below 0, and far below where columns outgrow rows.

        R²_i = 1 - Σ (z_true_i - ẑ_i)² / Σ (z_true_i - mean)²   on the rows not in fit_rows,

    ẑ the least-squares regression, with intercept, of the rows in fit_rows. Unlike
    `linear_mean_corr_coef` it goes one way and allows any number of latents. A source that is
    constant on the scored rows has nothing to explain and gets 0.

    Args:
        z_true: sources, shape (N, n_true) or (N,).
        z_pred: recovered latents of the same rows, shape (N, n_pred) or (N,).
        fit_rows: rows that fit the regression: a slice, a mask or indices; the others are scored.
            A mask in pandas has the index of z_true and z_pred. None draws a random half. For time
            series pass a block: random rows have neighbours on the other side.
        seed: of that draw.

    Returns:
        One R² a source, each at most 1, shape (n_true,).

    Raises:
        ValueError: for inputs that are not finite numbers of shape (N, d), N ≥ 4; different rows;
            invalid fit_rows.

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(1000, 2))
    >>> r2_per_source(z, z[:, :1]).round(1) + 0.0
    array([1., 0.])
    """
    true, pred = as_pair(z_true, z_pred)
    fit, rest = split_rows(len(true), fit_rows, seed, min_fit=2, of=(z_true, z_pred))
    true, pred = true.astype(np.float64, copy=False), pred.astype(np.float64, copy=False)
    residual = true[rest] - _linear_prediction(pred[fit], true[fit], pred[rest])
    spread = true[rest] - true[rest[0]]  # exactly 0 for a constant column
    total = np.square(spread - spread.mean(axis=0)).sum(axis=0)
    unexplained = np.square(residual).sum(axis=0)
    ratio = np.divide(unexplained, total, out=np.ones_like(total), where=total > 0)
    return np.asarray(1.0 - ratio)


def _linear_prediction(x: AnyArray, y: AnyArray, x_new: AnyArray) -> AnyArray:
    """Return the least-squares prediction of y at x_new; the smallest map where many fit."""
    centre, white = whitening(x)
    mean = y.mean(axis=0)
    slope = white @ (((x - centre) @ white).T @ (y - mean))
    return np.asarray((x_new - centre) @ slope + mean)
