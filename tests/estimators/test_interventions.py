"""Values of u that change one latent each: what is identified by them, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from identiflow.iflow import IFlow
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.metrics import within_group_mean_corr_coef

Array = np.ndarray
N = 3
NAMES = np.array(["control", "first", "second", "third"])


@pytest.fixture(scope="module")
def experiments() -> tuple[Array, Array, Array]:
    """x, z and u of a control and an experiment on each of three sources, mixed linearly."""
    rng = np.random.default_rng(0)
    code = np.arange(2000) % (N + 1)
    z = rng.normal(size=(len(code), N))
    for source in range(N):
        z[code == source + 1, source] += 3
    mixing = np.array([[1.0, 0.8, 0.3], [-0.5, 1.0, 0.7], [0.6, -0.4, 1.0]])
    return z @ mixing.T, z, NAMES[code]


def recovery(x: Array, z: Array, u: Array, **options: object) -> float:
    flow = IFlow(prior="mean", hidden=(8,), n_layers=1, max_steps=3, **options).fit(x, u)
    return within_group_mean_corr_coef(z, flow.transform(x), u)


@pytest.mark.usefixtures("whole_starts")
def test_they_identify_what_shifts_of_the_mean_alone_do_not(experiments):
    assert recovery(*experiments, baseline="control") > 0.99
    assert recovery(*experiments) < 0.95


def test_each_latent_is_changed_by_one_value(
    make: Callable[..., Estimator], x: Array, latent_dim: int, tmp_path: Path
) -> None:
    u = NAMES[np.arange(len(x)) % (latent_dim + 1)]
    fit = make(prior="mean", baseline="control").fit(x, u)
    report = fit.check_identifiability(u)
    assert report.n_values_needed == latent_dim + 1 and report.permutation
    fit.save(tmp_path / "fit")
    loaded = type(fit).load(tmp_path / "fit")
    assert loaded.baseline == "control" and loaded.prior_.targets == (None, *range(latent_dim))
    np.testing.assert_array_equal(loaded.log_prob(x, u), fit.log_prob(x, u))
