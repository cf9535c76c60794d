"""A test of independence between two variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.metrics._arrays import as_columns, expect_rows

MIN_ROWS = 6  # the variance under independence divides by N − 3, and needs N > 5 to be positive
# With fewer rows than these that differ from the most common one, the gamma distribution finds
# dependence too often, or says too little in its tail, and permutations cost little.
ROWS_FOR_GAMMA, ROWS_FOR_ITS_TAIL, TAIL, PERMUTATIONS = 100, 300, 0.1, 1999
TIED = 1e-12


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
        n_permutations: how many permutations of b the p-value is taken from. By default it is that
            of a gamma distribution with the mean and variance that independence implies. Where
            fewer than 100 rows of a or of b differ from the most common one, or fewer than 300 and
            it is below 0.1, it is that of 1,999 permutations, 0.0005 at least: the gamma
            distribution says too little there. With more rows it still does below 0.01, by 2 to 5
            times if values are skewed or mostly the same: pass a number where that matters.
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
    if n_permutations is not None and n_permutations < 1:
        raise ValueError(f"Expected n_permutations of at least 1; got {n_permutations}. Pass 500.")
    kernel_a, kernel_b = _kernel(a, "a"), _kernel(b, "b")
    products = _centred(kernel_a) * _centred(kernel_b)
    statistic = float(products.sum() / len(a))
    rest_a, rest_b = _rest(a), _rest(b)
    few = min(len(rest_a), len(rest_b))
    if n_permutations is None and few > ROWS_FOR_GAMMA:
        p_value = _gamma_tail(statistic, kernel_a, kernel_b, products)
        if few > ROWS_FOR_ITS_TAIL or p_value >= TAIL:
            return IndependenceTest(statistic, p_value)
    if len(rest_b) < len(rest_a):  # fewer terms, of the same sum
        kernel_a, kernel_b, rest_a = kernel_b, kernel_a, rest_b
    n_permutations = n_permutations or PERMUTATIONS
    p_value = _share_that_reaches(kernel_a, kernel_b, rest_a, n_permutations, seed)
    return IndependenceTest(statistic, p_value)


def _rest(values: AnyArray) -> NDArray[np.intp]:
    """One row that has the most common value, then all rows that have another one."""
    _, value, counts = np.unique(values, axis=0, return_inverse=True, return_counts=True)
    is_common = value.ravel() == counts.argmax()
    return np.r_[is_common.argmax(), np.flatnonzero(~is_common)]


def _share_that_reaches(
    kernel_a: AnyArray, kernel_b: AnyArray, rest: NDArray[np.intp], n_permutations: int, seed: int
) -> float:
    """How many permutations of the rows of b, none among them, give a statistic at least as large.

    Rows and columns of K_a may be shifted, as H K_b H adds up to 0 along both: by those of the most
    common row of a, so that no row but the `rest` of them counts.
    """
    centred = _centred(kernel_b)
    row, *_ = rest
    shifted = kernel_a - kernel_a[row] - kernel_a[:, [row]] + kernel_a[row, row]
    shifted = shifted[np.ix_(rest, rest)]
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(len(centred))[rest] for _ in range(n_permutations))
    values = np.array([(shifted * centred[np.ix_(o, o)]).sum() for o in (rest, *orders)])
    # The statistic is one of the values that chance gives, so no p-value is 0; and of values that
    # are the same, as those of a few labels are, none is missed by rounding.
    return float((values >= values[0] - TIED * np.abs(values).max()).mean())


def _kernel(values: AnyArray, name: str) -> AnyArray:
    """exp(−|v_i − v_j|² / (2 · median²)), (N, N)."""
    from scipy.spatial.distance import cdist  # imported where it is needed, as gamma is

    values = values.astype(np.float64)
    values = values - np.median(values, 0)  # a mean is lost to one value far from all others
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


def _gamma_tail(
    statistic: float, kernel_a: AnyArray, kernel_b: AnyArray, centred_products: AnyArray
) -> float:
    """P(N · HSIC ≥ statistic) if a and b were independent, by a gamma of that mean and variance."""
    from scipy.stats import gamma  # half as slow to import as torch

    n = len(kernel_a)
    off_a, off_b = ((k.sum() - n) / (n * (n - 1)) for k in (kernel_a, kernel_b))
    mean = (1 - off_a) * (1 - off_b)  # of N · HSIC
    products = centred_products**2
    spread = (products.sum() - np.trace(products)) / (n * (n - 1))
    factor = 2 * (n - 4) * (n - 5) / (n * (n - 1) * (n - 2) * (n - 3))
    variance = n**2 * factor * spread  # of N · HSIC
    return float(gamma.sf(statistic, mean**2 / variance, scale=variance / mean))
