"""Light tunnel: real measurements with known sources, beside baselines and supervised methods.

The score is the mean correlation within each experiment under one matching: pooled over
experiments, the shifts between them alone would score .93. Two of the nine sensors nearly are two
of the sources, so all methods but the raw sensors see them mixed by a fixed random matrix. A flow
has nine latents, and the five that match best count: other methods have five, and nine in a row of
their own. Seeds are those of the rows held out and of the fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.methods import baselines
from experiments.methods.by_name import build
from experiments.protocol.figures import strips
from experiments.protocol.fits import Split, fit_row, pooled_mcc
from experiments.protocol.study import run_study
from experiments.protocol.table import Row
from identiflow.shared.datasets import Dataset, load_light_tunnel
from identiflow.shared.metrics import within_group_mean_corr_coef

NEEDS = ("causal_chamber_lt",)
N_SOURCES, N_SENSORS = 5, 9
SMOKE_STRIDE = 8
# Read as a location family (k = 1), six experiments are enough for five latents.
MEAN: dict[str, Any] = {"prior": "mean", "informative": N_SOURCES}
# That each experiment but the reference moves one source, not which, is said to these two alone.
ONE_EACH: dict[str, Any] = {"prior": "mean", "baseline": "reference"}
# Method, latents, options; a flow has as many latents as sensors, whatever is asked of it.
FITTED: dict[str, tuple[str, int, dict[str, Any]]] = {
    "IVAE, one source an experiment": ("IVAE", N_SOURCES, ONE_EACH),
    "IVAE, nine latents, one source an experiment": ("IVAE", N_SENSORS, ONE_EACH),
    "IFlow, one source an experiment": ("IFlow", N_SENSORS, ONE_EACH),
    "IFlow": ("IFlow", N_SENSORS, MEAN),
    "IVAE": ("IVAE", N_SOURCES, MEAN),
    "IVAE, nine latents": ("IVAE", N_SENSORS, MEAN),
    "IFlow, shuffled u": ("IFlow, shuffled u", N_SENSORS, MEAN),
    "unconditional flow": ("unconditional flow", N_SENSORS, {}),
    "VAE": ("VAE", N_SOURCES, {}),
    "VAE, nine latents": ("VAE", N_SENSORS, {}),
    "linear FastICA": ("linear FastICA", N_SOURCES, {}),
    "linear FastICA, nine latents": ("linear FastICA", N_SENSORS, {}),
}


def main(smoke: bool = False, jobs: int = 2, seeds: int = 3) -> None:
    """A row for each method and seed; data come from IDENTIFLOW_DATA or are fetched."""
    every = range(1 if smoke else seeds)
    fits = [partial(fit_method, name, seed, smoke) for name in FITTED for seed in every]
    others = [partial(fit_baseline, name, seed) for name in BASELINES for seed in every]
    pooled = [partial(score_means, seed) for seed in every]
    strips("light_tunnel", run_study("light_tunnel", [*fits, *others, *pooled], jobs), {})


def split(mixed: bool = True, seed: int = 0, stride: int = 1) -> Split:
    """Four fifths to fit, one fifth to score; of one row in so many."""
    data = load_light_tunnel(mixed=mixed)
    return Split(*data.take(np.arange(0, len(data), stride)).split(0.2, seed=seed))


def within_experiment(data: Dataset, z: NDArray[np.float64]) -> float:
    """Mean correlation with the true sources within each experiment, under one matching."""
    return within_group_mean_corr_coef(data.z, z, data.u, allow_unequal=True)


def fit_method(name: str, seed: int, smoke: bool) -> Row:
    """One of FITTED on the mixed sensors."""
    method, n, options = FITTED[name]
    estimator = build(method, n, smoke, seed=seed, **options)
    parts = split(seed=seed, stride=SMOKE_STRIDE if smoke else 1)
    return replace(fit_row(name, estimator, parts, within_experiment), seed=seed)


def fit_baseline(name: str, seed: int) -> Row:
    """One of BASELINES."""
    parts = split(mixed=name != RAW, seed=seed)
    score = within_experiment(parts.test, BASELINES[name](*parts))
    return Row(parts.train.name, name, score, seed=seed)


def score_means(seed: int) -> Row:
    """What knowing the experiment and nothing else would score, were rows not taken one by one.

    The means of the sources in each experiment, with a little noise, so that they vary within one.
    """
    test = split(seed=seed).test
    means = np.stack([test.z[test.u == u].mean(0) for u in test.u])
    means += 1e-6 * np.random.default_rng(seed).standard_normal(means.shape)
    return Row(
        f"{test.name}, pooled", "means of the experiments", pooled_mcc(test, means), seed=seed
    )


RAW = "best single raw sensors"
BASELINES: dict[str, Callable[[Dataset, Dataset], NDArray[np.float64]]] = {
    "PCA": lambda train, test: baselines.pca(train.x, test.x, N_SOURCES),
    "PCA, nine latents": lambda train, test: baselines.pca(train.x, test.x, N_SENSORS),
    RAW: lambda train, test: test.x,
    "supervised, gradient boosting": lambda train, test: baselines.boosted(
        train.x, train.z, test.x
    ),
    "supervised, linear regression": lambda train, test: baselines.regressed(
        train.x, train.z, test.x
    ),
}
