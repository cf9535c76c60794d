"""Yardsticks of a score: its chance level, and the agreement of several fits."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from identiflow.shared.metrics import (
    agreement,
    chance_level,
    linear_mean_corr_coef,
    mean_corr_coef,
    mean_r2,
    within_group_mean_corr_coef,
)

N, D = 3000, 4


def draw(seed=0, n=N, d=D):
    return np.random.default_rng(seed).laplace(size=(n, d))


def by_group(z_true, z_pred):
    """Within-group MCC for five interleaved groups."""
    return within_group_mean_corr_coef(z_true, z_pred, np.arange(len(z_true)) % 5)


SCORES = {
    "MCC of ranks": partial(mean_corr_coef, method="spearman"),
    "linear MCC": linear_mean_corr_coef,
    "R2": mean_r2,
    "within-group MCC": by_group,
}


@pytest.mark.parametrize(("rows", "expected", "margin"), [(64, 0.175, 0.01), (40_000, 0.007, 5e-4)])
def test_chance_mcc_of_five_sources(rows, expected, margin):
    chance = chance_level(draw(1, n=rows, d=5), draw(2, n=rows, d=5))
    assert chance.mean == pytest.approx(expected, abs=margin)
    assert chance.mean < chance.upper < 1.5 * chance.mean


def test_chance_does_not_depend_on_how_good_the_latents_are():
    z = draw(n=500)
    perfect, useless = chance_level(z, z), chance_level(z, draw(1, n=500))
    assert perfect.mean == pytest.approx(useless.mean, abs=0.01)


def test_chance_reports_its_scores_and_repeats_with_its_seed():
    z = draw(n=100)
    chance = chance_level(z, z, n_permutations=30, quantile=0.5, seed=4)
    again = chance_level(z, z, n_permutations=30, quantile=0.5, seed=4)
    assert chance.scores.shape == (30,)
    assert chance.mean == pytest.approx(chance.scores.mean())
    assert chance.upper == pytest.approx(np.median(chance.scores))
    np.testing.assert_array_equal(chance.scores, again.scores)
    assert chance.mean != chance_level(z, z, n_permutations=30, seed=5).mean


@pytest.mark.parametrize("name", SCORES)
def test_chance_of_any_score_is_that_of_independent_sources(name):
    score = SCORES[name]
    fresh = np.mean([score(draw(s, n=400), draw(s + 50, n=400)) for s in range(50)])
    chance = chance_level(draw(n=400), draw(n=400), score=score, n_permutations=50)
    assert chance.mean == pytest.approx(fresh, abs=0.02)


def test_fits_that_differ_by_what_mcc_removes_agree():
    z = draw()
    fits = [
        z,
        z[:, [2, 0, 3, 1]],
        z * [1, -1, -1, 1],
        z * [1e-9, 3, 1e9, 0.1],
        z + [-5, 0, 100, 1e6],
        (z * [-1e-9, 3, 1e9, -0.1] + [0, -7, 1e10, 1e4])[:, ::-1],
    ]
    result = agreement(fits)
    assert result.mean == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(result.pairwise, 1.0, atol=1e-9)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_agreement_is_the_mcc_of_every_pair(method):
    fits = [draw(1), draw(1) + draw(2), draw(3)[:, ::-1] + draw(1)]
    result = agreement(fits, method=method)
    expected = [[mean_corr_coef(a, b, method=method) for b in fits] for a in fits]
    np.testing.assert_allclose(result.pairwise, expected, atol=1e-12)
    upper = [expected[0][1], expected[0][2], expected[1][2]]
    assert result.mean == pytest.approx(np.mean(upper), abs=1e-12)


def test_the_diagonal_of_agreement_is_the_share_of_latents_that_vary():
    z = draw()
    collapsed = z * [1, 0, 0, 1]
    np.testing.assert_allclose(np.diag(agreement([z, collapsed]).pairwise), [1.0, 0.5])
