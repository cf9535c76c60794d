"""The one-to-one matching of recovered latents to true sources, and the score under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from identiflow.shared.metrics._arrays import Array


@dataclass(frozen=True, eq=False)
class Matching:
    """Which recovered latent stands for which source: removes permutation and sign.

    Pair i is `(z_true[:, true_index[i]], z_pred[:, pred_index[i]])`, so that
    `z_pred[:, m.pred_index] * m.sign` lines up with `z_true[:, m.true_index]`.

    Attributes:
        true_index: columns of z_true, shape (k,).
        pred_index: columns of z_pred, shape (k,).
        sign: +1 or -1 for each pair, shape (k,); +1 where the correlation is 0.
        correlation: absolute correlation of each pair on the rows it was measured on, shape (k,).

    Raises:
        ValueError: for arrays of different length, or an index that is used twice.
    """

    true_index: Array
    pred_index: Array
    sign: Array
    correlation: Array

    def __post_init__(self) -> None:
        """Refuse what is not a one-to-one matching."""
        lengths = [len(field) for field in vars(self).values()]
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


def best_matching(strength: Array, signed: Array) -> Matching:
    """Return the pairs that maximise the sum of `strength`, an array of shape (n_true, n_pred)."""
    from scipy.optimize import linear_sum_assignment  # a quarter as slow to import as torch

    true_index, pred_index = linear_sum_assignment(strength, maximize=True)
    return _measure(true_index, pred_index, strength, signed)


def apply_matching(matching: Matching, strength: Array, signed: Array) -> Matching:
    """Return the pairs of `matching` with sign and correlation as measured here."""
    if not isinstance(matching, Matching):
        raise ValueError(
            f"Expected matching to be a Matching; got {type(matching).__name__}. "
            "Pass the second result of a call with return_matching=True."
        )
    true_index, pred_index = np.asarray(matching.true_index), np.asarray(matching.pred_index)
    for name, index, columns in zip(
        ("z_true", "z_pred"), (true_index, pred_index), strength.shape, strict=True
    ):
        if len(index) and not (0 <= index.min() and index.max() < columns):
            raise ValueError(
                f"Expected matching to index the {columns} columns of {name}; got "
                f"{index.tolist()}. Pass a matching found on data with the same columns."
            )
    return _measure(true_index, pred_index, strength, signed)


def score(
    strength: Array, signed: Array, matching: Matching | None = None
) -> tuple[float, Matching]:
    """Return the mean strength over all true sources, unmatched ones counting 0, and the pairs."""
    if matching is None:
        matching = best_matching(strength, signed)
    else:
        matching = apply_matching(matching, strength, signed)
    return float(matching.correlation.sum() / len(strength)), matching


def expect_equal_columns(z_true: Array, z_pred: Array, allow_unequal: bool) -> None:
    """Raise ValueError where leftover columns would pass unnoticed."""
    if not allow_unequal and z_true.shape[1] != z_pred.shape[1]:
        raise ValueError(
            f"Expected z_pred with {z_true.shape[1]} columns, one for each column of z_true; got "
            f"{z_pred.shape[1]}. Pass allow_unequal=True to match as many as there are: the mean "
            "stays over all columns of z_true, and unmatched ones count 0."
        )


def _measure(true_index: Array, pred_index: Array, strength: Array, signed: Array) -> Matching:
    return Matching(
        true_index=true_index,
        pred_index=pred_index,
        sign=np.where(signed[true_index, pred_index] < 0, -1, 1),
        correlation=strength[true_index, pred_index],
    )
