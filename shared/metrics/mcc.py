"""MCC: the mean correlation of sources and latents after the best one-to-one matching."""

from __future__ import annotations

from typing import Literal, overload

from numpy.typing import ArrayLike
from typing_extensions import Unpack

from identiflow.shared.metrics._correlation import Method
from identiflow.shared.metrics.matching import Matching, Search, match_sources


@overload
def mean_corr_coef(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    *,
    return_matching: Literal[False] = ...,
    **search: Unpack[Search],
) -> float: ...
@overload
def mean_corr_coef(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    *,
    return_matching: Literal[True],
    **search: Unpack[Search],
) -> tuple[float, Matching]: ...
def mean_corr_coef(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    *,
    method: Method = "pearson",
    return_matching: bool = False,
    matching: Matching | None = None,
    allow_unequal: bool = False,
) -> float | tuple[float, Matching]:
    """MCC, the score that removes permutation, sign, scale and shift of the latents.

    1.0 means recovered up to those; chance is not 0 and grows as rows get fewer (0.18 for 5 sources
    and 64 rows, 0.007 for 40,000), so report `chance_level` beside it. Spearman's version removes
    every monotone map of each latent as well.

        MCC = 1 / n_true · max over matchings π of Σ_i |corr(z_true_i, z_pred_π(i))|

    The mean is over all columns of z_true, always. A constant column, such as a collapsed latent,
    correlates 0 with everything: it lowers the score and is no error. The score does not remove
    linear mixing (`linear_mean_corr_coef` does), and means that move with u can carry it
    (`within_group_mean_corr_coef` takes them out).

    Args:
        z_true: sources, shape (N, n_true) or (N,); numpy array, tensor, frame or memory-map.
        z_pred: recovered latents of the same rows, shape (N, n_pred) or (N,).
        method: "pearson", or "spearman" for correlation of ranks.
        return_matching: also return the `Matching`, as `match_sources` does.
        matching: pairs found on other rows, used instead of the best ones here. The search for a
            matching favours the rows it is made on; under a given one chance is sqrt(2 / (π N)).
        allow_unequal: accept n_pred ≠ n_true, and match min(n_true, n_pred) pairs. Unmatched true
            sources count 0; spare latents cost nothing, so more latents than sources is a lenient
            test. Not needed with `matching`.

    Returns:
        The score in [0, 1], or `(score, matching)`.

    Raises:
        ValueError: for inputs that are not finite numbers of shape (N, d), N ≥ 2; different rows or
            columns; an unknown method; a matching for other columns.

    Cost: O(N n_true n_pred) time, two passes over the rows (one of them the check for
    NaN), blocks of a MiB beside the input; for ranks a float64 copy of it.

    Reference: Hyvärinen, Morioka, "Unsupervised feature extraction by time-contrastive learning and
    nonlinear ICA", 2016; Khemakhem, Kingma, Monti, Hyvärinen, 2020.

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(1000, 2))
    >>> round(mean_corr_coef(z, 7 - 3 * z[:, ::-1]), 6)
    1.0
    """
    found = match_sources(
        z_true, z_pred, method=method, matching=matching, allow_unequal=allow_unequal
    )
    return (found.score, found) if return_matching else found.score
