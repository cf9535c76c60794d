"""A test of independence between two variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.metrics._arrays import as_columns, expect_rows

MIN_ROWS = 6  # the variance under independence divides by N − 3, and needs N > 5 to be positive


@dataclass(frozen=True)
class IndependenceTest:
    """The outcome of `hsic_test`.

    Attributes:
        statistic: N · HSIC, 0 at least; larger is more dependent, for one N and one kernel width.
        p_value: how often independent variables would reach that, in [0, 1].
    """

    statistic: float
    p_value: float


def hsic_test(
    a: ArrayLike, b: ArrayLike, *, n_permutations: int | None = None, seed: int = 0
) -> IndependenceTest:
    """Test the independence of a and b; invariant to shift and scale of each.

    A small p-value says they are not; a large one, that no dependence shows in this many rows.
    Rows must be independent of each other: those of a slow time series are not, and every test of
    this kind then finds dependence too often. Gaussian kernels with the median distance as width.
    Cost and memory O(N²).

    Args:
        a: (N,) or (N, p).
        b: (N,) or (N, q).
        n_permutations: how many permutations of b the p-value is taken from; by default it is that
            of a gamma distribution with the mean and variance that independence implies.
        seed: of the permutations.

    Raises:
        ValueError: for fewer than 6 rows, a constant a or b, and rows that do not belong together.

    Reference: Gretton, Fukumizu, Teo, Song, Schölkopf & Smola 2008, "A kernel statistical test of
    independence", equations (4), (7) and (9).

    >>> import numpy as np
    >>> a, b = np.random.default_rng(0).normal(size=(2, 300))
    >>> hsic_test(a, b).p_value > 0.05, hsic_test(a, a**2).p_value < 0.001
    (True, True)
    """
    check_paired(a, b, names=("a", "b"))
    a, b = as_columns(a, "a", MIN_ROWS), as_columns(b, "b", MIN_ROWS)
    expect_rows(len(b), "b", len(a), "a")
    kernel_a, kernel_b = _kernel(a, "a"), _kernel(b, "b")
    centred_a, centred_b = _centred(kernel_a), _centred(kernel_b)
    statistic = float((centred_a * centred_b).sum() / len(a))
    if n_permutations is None:
        return IndependenceTest(statistic, _gamma_tail(statistic, kernel_a, kernel_b))
    if n_permutations < 1:
        raise ValueError(f"Expected n_permutations of at least 1; got {n_permutations}. Pass 500.")
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(len(a)) for _ in range(n_permutations))
    null = [(centred_a * centred_b[np.ix_(o, o)]).sum() / len(a) for o in orders]
    # The statistic is one of the values that chance gives, so no p-value is 0.
    reached = 1 + sum(value >= statistic for value in null)
    return IndependenceTest(statistic, reached / (1 + n_permutations))


def _kernel(values: AnyArray, name: str) -> AnyArray:
    """exp(−|v_i − v_j|² / (2 · median²)), (N, N)."""
    from scipy.spatial.distance import cdist  # imported where it is needed, as gamma is

    values = values.astype(np.float64) - values.mean(0, dtype=np.float64)
    # From differences, so that rows that are the same are at a distance of exactly 0.
    distances = cdist(values, values, "sqeuclidean")
    positive = distances[distances > 0]
    if not len(positive):
        raise ValueError(
            f"Expected {name} to vary; got a constant, which is independent of everything. "
            "Leave it out."
        )
    return np.exp(-distances / (2 * np.median(positive)))


def _centred(kernel: AnyArray) -> AnyArray:
    """H K H with H = I − 1/N."""
    means = kernel.mean(0)
    return kernel - means - means[:, None] + means.mean()


def _gamma_tail(statistic: float, kernel_a: AnyArray, kernel_b: AnyArray) -> float:
    """P(N · HSIC ≥ statistic) if a and b were independent, by a gamma of that mean and variance."""
    from scipy.stats import gamma  # half as slow to import as torch

    n = len(kernel_a)
    off_a, off_b = ((k.sum() - n) / (n * (n - 1)) for k in (kernel_a, kernel_b))
    mean = (1 - off_a) * (1 - off_b)  # of N · HSIC
    products = (_centred(kernel_a) * _centred(kernel_b)) ** 2
    spread = (products.sum() - np.trace(products)) / (n * (n - 1))
    factor = 2 * (n - 4) * (n - 5) / (n * (n - 1) * (n - 2) * (n - 3))
    variance = n**2 * factor * spread  # of N · HSIC
    return float(gamma.sf(statistic, mean**2 / variance, scale=variance / mean))
