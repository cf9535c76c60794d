"""Laws of every score: what it removes, what it makes of noise, what it takes as input."""

from __future__ import annotations

import tracemalloc
from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from identiflow.shared import metrics
from identiflow.shared.metrics import (
    agreement,
    linear_mean_corr_coef,
    mean_corr_coef,
    mean_r2,
    r2_per_source,
    within_group_mean_corr_coef,
)

N, D = 3000, 4


def draw(seed=0, n=N, d=D):
    return np.random.default_rng(seed).laplace(size=(n, d))


def by_group(z_true, z_pred, **options):
    """Within-group MCC for five interleaved groups."""
    return within_group_mean_corr_coef(z_true, z_pred, np.arange(len(z_true)) % 5, **options)


def agreed(z_true, z_pred, **options):
    """Agreement of two fits."""
    return agreement([z_true, z_pred], **options).mean


SCORES = {
    "MCC": mean_corr_coef,
    "MCC of ranks": partial(mean_corr_coef, method="spearman"),
    "within-group MCC": by_group,
    "within-group MCC of ranks": partial(by_group, method="spearman"),
    "linear MCC": linear_mean_corr_coef,
    "R2": mean_r2,
    "agreement": agreed,
    "agreement of ranks": partial(agreed, method="spearman"),
    "agreement up to a linear map": partial(agreed, method="linear"),
}
LINEAR = ["linear MCC", "R2", "agreement up to a linear map"]
OF_RANKS = [name for name in SCORES if "ranks" in name]


def linear_map(z):
    return z @ np.random.default_rng(3).normal(size=(z.shape[1],) * 2) + 2.0


REMOVED_BY_ALL = {
    "nothing": lambda z: z,
    "permutation": lambda z: z[:, [2, 0, 3, 1]],
    "sign": lambda z: z * [1, -1, -1, 1],
    "scale": lambda z: z * [1e-9, 3, 1e9, 0.1],
    "shift": lambda z: z + [-5, 0, 100, 1e6],
    "all of these": lambda z: (z * [-1e-9, 3, 1e9, -0.1] + [0, -7, 1e10, 1e4])[:, ::-1],
}
MONOTONE = {
    "cube": lambda z: z**3,
    "a map for each column": lambda z: np.stack(
        [np.exp(z[:, 3]), -np.arctan(z[:, 1]), np.sinh(z[:, 0]), z[:, 2] ** 5], axis=1
    ),
}


@pytest.fixture(params=SCORES)
def score(request):
    return SCORES[request.param]


# What each score removes, and what it does not


@pytest.mark.parametrize("change", REMOVED_BY_ALL.values(), ids=REMOVED_BY_ALL)
def test_a_score_is_one_under_every_map_it_removes(score, change):
    z = draw()
    assert score(z, change(z)) == pytest.approx(1.0, abs=1e-9)


def test_rounding_does_not_lift_a_score_above_one(score):
    assert max(score(z, z) for z in (draw(seed, n=99) for seed in range(20))) <= 1.0


@pytest.mark.parametrize("power", [-545, -1000, 200])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_a_score_does_not_vanish_with_the_unit(score, dtype, power):
    """A power of two, and a score that is not 1: 1e-165 of latents were before no latents."""
    true = draw()
    pred = (true + 0.3 * draw(1)).astype(dtype).astype("f8")
    small = np.ldexp(pred, power if dtype == "f8" else max(power, -100) // 2).astype(dtype)
    assert np.isfinite(small).all() and small.any(0).all()
    expected = score(true, pred.astype(dtype))
    assert expected < 0.99 and score(true, small) == pytest.approx(expected, rel=1e-5)
    assert score(small, true) == pytest.approx(score(pred.astype(dtype), true), rel=1e-5)


@pytest.mark.parametrize("name", OF_RANKS)
@pytest.mark.parametrize("change", MONOTONE.values(), ids=MONOTONE)
def test_ranks_remove_every_monotone_map(name, change):
    z = draw()
    assert SCORES[name](z, change(z)) == pytest.approx(1.0, abs=1e-12)
    assert mean_corr_coef(z, change(z)) < 0.95


@pytest.mark.parametrize("name", LINEAR)
def test_linear_scores_remove_every_invertible_linear_map_but_no_nonlinear_mixing(name):
    z = draw()
    assert SCORES[name](z, linear_map(z)) == pytest.approx(1.0, abs=1e-9)
    assert SCORES[name](z, np.tanh(2 * linear_map(z))) < 0.95


def test_mcc_does_not_remove_a_linear_map():
    z = draw()
    assert mean_corr_coef(z, linear_map(z)) < 0.9


def test_a_score_of_independent_sources_is_near_chance(score):
    assert abs(score(draw(1), draw(2))) < 0.05


def test_noise_lowers_a_score_to_the_known_correlation():
    z, noise = draw(1, n=100_000), draw(2, n=100_000)
    assert mean_corr_coef(z, (z + noise)[:, ::-1]) == pytest.approx(np.sqrt(0.5), abs=0.01)


# Slow references


def slow_mcc(a, b):
    d = a.shape[1]
    strength = np.abs(np.corrcoef(a, b, rowvar=False)[:d, d:])
    pairs = linear_sum_assignment(-strength)
    return strength[pairs].mean()


def slow_rank_mcc(a, b):
    d = a.shape[1]
    strength = np.abs(spearmanr(a, b).statistic[:d, d:])
    return max(strength[range(d), order].mean() for order in permutations(range(d)))


def slow_group_mcc(a, b):
    d = a.shape[1]
    groups = [np.corrcoef(a[g::5], b[g::5], rowvar=False)[:d, d:] for g in range(5)]
    strength = np.mean(np.abs(groups), axis=0)
    return max(strength[range(d), order].mean() for order in permutations(range(d)))


def halves(n):
    order = np.random.default_rng(0).permutation(n)
    return order[: n // 2], order[n // 2 :]


def slow_linear_mcc(a, b):
    fit, rest = halves(len(a))
    d = a.shape[1]
    s = np.cov(a[fit], b[fit], rowvar=False)
    back = np.linalg.solve(s[d:, d:], s[d:, :d])  # the direction in b that goes with one in a
    directions = np.linalg.eig(np.linalg.solve(s[:d, :d], s[:d, d:]) @ back)[1].real
    pairs = zip((a[rest] @ directions).T, (b[rest] @ back @ directions).T, strict=True)
    return np.mean([abs(np.corrcoef(x, y)[0, 1]) for x, y in pairs])


def slow_r2(a, b):
    fit, rest = halves(len(a))
    return r2_score(a[rest], LinearRegression().fit(b[fit], a[fit]).predict(b[rest]))


REFERENCES = {
    "MCC": slow_mcc,
    "MCC of ranks": slow_rank_mcc,
    "within-group MCC": slow_group_mcc,
    "linear MCC": slow_linear_mcc,
    "R2": slow_r2,
}
RELATED = {  # pairs of sources and latents whose scores are neither 0 nor 1
    "noisy": lambda: (draw(1), draw(1)[:, ::-1] + draw(2)),
    "mixed": lambda: (draw(1), linear_map(draw(1)) + draw(2)),
    "far from 0": lambda: (draw(1) - 50, draw(1) * [1, -1, 2, 3] + draw(2) + 1000),
    "with ties": lambda: (draw(1).round(), (draw(1) + draw(2)).round()),
    "drifting": lambda: (np.cumsum(draw(1), axis=0), np.cumsum(draw(1) + draw(2), axis=0)),
    "two columns, many blocks": lambda: (
        draw(1, n=80_001, d=2),
        draw(1, n=80_001, d=2) + draw(2, n=80_001, d=2),
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("make", RELATED.values(), ids=RELATED)
def test_a_score_equals_its_slow_reference(name, make):
    a, b = make()
    value = SCORES[name](a, b)
    assert 0.1 < value < 0.99
    tolerance = 1e-9 if name == "linear MCC" else 1e-12  # the reference squares the condition
    assert value == pytest.approx(REFERENCES[name](a, b), abs=tolerance)


def test_memory_stays_bounded_when_rows_are_many():
    z = draw(n=200_000, d=10).astype(np.float32)  # 16 MB in float64
    tracemalloc.start()
    mean_corr_coef(z, z)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


# Inputs


def as_memmap(z, folder):
    np.save(folder / "z.npy", z)
    return np.load(folder / "z.npy", mmap_mode="r")


KINDS = {
    "float32": lambda z, _: z.astype(np.float32),
    "Fortran order": lambda z, _: np.asfortranarray(z),
    "list": lambda z, _: z.tolist(),
    "tensor with gradient": lambda z, _: torch.tensor(z).requires_grad_(),
    "bfloat16 tensor": lambda z, _: torch.tensor(z).bfloat16(),
    "frame": lambda z, _: pd.DataFrame(z, columns=list("abcd")),
    "nullable frame": lambda z, _: pd.DataFrame(z).astype("Float64"),
    "memory-map": as_memmap,
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_of_array_scores_alike_and_none_is_written_to(score, kind, tmp_path):
    z = draw(n=400).round()  # small integers are exact in every format
    other = draw(1, n=400).round() + z[:, ::-1]
    z.flags.writeable = other.flags.writeable = False
    assert score(kind(z, tmp_path), other) == pytest.approx(score(z, other), abs=1e-12)


def test_a_vector_is_one_column(score):
    z, other = draw(d=1), draw(d=1) + draw(1, d=1)
    assert score(z[:, 0], other[:, 0]) == score(z, other)


def test_scores_are_floats_and_touch_no_global_generator(score, assert_rng_untouched):
    with assert_rng_untouched():
        assert type(score(draw(1), draw(2))) is float


def test_of_single_columns_the_linear_score_is_the_size_of_their_correlation():
    """On the rows scored, whatever its sign was on those of the fit."""
    for z, other in zip(draw(n=60, d=20).T, draw(1, n=60, d=20).T, strict=True):
        expected = abs(np.corrcoef(z[30:], other[30:])[0, 1])
        assert linear_mean_corr_coef(z, other, fit_rows=slice(0, 30)) == pytest.approx(expected)


# Constant columns


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9 / 3])
@pytest.mark.parametrize("side", ["z_true", "z_pred"])
def test_a_constant_column_counts_zero(score, value, side):
    z = draw(n=20_000, d=4)  # more than one block, whose means differ in the last digit
    collapsed = z.copy()
    collapsed[:, 1] = value
    pair = (collapsed, z) if side == "z_true" else (z, collapsed)
    expected = 3 / 4
    assert score(*pair) == pytest.approx(expected, abs=0.01 if score is mean_r2 else 1e-9)


def test_r2_of_a_constant_source_is_zero_whatever_the_rounding_of_its_mean():
    constant = np.full((N, 3), [0.1, 1 / 3, 1e9 / 7])
    np.testing.assert_array_equal(r2_per_source(constant, draw(), fit_rows=slice(0, 777)), 0.0)


def test_all_constant_scores_zero(score):
    flat = np.full((N, D), 0.1)
    assert score(draw(), flat) <= 0.0 <= score(flat, draw())
    assert score(flat, flat) == 0.0


def test_every_public_name_is_exported_and_documented():
    for name in metrics.__all__:
        assert getattr(metrics, name).__doc__.strip()
