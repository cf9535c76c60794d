"""Matchings, linear maps and regressions found on some rows and applied to others."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression

from identiflow.shared.metrics import (
    Matching,
    linear_mean_corr_coef,
    match_sources,
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


WITH_MATCHING = {
    "MCC": mean_corr_coef,
    "MCC of ranks": partial(mean_corr_coef, method="spearman"),
    "within-group MCC": by_group,
    "within-group MCC of ranks": partial(by_group, method="spearman"),
}
ONE_TO_ONE = {**WITH_MATCHING, "linear MCC": linear_mean_corr_coef}


@pytest.fixture(params=WITH_MATCHING)
def matching_score(request):
    return WITH_MATCHING[request.param]


# Matchings


def test_the_matching_undoes_permutation_and_sign(matching_score):
    z = draw()
    latents = (z * [1, -1, -1, 1])[:, [2, 0, 3, 1]]
    value, found = matching_score(z, latents, return_matching=True)
    np.testing.assert_array_equal(found.true_index, [0, 1, 2, 3])
    np.testing.assert_array_equal(found.pred_index, [1, 3, 0, 2])
    np.testing.assert_allclose(latents[:, found.pred_index] * found.sign, z)
    assert found.correlation.mean() == pytest.approx(value, abs=1e-12)


def test_the_score_is_that_of_the_matching(matching_score):
    z, latents = draw(1), draw(1)[:, ::-1] + draw(2)
    value, found = matching_score(z, latents, return_matching=True)
    assert found.score == value == matching_score(z, latents)


@pytest.mark.parametrize("n_pred", [2, 4, 6])
def test_sources_without_a_latent_count_zero_in_the_score(n_pred):
    z, latents = draw(3), draw(4, d=n_pred)
    found = match_sources(z, latents, allow_unequal=True)
    assert len(found.correlation) == min(D, n_pred) and found.n_sources == D
    assert found.score == pytest.approx(found.correlation.sum() / D, abs=1e-12)
    assert Matching(np.ones(1), np.ones(1), np.ones(1), np.array([0.5])).score == 0.5


def test_a_matching_within_groups_is_that_of_the_within_group_score():
    z, latents = draw(1), draw(1)[:, ::-1] + draw(2)
    u = np.arange(N) % 5
    value, found = within_group_mean_corr_coef(z, latents, u, return_matching=True)
    again = match_sources(z, latents, within=u)
    assert again.score == value
    np.testing.assert_array_equal(again.pred_index, found.pred_index)


def test_a_matching_of_one_split_scores_another(matching_score):
    z, latents = draw(1), draw(1)[:, ::-1] + draw(2)
    a, b = slice(0, 2000), slice(2000, N)
    _, found = matching_score(z[a], latents[a], return_matching=True)
    value, again = matching_score(z[b], latents[b], matching=found, return_matching=True)
    np.testing.assert_array_equal(again.pred_index, found.pred_index)
    assert value == pytest.approx(matching_score(z[b], latents[b]), abs=1e-12)
    assert not np.allclose(again.correlation, found.correlation)


def test_a_given_matching_is_used_even_where_another_is_better(matching_score):
    z = draw()
    crossed = Matching(np.arange(4), np.array([1, 0, 2, 3]), np.ones(4), np.ones(4))
    assert matching_score(z, z, matching=crossed) == pytest.approx(0.5, abs=0.05)


def test_a_matching_found_elsewhere_is_not_flattered_by_noise():
    pairs = [(draw(seed, n=64), draw(seed + 100, n=64)) for seed in range(50)]
    searched, given = [], []
    for (a, b), (other_a, other_b) in zip(pairs, pairs[1:], strict=False):
        _, found = mean_corr_coef(other_a, other_b, return_matching=True)
        searched.append(mean_corr_coef(a, b))
        given.append(mean_corr_coef(a, b, matching=found))
    assert np.mean(given) == pytest.approx(np.sqrt(2 / (np.pi * 64)), abs=0.015)
    assert np.mean(searched) > np.mean(given) + 0.04


# More latents than sources, or fewer


@pytest.mark.parametrize("name", ONE_TO_ONE)
@pytest.mark.parametrize(("n_true", "n_pred", "expected"), [(5, 3, 0.6), (3, 5, 1.0), (5, 1, 0.2)])
def test_unmatched_sources_count_zero_once_unequal_columns_are_allowed(
    name, n_true, n_pred, expected
):
    z = draw(d=5)
    a, b = z[:, :n_true], z[:, :n_pred]
    assert ONE_TO_ONE[name](a, b, allow_unequal=True) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ValueError, match=f"z_pred with {n_true} columns.*got {n_pred}"):
        ONE_TO_ONE[name](a, b)


def test_a_matching_allows_unequal_columns(matching_score):
    z = draw()
    _, found = matching_score(z, z[:, ::-1], return_matching=True)
    spare = np.column_stack([z[:, ::-1], draw(7)])
    assert matching_score(z, spare, matching=found) == pytest.approx(1.0, abs=1e-9)


def test_regression_takes_any_number_of_latents():
    z = draw()
    np.testing.assert_allclose(r2_per_source(z, z[:, :2]), [1, 1, 0, 0], atol=0.02)
    np.testing.assert_allclose(r2_per_source(z, np.hstack([draw(1), z])), 1, atol=1e-9)


# Fitted on some rows, scored on others


@pytest.mark.parametrize("columns", [40, 90, 300])
def test_regression_on_noise_explains_nothing_out_of_sample(columns):
    z, noise = draw(1, n=200), draw(2, n=200, d=columns)
    in_sample = LinearRegression().fit(noise[:100], z[:100]).score(noise[:100], z[:100])
    assert in_sample > 0.3
    assert mean_r2(z, noise, fit_rows=slice(0, 100)) < 0.0


@pytest.mark.parametrize("fitted", [linear_mean_corr_coef, mean_r2])
def test_fit_rows_choose_which_rows_fit_and_the_others_are_scored(fitted):
    z = draw(n=1000)
    latents = np.vstack([z[:600], draw(9, n=400)])  # related in the first 600 rows only
    assert fitted(z, latents, fit_rows=slice(0, 600)) < 0.2
    assert fitted(z, latents, fit_rows=slice(600, 1000)) < 0.95
    assert fitted(z[:600], latents[:600], fit_rows=slice(0, 300)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("fitted", [linear_mean_corr_coef, mean_r2])
def test_fit_rows_may_be_a_slice_a_mask_or_indices(fitted):
    z, latents = draw(1), draw(1) + draw(2)
    mask = np.arange(N) < 500
    kinds = [slice(0, 500), mask, torch.tensor(mask), pd.Series(mask), np.arange(500), range(500)]
    assert len({fitted(z, latents, fit_rows=rows) for rows in kinds}) == 1


@pytest.mark.parametrize("fitted", [linear_mean_corr_coef, mean_r2])
def test_the_seed_draws_the_rows(fitted):
    z, latents = draw(1), draw(1) + draw(2)
    assert fitted(z, latents) == fitted(z, latents, seed=0) != fitted(z, latents, seed=1)
