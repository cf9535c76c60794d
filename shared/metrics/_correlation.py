"""The matrix of correlations between the columns of two arrays, in one pass and bounded memory."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.metrics._arrays import row_blocks

Method = Literal["pearson", "spearman"]


def expect_method(method: str, allowed: tuple[str, ...] = get_args(Method)) -> None:
    """Raise ValueError unless `method` is one of the allowed words."""
    if method not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"Expected method to be one of {words}; got {method!r}. Pass one of them.")


def cross_correlation(a: AnyArray, b: AnyArray, method: Method = "pearson") -> AnyArray:
    """Return corr(a_i, b_j) for every pair of columns, shape (d_a, d_b), in float64.

    A constant column has no correlation; 0 stands for it. Spearman's is Pearson's on ranks, which
    are held in a float64 copy of both arrays; Pearson's needs no copy. Cost O(N d_a d_b).
    """
    if method == "spearman":
        a, b = _ranks(a), _ranks(b)
    cross, square_a, square_b = _centred_products(a, b)
    norm = np.sqrt(square_a)[:, None] * np.sqrt(square_b)
    correlation: AnyArray = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    correlation.clip(-1.0, 1.0, out=correlation)  # rounding may step past 1
    return correlation


def _ranks(z: AnyArray) -> AnyArray:
    from scipy.stats import rankdata  # half as slow to import as torch

    return np.column_stack([rankdata(column) for column in z.T])


def _centred_products(a: AnyArray, b: AnyArray) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return Σ (a - ā)(b - b̄)ᵀ, Σ (a - ā)² and Σ (b - b̄)².

    One pass: each block is measured from the mean of the rows before it, and the error of that
    mean is taken out again. The sum it is taken from holds its square, so nothing cancels; and
    since the first mean is the first row, a constant column is exactly 0, whatever its value.
    """
    n_rows = 0
    mean_a, mean_b = a[0].astype(np.float64), b[0].astype(np.float64)
    square_a, square_b = np.zeros_like(mean_a), np.zeros_like(mean_b)
    cross = np.zeros((a.shape[1], b.shape[1]))
    for rows in row_blocks(a if a.shape[1] > b.shape[1] else b):
        # Into torch, whose operations use all cores.
        block_a, block_b = (
            torch.from_numpy(np.subtract(z[rows], mean, dtype=np.float64))
            for z, mean in ((a, mean_a), (b, mean_b))
        )
        size = len(block_a)
        n_rows += size
        step_a, step_b = (block.sum(0).numpy() / n_rows for block in (block_a, block_b))
        cross += (block_a.T @ block_b).numpy() - n_rows * np.outer(step_a, step_b)
        square_a += block_a.square().sum(0).numpy() - n_rows * step_a**2
        square_b += block_b.square().sum(0).numpy() - n_rows * step_b**2
        mean_a += step_a
        mean_b += step_b
    return cross, square_a, square_b
