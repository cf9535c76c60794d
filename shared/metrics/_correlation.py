"""The matrix of correlations between the columns of two arrays, in one pass and bounded memory."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy.stats import rankdata

from shared.metrics._arrays import Array, row_blocks

Method = Literal["pearson", "spearman"]


def expect_method(method: str, allowed: tuple[str, ...] = get_args(Method)) -> None:
    """Raise ValueError unless `method` is one of the allowed words."""
    if method not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"Expected method to be one of {words}; got {method!r}. Pass one of them.")


def cross_correlation(a: Array, b: Array, method: Method = "pearson") -> Array:
    """Return corr(a_i, b_j) for every pair of columns, shape (d_a, d_b), in float64.

    A constant column has no correlation; 0 stands for it. Spearman's is Pearson's on ranks, which
    are held in a float64 copy of both arrays; Pearson's needs no copy. Cost O(N d_a d_b).
    """
    if method == "spearman":
        a, b = _ranks(a), _ranks(b)
    cross, square_a, square_b = _centred_products(a, b)
    norm = np.sqrt(square_a)[:, None] * np.sqrt(square_b)
    correlation: Array = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    correlation.clip(-1.0, 1.0, out=correlation)  # rounding may step past 1
    return correlation


def _ranks(z: Array) -> Array:
    return np.column_stack([rankdata(column) for column in z.T])


def _centred_products(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return Σ (a - ā)(b - b̄)ᵀ, Σ (a - ā)² and Σ (b - b̄)².

    Blocks are centred by themselves and merged (Chan, Golub, LeVeque, 1983): one pass, and
    no cancellation under a large mean.
    """
    count = 0
    mean_a, mean_b = np.zeros(a.shape[1]), np.zeros(b.shape[1])
    square_a, square_b = np.zeros_like(mean_a), np.zeros_like(mean_b)
    cross = np.zeros((a.shape[1], b.shape[1]))
    for rows in row_blocks(a if a.shape[1] > b.shape[1] else b):
        block_a, step_a = _centred_block(a, rows, mean_a)
        block_b, step_b = _centred_block(b, rows, mean_b)
        size = block_a.shape[1]
        weight = count * size / (count + size)
        cross += block_a @ block_b.T + weight * np.outer(step_a, step_b)
        square_a += np.einsum("ij,ij->i", block_a, block_a) + weight * step_a**2
        square_b += np.einsum("ij,ij->i", block_b, block_b) + weight * step_b**2
        count += size
        mean_a += step_a * (size / count)
        mean_b += step_b * (size / count)
    return cross, square_a, square_b


def _centred_block(z: Array, rows: slice, mean: Array) -> tuple[Array, Array]:
    """Return z[rows]ᵀ minus its own mean, and how far that mean lies from the running `mean`."""
    # Sums along contiguous columns are several times faster where d is small.
    block = z[rows].T.astype(np.float64, order="C")
    # Measured from the first row, a constant column is exactly 0, whatever its value.
    block -= z[0].astype(np.float64)[:, None]
    block_mean = block.mean(axis=1)
    block -= block_mean[:, None]
    return block, block_mean - mean
