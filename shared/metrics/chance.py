"""The level a score reaches when latents and sources have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.metrics._arrays import as_pair
from identiflow.shared.metrics.mcc import mean_corr_coef


@dataclass(frozen=True, eq=False)
class ChanceLevel:
    """Scores under row permutations: chance, with permutation and sign removed as in the score.

    A score above `upper` is better than chance; `mean` is the zero point of the scale up to 1.0.

    Attributes:
        mean: mean score over permutations.
        upper: the `quantile` of the scores.
        quantile: which one, in (0, 1).
        scores: all of them, shape (n_permutations,).
    """

    mean: float
    upper: float
    quantile: float
    scores: AnyArray


def chance_level(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    *,
    score: Callable[[AnyArray, AnyArray], float] = mean_corr_coef,
    n_permutations: int = 100,
    quantile: float = 0.95,
    seed: int = 0,
) -> ChanceLevel:
    """Chance level of a score: removes what searching permutation and sign yields without signal.

    Compare a score with `upper`; chance for MCC is near 0 only with many rows and few sources (5
    sources: 0.175 with 64 rows, 0.007 with 40,000).

    Rows of z_pred are permuted, which keeps both marginal distributions and breaks every relation
    between them. Rows count as exchangeable: in an autocorrelated series true chance is higher.

    Args:
        z_true: sources, shape (N, n_true) or (N,).
        z_pred: recovered latents of the same rows, shape (N, n_pred) or (N,).
        score: function of (z_true, z_pred), for instance
            `lambda a, b: within_group_mean_corr_coef(a, b, u)` or
            `functools.partial(mean_corr_coef, method="spearman")`.
        n_permutations: how many scores to draw.
        quantile: which quantile of the scores `upper` is.
        seed: of the permutations.

    Returns:
        A `ChanceLevel` with `mean`, `upper`, `quantile`, `scores`.

    Raises:
        ValueError: as `score`, and for n_permutations < 1 or a quantile outside (0, 1).

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(64, 5))
    >>> round(chance_level(z, z).mean, 2)
    0.18
    """
    if not isinstance(n_permutations, Integral) or n_permutations < 1:
        raise ValueError(
            f"Expected n_permutations to be an integer >= 1; got {n_permutations!r}. "
            "Pass 100 or more for a stable quantile."
        )
    if not 0 < quantile < 1:
        raise ValueError(f"Expected quantile between 0 and 1; got {quantile!r}. Pass 0.95, say.")
    true, pred = as_pair(z_true, z_pred)
    rng = np.random.default_rng(seed)
    scores = np.array([score(true, rng.permutation(pred)) for _ in range(n_permutations)])
    return ChanceLevel(
        float(scores.mean()), float(np.quantile(scores, quantile)), float(quantile), scores
    )
