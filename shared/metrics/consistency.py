"""Agreement of several fits with each other, the check that is left where no truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.metrics._arrays import as_columns, expect_rows
from identiflow.shared.metrics._correlation import expect_method
from identiflow.shared.metrics.linear import linear_mean_corr_coef
from identiflow.shared.metrics.mcc import mean_corr_coef


@dataclass(frozen=True, eq=False)
class Agreement:
    """Pairwise MCC of M fits: permutation, sign, scale and shift between any two are removed.

    1.0 means that all fits found the same latents; see `agreement`.

    Attributes:
        mean: mean of the off-diagonal entries.
        pairwise: MCC of fits i and j, symmetric, shape (M, M). The diagonal is 1, or lower where a
            fit has constant columns: it is the share of latents that vary.
    """

    mean: float
    pairwise: AnyArray


def agreement(
    latents: Sequence[ArrayLike], *, method: Literal["pearson", "spearman", "linear"] = "pearson"
) -> Agreement:
    """Agreement of several fits of the same rows; removes permutation, sign, scale and shift.

    1.0 means that all fits found the same latents; chance is that of `mean_corr_coef` (see
    `chance_level`). Agreement is necessary for identification, not sufficient: fits may share an
    error.

    Args:
        latents: M ≥ 2 arrays of one shape (N, n), one for each fit, rows in the same order.
        method: "pearson"; "spearman", which removes monotone maps of each latent too; "linear",
            the `linear_mean_corr_coef` on held-out rows, which removes any linear map.

    Returns:
        An `Agreement` with `mean` and `pairwise`.

    Raises:
        ValueError: for fewer than two fits, fits of different shape, or an unknown method.

    Cost: O(M² N n²) time.

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(1000, 3))
    >>> fits = [z, 10 - 2 * z, z[:, ::-1] + [0, 5, -5]]
    >>> round(agreement(fits).mean, 6)
    1.0
    """
    expect_method(method, ("pearson", "spearman", "linear"))
    fits = _as_fits(latents)
    pairwise = np.zeros((len(fits), len(fits)))
    for i, j in combinations_with_replacement(range(len(fits)), 2):
        if method == "linear":
            pairwise[i, j] = linear_mean_corr_coef(fits[i], fits[j])
        else:
            pairwise[i, j] = mean_corr_coef(fits[i], fits[j], method=method)
        pairwise[j, i] = pairwise[i, j]
    return Agreement(float(pairwise[np.triu_indices(len(fits), 1)].mean()), pairwise)


def _as_fits(latents: Sequence[ArrayLike]) -> list[AnyArray]:
    if not (isinstance(latents, Sequence) or hasattr(latents, "ndim")):
        raise ValueError(
            "Expected latents to be a sequence of at least 2 arrays, one for each fit; got a "
            f"{type(latents).__name__}. Pass a list of them, [z_1, z_2, ...]."
        )
    one_array = getattr(latents, "ndim", 3) != 3  # whose rows would pass as fits
    if one_array or len(latents) < 2:
        raise ValueError(
            "Expected latents to be a sequence of at least 2 arrays, one for each fit; got "
            f"{'one array' if one_array else len(latents)}. Pass [z_1, z_2, ...]."
        )
    names = tuple(f"latents[{i}]" for i in range(len(latents)))
    check_paired(*latents, names=names)
    fits = [as_columns(fit, f"latents[{i}]") for i, fit in enumerate(latents)]
    for i, fit in enumerate(fits):
        expect_rows(len(fit), f"latents[{i}]", len(fits[0]), "latents[0]")
        if fit.shape != fits[0].shape:
            raise ValueError(
                f"Expected latents[{i}] with {fits[0].shape[1]} columns, as latents[0] has; got "
                f"{fit.shape[1]}. Pass fits with the same number of latents."
            )
    return fits
