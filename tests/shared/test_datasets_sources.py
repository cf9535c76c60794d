"""Laws of p(z | u) of generated data, its slope and its far tails, and of estimates of p(x | u)."""

from __future__ import annotations

import numpy as np
import pytest

from identiflow.shared.datasets import nonstationary_sources, oracle_importance_log_prob
from identiflow.shared.datasets.sources import SOURCE_FAMILIES, draw_segment_sources


@pytest.mark.parametrize("name", SOURCE_FAMILIES)
@pytest.mark.parametrize("centered", [True, False])
def test_the_score_is_the_slope_of_the_density(name: str, centered: bool) -> None:
    rng = np.random.default_rng(0)
    sources = draw_segment_sources(name, 4, 3, centered, rng)
    u = np.arange(40) % 4
    z = sources.sample(u, rng)
    for i, step in enumerate(1e-6 * np.eye(3)):
        slope = (sources.log_prob(z + step, u) - sources.log_prob(z - step, u)) / 2e-6
        np.testing.assert_allclose(sources.score(z, u)[:, i], slope, atol=1e-6)


@pytest.mark.parametrize("name", SOURCE_FAMILIES)
@pytest.mark.parametrize("s", [-1e6, -800.0, 800.0, 1e6])
def test_tails_have_a_density_however_far_out(name: str, s: float) -> None:
    """Between two points far out it falls as the mean of their slopes says."""
    family = SOURCE_FAMILIES[name]
    ends = np.array([s, s + 2.0])
    fall, mean_slope = np.diff(family.log_density(ends)), family.score(ends).mean()
    np.testing.assert_allclose(fall, 2 * mean_slope, rtol=1e-6)


def test_estimates_differ_from_seed_to_seed_by_their_standard_error() -> None:
    """In each row, and in the mean of all, where errors of rows cancel."""
    data = nonstationary_sources(2, 4, 25, observation="bernoulli")
    every = [oracle_importance_log_prob(data, 100, seed=seed) for seed in range(30)]
    spread = np.std([estimate.log_prob for estimate in every], axis=0)
    claimed = np.mean([estimate.standard_error for estimate in every], axis=0)
    assert 0.8 < np.median(spread / claimed) < 1.2
    of_mean = np.std([estimate.log_prob.mean() for estimate in every])
    assert 0.6 < of_mean / np.mean([estimate.mean_standard_error for estimate in every]) < 1.6
