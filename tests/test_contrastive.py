"""The contrastive baselines recover what their theorems say, on data that are easy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone

from experiments.methods.by_name import METHODS, ShuffledU, build
from experiments.methods.pcl import PCL
from experiments.methods.supervised import Supervised
from experiments.methods.tcl import TCL
from experiments.protocol.sources import FIRST_SEED, fit_sources
from identiflow.shared.datasets import autocorrelated_sources, nonstationary_sources
from identiflow.shared.metrics import mean_corr_coef, mean_r2

SHOWN = "max_steps=30, progress=False, hidden=(8,), latent_dim=2"
BUDGET = {"hidden": (32, 32), "max_steps": 600, "progress": False}


def test_tcl_recovers_squares_of_sources_whose_scale_changes() -> None:
    data = nonstationary_sources(2, 20, 300, n_layers=1, seed=1)
    latents = TCL(2, **BUDGET).fit(data.x, data.u).transform(data.x)
    assert mean_corr_coef(data.z**2, latents) > 0.8
    assert mean_corr_coef(data.z, latents) < 0.3


def test_tcl_has_a_feature_for_each_statistic() -> None:
    """Of sources whose mean changes too the statistics are z and z²: n features are too few."""
    data = nonstationary_sources(2, 20, 300, n_layers=1, centered=False, seed=1)
    few = TCL(2, **BUDGET).fit(data.x, data.u).transform(data.x)
    enough = TCL(2, statistics=2, **BUDGET).fit(data.x, data.u).transform(data.x)
    assert (few.shape[1], enough.shape[1]) == (2, 4)
    statistics = np.hstack([data.z, data.z**2])
    assert mean_r2(statistics, enough) > mean_r2(statistics, few) + 0.1


def test_pcl_recovers_autocorrelated_sources() -> None:
    data = autocorrelated_sources(2, 6000, n_layers=1, seed=1)
    budget = BUDGET | {"hidden": (64, 64), "max_steps": 1000}  # smaller ones stay in local optima
    latents = PCL(2, **budget).fit(data.x).transform(data.x)
    assert mean_corr_coef(data.z, latents) > 0.95
    shuffled = data.x[np.random.default_rng(0).permutation(6000)]
    without = PCL(2, **BUDGET).fit(shuffled)
    assert without.history_.best_loss > 1.3  # 2 log 2 is chance: there is nothing to be seen


def test_a_network_that_was_shown_the_sources_finds_them() -> None:
    data = nonstationary_sources(2, 6, 400, n_layers=1, observed_dim=4, noise_std=0.3, seed=1)
    train, test = data.split(0.2, seed=0)
    shown = Supervised(2, **BUDGET).fit(train.x, train.z)
    assert 0.8 < mean_corr_coef(test.z, shown.transform(test.x)) < 0.999


def test_fits_are_those_of_their_seed(assert_rng_untouched) -> None:
    data = nonstationary_sources(2, 5, 40, seed=1)
    small = {"hidden": (8,), "max_steps": 5, "progress": False}
    with assert_rng_untouched():
        first, again, other = (
            TCL(2, **small, seed=seed).fit(data.x, data.u).transform(data.x) for seed in (0, 0, 1)
        )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_every_method_is_built_and_scored_in_one_protocol() -> None:
    setting = (("latent_dim", 2), ("n_segments", 6), ("samples_per_segment", 40))
    for method in [*METHODS, "chance", "TCL, against z²", "supervised, a network"]:
        row = fit_sources("small", setting, method, FIRST_SEED, smoke=True)
        assert (row.data, row.method, row.seed) == ("small", method, FIRST_SEED)
        assert 0 < row.mcc <= 1, method


def test_shuffled_u_says_nothing_of_x() -> None:
    data = nonstationary_sources(2, 6, 40, centered=False, seed=1)
    control = build("IFlow, shuffled u", 2, smoke=True)
    assert isinstance(control, ShuffledU)
    control.fit(data.x, data.u)
    given = build("IFlow", 2, smoke=True).fit(data.x, data.u)
    changed = [
        not torch.equal(a, b)
        for a, b in zip(
            control.estimator.model_.parameters(), given.model_.parameters(), strict=True
        )
    ]
    assert any(changed)


@pytest.mark.parametrize("method", [TCL, PCL])
def test_an_estimator_on_the_base_is_saved_resumed_and_cloned(method, tmp_path) -> None:
    data = nonstationary_sources(2, 6, 60, seed=1)
    whole = method(2, hidden=(8,), max_steps=30, progress=False).fit(data.x, data.u)
    expected = whole.transform(data.x)
    whole.save(tmp_path / "model")
    np.testing.assert_array_equal(method.load(tmp_path / "model").transform(data.x), expected)
    assert repr(whole) == f"{method.__name__}({SHOWN})"
    again = clone(whole)
    stages = again.plan(data.x, data.u, tmp_path / "run")
    assert next(stages).checkpoint == tmp_path / "run"
    again.fit(data.x, data.u, checkpoint=tmp_path / "run")
    resumed = clone(whole).fit(data.x, data.u, checkpoint=tmp_path / "run")
    np.testing.assert_array_equal(resumed.transform(data.x), expected)
    with pytest.raises(ValueError, match="max_steps to be an integer of at least 1; got 0"):
        clone(whole).set_params(max_steps=0).fit(data.x, data.u)
