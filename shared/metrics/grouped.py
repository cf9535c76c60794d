"""MCC inside the groups of u, so that the means of the environments cannot carry the score."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from identiflow.shared.inputs.validation import to_numpy
from identiflow.shared.metrics._arrays import Array, as_pair, expect_rows
from identiflow.shared.metrics._correlation import Method, cross_correlation, expect_method
from identiflow.shared.metrics.matching import Matching, expect_equal_columns, score

_MIN_ROWS = 3  # two points always lie on a line: |corr| would be 1


@overload
def within_group_mean_corr_coef(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    u: ArrayLike,
    *,
    method: Method = ...,
    return_matching: Literal[False] = ...,
    matching: Matching | None = ...,
    allow_unequal: bool = ...,
) -> float: ...
@overload
def within_group_mean_corr_coef(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    u: ArrayLike,
    *,
    method: Method = ...,
    return_matching: Literal[True],
    matching: Matching | None = ...,
    allow_unequal: bool = ...,
) -> tuple[float, Matching]: ...
def within_group_mean_corr_coef(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    u: ArrayLike,
    *,
    method: Method = "pearson",
    return_matching: bool = False,
    matching: Matching | None = None,
    allow_unequal: bool = False,
) -> float | tuple[float, Matching]:
    """MCC that removes permutation, sign and scale, and the mean of every group of u.

    1.0 means recovered inside every group; a latent that only knows which group it is in scores as
    chance, although its pooled `mean_corr_coef` may be near 1. With G groups of m rows a pair of
    independent columns scores sqrt(2 / (π m)), whatever G is: small groups raise it.

        score = 1 / n_true · max over matchings π of Σ_i 1 / G · Σ_g |corr_g(z_true_i, z_pred_π(i))|

    One matching holds for all groups, and groups weigh the same whatever their size. Sign and scale
    are removed in each group by itself. A column that is constant in a group counts 0 there.

    Args:
        z_true: sources, shape (N, n_true) or (N,).
        z_pred: recovered latents of the same rows, shape (N, n_pred) or (N,).
        u: one label a row, integers or strings, shape (N,) or (N, 1); 3 rows or more for each.
        method: "pearson", or "spearman" for ranks inside the group.
        return_matching: also return the `Matching`; its sign is that of the mean correlation over
            groups, its correlation the mean absolute one.
        matching: pairs found on other rows, used instead of the best ones here.
        allow_unequal: as in `mean_corr_coef`.

    Returns:
        The score in [0, 1], or `(score, matching)`.

    Raises:
        ValueError: as `mean_corr_coef`, and for a u with other rows, missing labels or a group of
            fewer than 3 rows.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> u = np.repeat(np.arange(20), 500)
    >>> means = rng.normal(scale=5, size=(20, 2))[u]
    >>> z, guess = (means + rng.normal(size=means.shape) for _ in range(2))
    >>> from identiflow.shared.metrics import mean_corr_coef
    >>> mean_corr_coef(z, guess) > 0.9, within_group_mean_corr_coef(z, guess, u) < 0.1
    (True, True)
    """
    expect_method(method)
    true, pred = as_pair(z_true, z_pred)
    expect_equal_columns(true, pred, allow_unequal or matching is not None)
    groups = _rows_of_groups(u, len(true))
    signed = np.zeros((true.shape[1], pred.shape[1]))
    strength = np.zeros_like(signed)
    for rows in groups:
        correlation = cross_correlation(true[rows], pred[rows], method)
        signed += correlation
        strength += np.abs(correlation)
    value, found = score(strength / len(groups), signed, matching)
    return (value, found) if return_matching else value


def _rows_of_groups(u: Any, n_rows: int) -> list[Array]:
    """Return the row indices of each distinct label of u."""
    labels = _as_labels(u)
    expect_rows("u", len(labels), "z_true", n_rows)
    try:
        missing = np.count_nonzero(labels != labels)  # only NaN differs from itself
        names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    except TypeError as error:  # labels that cannot be compared
        raise ValueError(
            f"Expected u with labels of one kind and none missing; got {error}. "
            "Pass integers or strings, one a row."
        ) from error
    if missing:
        raise ValueError(
            f"Expected u without NaN; got {missing} rows of it. "
            "Drop these rows, or give them a label of their own."
        )
    if counts.min() < _MIN_ROWS:
        raise ValueError(
            f"Expected u with at least {_MIN_ROWS} rows in each group; got {counts.min()} in group "
            f"{names[counts.argmin()]}. Drop such groups, or bin a continuous u."
        )
    return np.split(np.argsort(index, kind="stable"), np.cumsum(counts)[:-1])


def _as_labels(u: Any) -> Array:
    labels = to_numpy(u, "u")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(
            f"Expected u of shape (N,) or (N, 1); got {labels.shape}. Pass one label for each row."
        )
    return labels
