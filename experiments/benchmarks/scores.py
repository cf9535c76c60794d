"""`mcc`: the score of many rows and columns, beside its textbook version."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from experiments.benchmarks.plan import SEED, Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.timing import compare
from identiflow.shared.metrics import mean_corr_coef


def mcc(plan: Plan) -> Iterator[Comparison]:
    """Time, and how far the two values lie apart, which are computed first and warm both up."""
    z_true, z_pred = sources_and_latents(*plan.score_shape)
    apart = abs(mean_corr_coef(z_true, z_pred) - textbook_mcc(z_true, z_pred))
    ours, theirs = partial(mean_corr_coef, z_true, z_pred), partial(textbook_mcc, z_true, z_pred)
    yield compare("mcc", "numpy and scipy", ours, theirs, plan.passes, difference=apart)


def textbook_mcc(z_true: NDArray[np.float64], z_pred: NDArray[np.float64]) -> float:
    """All correlations by `numpy.corrcoef`, the best matching by scipy."""
    n = z_true.shape[1]
    correlation = np.abs(np.corrcoef(z_true, z_pred, rowvar=False)[:n, n:])
    rows, columns = linear_sum_assignment(-correlation)
    return float(correlation[rows, columns].mean())


def sources_and_latents(
    n_rows: int, n_columns: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Random sources, and the same in another order with as much noise again."""
    rng = np.random.default_rng(SEED)
    z_true = rng.normal(size=(n_rows, n_columns))
    z_pred = z_true[:, rng.permutation(n_columns)]
    z_pred += rng.normal(size=z_pred.shape)
    return z_true, z_pred
