"""Laws of the independence test: its errors are as rare as it says, and it finds dependence."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations
from math import perm

import numpy as np
import pytest
from scipy.stats import binomtest, gamma, kstest

from identiflow.shared.metrics import hsic_test

RNG = np.random.default_rng(0)
DEPENDENT = {
    "linear": lambda a, e: a + e,
    "square, uncorrelated": lambda a, e: a**2 + 0.3 * e,
    "scale alone": lambda a, e: np.exp(a) * e,
}


def textbook_kernels(a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    squares = [(v[:, None] - v) ** 2 for v in (a, b)]
    return [np.exp(-s / (2 * np.median(s[s > 0]))) for s in squares]


def textbook_statistic(a: np.ndarray, b: np.ndarray) -> float:
    n = len(a)
    centre = np.eye(n) - 1 / n
    kernels = textbook_kernels(a, b)
    return np.trace(kernels[0] @ centre @ kernels[1] @ centre) / n


def textbook_p_value(a: np.ndarray, b: np.ndarray) -> float:
    """By the moments of HSIC under independence, which are means over pairs of different rows."""
    n, pairs = len(a), list(combinations(range(len(a)), 2))
    kernels, centre = textbook_kernels(a, b), np.eye(n) - 1 / n
    k, m = (centre @ kernel @ centre for kernel in kernels)
    squared_means = [np.mean([kernel[pair] for pair in pairs]) for kernel in kernels]
    mean = (1 + np.prod(squared_means) - np.sum(squared_means)) / n
    squares = np.mean([(k[pair] * m[pair]) ** 2 for pair in pairs])
    variance = 2 * perm(n - 4, 2) / perm(n, 4) * squares
    shape, scale = mean**2 / variance, variance / mean
    return gamma.sf(textbook_statistic(a, b) / n, shape, scale=scale)


def test_the_statistic_is_the_textbook_one() -> None:
    a, e = RNG.normal(size=(2, 50))
    assert hsic_test(a, a + e).statistic == pytest.approx(textbook_statistic(a, a + e))


@pytest.mark.parametrize(("n", "seed"), [(102, 0), (120, 3)])
def test_the_p_value_is_the_textbook_one(n: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, n))
    assert 0.1 < hsic_test(a, b).p_value == pytest.approx(textbook_p_value(a, b), rel=1e-6)


@pytest.mark.parametrize(("n", "n_permutations"), [(120, None), (60, 60)])
def test_p_values_of_independent_variables_are_uniform(n: int, n_permutations: int | None) -> None:
    draws = [(RNG.normal(size=n), RNG.laplace(size=n)) for _ in range(200)]
    p = [hsic_test(a, b, n_permutations=n_permutations).p_value for a, b in draws]
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.10


def zeros(rng: np.random.Generator, n: int, share: float) -> np.ndarray:
    return np.where(rng.random(n) < share, 0.0, rng.normal(size=n))


FEW: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "12 rows": lambda rng: rng.normal(size=12),
    "25 rows, seven in ten of them 0": lambda rng: zeros(rng, 25, 0.7),
    "200 rows, nine in ten of them 0": lambda rng: zeros(rng, 200, 0.9),
}


@pytest.mark.parametrize("case", FEW)
def test_few_rows_that_differ_are_no_dependence(case: str) -> None:
    """By the gamma distribution there was some in 10 to 18 of 100."""
    draws = np.random.default_rng(2)
    p = [hsic_test(FEW[case](draws), FEW[case](draws)).p_value for _ in range(80)]
    assert binomtest(sum(value <= 0.05 for value in p), 80, 0.05, "greater").pvalue > 1e-3


SIX = [[0.3, -1.2, 0.7, 2.0, -0.4, 1.1], [0, 0, 0, 5, 0, 1], [0, 0, 1, 1, 2, 0], [0, 0, 0, 0, 0, 1]]


@pytest.mark.parametrize("values", SIX)
def test_the_p_value_of_six_rows_is_that_of_all_their_orders(values: list[float]) -> None:
    a, b = np.array(values), np.array([1.0, 0.2, 1.5, 4.0, 0.9, 1.8])
    statistics = [textbook_statistic(a, b[list(order)]) for order in permutations(range(6))]
    exact = np.mean([value >= statistics[0] - 1e-12 for value in statistics])
    for one, other in ((a, b), (b, a)):
        assert hsic_test(one, other).p_value == pytest.approx(exact, abs=0.04)


def test_the_tail_is_that_of_permutations() -> None:
    """By the gamma distribution p = 0.00056, where one in a thousand orders reach as far."""
    a, b = rare_pair()
    tail = hsic_test(a, b)
    assert tail == hsic_test(a, b, n_permutations=1999)
    assert tail.p_value > 1.5 * textbook_p_value(a, b)


def rare_pair() -> tuple[np.ndarray, np.ndarray]:
    """Of independent pairs of 110 rows the one that seems most dependent."""
    pairs = [np.random.default_rng(seed).normal(size=(2, 110)) for seed in range(400)]
    return tuple(max(pairs, key=lambda pair: hsic_test(*pair, n_permutations=1).statistic))


def test_a_value_far_from_all_others_hides_no_dependence() -> None:
    a = np.random.default_rng(0).normal(size=199)
    p = [hsic_test(np.r_[a, far], np.r_[a**2, 0.0]).p_value for far in (10.0, 1e6, 1e20)]
    assert max(p) < 0.001


def test_with_one_permutation_half_of_all_ranks_are_left() -> None:
    """The statistic is one of the values that are ranked, so that the largest p-value is 1."""
    draws = np.random.default_rng(0).normal(size=(30, 2, 12))
    assert {hsic_test(a, b, n_permutations=1).p_value for a, b in draws} == {0.5, 1.0}


@pytest.mark.parametrize("n_permutations", [None, 200])
@pytest.mark.parametrize("kind", DEPENDENT)
def test_dependence_is_found(kind: str, n_permutations: int | None) -> None:
    a, e = RNG.normal(size=(2, 300))
    test = hsic_test(a, DEPENDENT[kind](a, e), n_permutations=n_permutations)
    assert test.p_value < 0.01


def test_shift_scale_and_order_do_not_matter() -> None:
    a, e = RNG.normal(size=(2, 320))
    b, order = a + 3 * e, RNG.permutation(320)
    expected = hsic_test(a, b)
    got = hsic_test(100 - 7 * b[order], 1e-3 * a[order])
    assert got.statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert got.p_value == pytest.approx(expected.p_value, rel=1e-6)


def test_permutations_are_those_of_the_seed() -> None:
    a, b = np.random.default_rng(3).normal(size=(2, 30, 2))
    first, again, other = (
        hsic_test(a, b, n_permutations=50, seed=seed).p_value for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones(10), np.arange(10.0), "Expected a to vary; got a constant"),
        (np.arange(5.0), np.arange(5.0), "Expected a with at least 6 rows; got 5"),
        (np.arange(10.0), np.arange(9.0), "Expected b with 10 rows, one for each row of a; got 9"),
        (np.arange(10.0), np.full(10, np.nan), "Expected b to be finite"),
    ],
)
def test_bad_input_is_refused(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hsic_test(a, b)


def test_a_count_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected n_permutations of at least 1; got 0"):
        hsic_test(np.arange(10.0), np.arange(10.0), n_permutations=0)


def test_rows_that_repeat_are_at_no_distance_wherever_they_are():
    groups = (np.arange(200) < 12).astype(int)
    a = np.array([[-0.46, 0.06, -0.38], [1.2, 0.53, 0.77]])[groups]
    b = np.random.default_rng(0).normal(size=200) + groups
    expected = hsic_test(a, b)
    for shift in (1.0, 0.1, -7.3):
        got = hsic_test(a + shift, b)
        assert got.statistic == pytest.approx(expected.statistic, rel=1e-9)
        assert got.p_value == pytest.approx(expected.p_value, rel=1e-6)
