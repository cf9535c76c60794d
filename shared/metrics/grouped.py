"""MCC inside the groups of u, so that the means of the environments cannot carry the score."""

from __future__ import annotations

from typing import Literal, overload

from numpy.typing import ArrayLike
from typing_extensions import Unpack

from identiflow.shared.metrics._correlation import Method
from identiflow.shared.metrics.matching import Matching, Search, match_sources


@overload
def within_group_mean_corr_coef(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    u: ArrayLike,
    *,
    return_matching: Literal[False] = ...,
    **search: Unpack[Search],
) -> float: ...
@overload
def within_group_mean_corr_coef(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    u: ArrayLike,
    *,
    return_matching: Literal[True],
    **search: Unpack[Search],
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
    independent columns scores about sqrt(2 / (π m)), whatever G is: small groups raise it.

        score = 1 / n_true · max over matchings π of Σ_i 1 / G · Σ_g |corr_g(z_true_i, z_pred_π(i))|

    One matching holds for all groups, and groups weigh the same whatever their size. Sign and scale
    are removed in each group by itself. A column that is constant in a group counts 0 there.

    Args:
        z_true: sources, shape (N, n_true) or (N,).
        z_pred: recovered latents of the same rows, shape (N, n_pred) or (N,).
        u: one label a row, integers or strings, shape (N,) or (N, 1); 3 rows or more for each.
        method: "pearson", or "spearman" for ranks inside the group.
        return_matching: also return the `Matching`, as `match_sources` does.
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
    found = match_sources(
        z_true, z_pred, within=u, method=method, matching=matching, allow_unequal=allow_unequal
    )
    return (found.score, found) if return_matching else found.score
