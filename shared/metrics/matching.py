"""The one-to-one matching of recovered latents to true sources, and the score under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import TypedDict

from identiflow.shared.inputs.arrays import AnyArray, Array
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.metrics._arrays import as_pair
from identiflow.shared.metrics._correlation import Method, cross_correlation, expect_method
from identiflow.shared.metrics._groups import rows_of_groups


@dataclass(frozen=True, eq=False)
class Matching:
    """Pairs of a source and the latent that stands for it: removes permutation and sign.

    Pair i is `(z_true[:, true_index[i]], z_pred[:, pred_index[i]])`, so that
    `z_pred[:, m.pred_index] * m.sign` lines up with `z_true[:, m.true_index]`.

    Attributes:
        true_index: columns of z_true, shape (k,).
        pred_index: columns of z_pred, shape (k,).
        sign: +1 or -1 for each pair, shape (k,); +1 where the correlation is 0.
        correlation: absolute correlation of each pair on the rows it was measured on, shape (k,).
        n_sources: columns of z_true, also those left without a latent; k by default.

    Raises:
        ValueError: for arrays of different length, or an index that is used twice.
    """

    true_index: AnyArray
    pred_index: AnyArray
    sign: AnyArray
    correlation: AnyArray
    n_sources: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a one-to-one matching."""
        fields = self.true_index, self.pred_index, self.sign, self.correlation
        lengths = [len(field) for field in fields]
        if len(set(lengths)) != 1:
            raise ValueError(
                "Expected true_index, pred_index, sign and correlation of one length; "
                f"got lengths {lengths}. Pass one entry for each pair."
            )
        for name in ("true_index", "pred_index"):
            index = np.asarray(getattr(self, name))
            if len(np.unique(index)) != len(index):
                raise ValueError(
                    f"Expected {name} to use every column at most once; got {index.tolist()}. "
                    "Pass a one-to-one matching."
                )

    @property
    def score(self) -> float:
        """The mean correlation over all sources, where one without a latent counts 0."""
        n_sources = len(self.true_index) if self.n_sources is None else self.n_sources
        return float(self.correlation.sum() / n_sources)


class Search(TypedDict, total=False):
    """The options of `match_sources` that all scores of a matching share."""

    method: Method
    matching: Matching | None
    allow_unequal: bool


def match_sources(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    *,
    within: ArrayLike | None = None,
    method: Method = "pearson",
    matching: Matching | None = None,
    allow_unequal: bool = False,
) -> Matching:
    """The matching that removes permutation, sign, scale and shift; its `score` is the MCC.

    A matching found on some rows can be measured on others, where the search cannot favour it.

    Args:
        z_true: sources, shape (N, n_true) or (N,).
        z_pred: recovered latents of the same rows, shape (N, n_pred) or (N,).
        within: one label a row, (N,): correlations are then taken in each group, as in
            `within_group_mean_corr_coef`; signs are those of their means over groups, and
            `correlation` holds the means of their absolute values.
        method: "pearson", or "spearman" for correlation of ranks.
        matching: pairs found on other rows, measured here instead of the best ones.
        allow_unequal: accept n_pred ≠ n_true, as in `mean_corr_coef`.

    Returns:
        The `Matching`, with `score` in [0, 1].

    Raises:
        ValueError: as `mean_corr_coef` and, with `within`, `within_group_mean_corr_coef` do.

    >>> import numpy as np
    >>> z = np.random.default_rng(0).normal(size=(1000, 2))
    >>> found = match_sources(z[:500], -z[:500, ::-1])
    >>> found.pred_index, found.sign
    (array([1, 0]), array([-1, -1]))
    >>> round(match_sources(z[500:], -z[500:, ::-1], matching=found).score, 6)
    1.0
    """
    expect_method(method)
    true, pred = as_pair(z_true, z_pred)
    check_paired(z_true, within, names=("z_true", "u"))
    expect_equal_columns(true, pred, allow_unequal or matching is not None)
    if within is None:
        signed = cross_correlation(true, pred, method)
        strength = np.abs(signed)
    else:
        signed, strength = _within_groups(true, pred, within, method)
    if matching is None:
        return _measure(*_best_pairs(strength), strength, signed)
    return _measure(*_pairs_of(matching, strength.shape), strength, signed)


def _within_groups(
    true: AnyArray, pred: AnyArray, u: ArrayLike, method: Method
) -> tuple[Array, Array]:
    """Σ_g corr_g and the mean of |corr_g| over the groups of u, each (n_true, n_pred)."""
    groups = rows_of_groups(u, len(true))
    signed = np.zeros((true.shape[1], pred.shape[1]))
    strength = np.zeros_like(signed)
    for rows in groups:
        correlation = cross_correlation(true[rows], pred[rows], method)
        signed += correlation
        strength += np.abs(correlation)
    return signed, strength / len(groups)


def _best_pairs(strength: Array) -> tuple[AnyArray, AnyArray]:
    """The rows and columns of `strength` (n_true, n_pred) with the largest sum."""
    from scipy.optimize import linear_sum_assignment  # a quarter as slow to import as torch

    true_index, pred_index = linear_sum_assignment(strength, maximize=True)
    return true_index, pred_index


def _pairs_of(matching: Matching, n_columns: tuple[int, ...]) -> tuple[AnyArray, AnyArray]:
    """The pairs of a matching, if there are such columns in z_true and z_pred."""
    if not isinstance(matching, Matching):
        raise ValueError(
            f"Expected matching to be a Matching; got {type(matching).__name__}. "
            "Pass what match_sources returned for other rows."
        )
    true_index, pred_index = np.asarray(matching.true_index), np.asarray(matching.pred_index)
    for name, index, columns in zip(
        ("z_true", "z_pred"), (true_index, pred_index), n_columns, strict=True
    ):
        if len(index) and not (0 <= index.min() and index.max() < columns):
            raise ValueError(
                f"Expected matching to index the {columns} columns of {name}; got "
                f"{index.tolist()}. Pass a matching found on data with the same columns."
            )
    return true_index, pred_index


def expect_equal_columns(z_true: AnyArray, z_pred: AnyArray, allow_unequal: bool) -> None:
    """Raise ValueError where leftover columns would pass unnoticed."""
    if not allow_unequal and z_true.shape[1] != z_pred.shape[1]:
        raise ValueError(
            f"Expected z_pred with {z_true.shape[1]} columns, one for each column of z_true; got "
            f"{z_pred.shape[1]}. Pass allow_unequal=True to match as many as there are: the mean "
            "stays over all columns of z_true, and unmatched ones count 0."
        )


def _measure(
    true_index: AnyArray, pred_index: AnyArray, strength: Array, signed: Array
) -> Matching:
    return Matching(
        true_index=true_index,
        pred_index=pred_index,
        sign=np.where(signed[true_index, pred_index] < 0, -1, 1),
        correlation=strength[true_index, pred_index],
        n_sources=len(strength),
    )
