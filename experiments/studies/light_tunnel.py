"""Light tunnel: real measurements with known sources, beside baselines and the ceiling.

The score is the mean correlation within each experiment under one matching: pooled over
experiments, the shifts between them alone would score .93. Two of the nine sensors nearly are two
of the sources, so all methods but the raw sensors see them mixed by a fixed random matrix. Seeds
are those of the rows held out and of the fit.
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
from experiments.protocol.fits import Split, fit_row
from experiments.protocol.study import run_study
from experiments.protocol.table import Row
from identiflow.shared.datasets import Dataset, load_light_tunnel
from identiflow.shared.metrics import within_group_mean_corr_coef

NEEDS = ("causal_chamber_lt",)
N_SOURCES = 5
SMOKE_STRIDE = 8
# Read as a location family (k = 1), six experiments are enough for five latents.
MEAN: dict[str, Any] = {"prior": "mean", "informative": N_SOURCES}
# That each experiment but the reference moves one source, not which, is said to these two alone.
ONE_EACH: dict[str, Any] = {"prior": "mean", "baseline": "reference"}
FITTED: dict[str, tuple[str, dict[str, Any]]] = {
    "IVAE, one source an experiment": ("IVAE", ONE_EACH),
    "IFlow, one source an experiment": ("IFlow", ONE_EACH),
    "IFlow": ("IFlow", MEAN),
    "IVAE": ("IVAE", MEAN),
    "IFlow, shuffled u": ("IFlow, shuffled u", MEAN),
    "unconditional flow": ("unconditional flow", {}),
    "VAE": ("VAE", {}),
    "linear FastICA": ("linear FastICA", {}),
}


def main(smoke: bool = False, jobs: int = 2, seeds: int = 3) -> None:
    """A row for each method and seed; data come from IDENTIFLOW_DATA or are fetched."""
    every = range(1 if smoke else seeds)
    fits = [partial(fit_method, name, seed, smoke) for name in FITTED for seed in every]
    others = [partial(fit_baseline, name, seed) for name in BASELINES for seed in every]
    strips("light_tunnel", run_study("light_tunnel", [*fits, *others], jobs), {})


def split(mixed: bool = True, seed: int = 0, stride: int = 1) -> Split:
    """Four fifths to fit, one fifth to score; of one row in so many."""
    data = load_light_tunnel(mixed=mixed)
    return Split(*data.take(np.arange(0, len(data), stride)).split(0.2, seed=seed))


def within_experiment(data: Dataset, z: NDArray[np.float64]) -> float:
    """Mean correlation with the true sources within each experiment, under one matching."""
    return within_group_mean_corr_coef(data.z, z, data.u, allow_unequal=True)


def fit_method(name: str, seed: int, smoke: bool) -> Row:
    """One of FITTED on the mixed sensors."""
    method, options = FITTED[name]
    estimator = build(method, N_SOURCES, smoke, seed=seed, **options)
    parts = split(seed=seed, stride=SMOKE_STRIDE if smoke else 1)
    return replace(fit_row(name, estimator, parts, within_experiment), seed=seed)


def fit_baseline(name: str, seed: int) -> Row:
    """One of BASELINES."""
    parts = split(mixed=name != RAW, seed=seed)
    score = within_experiment(parts.test, BASELINES[name](*parts))
    return Row(parts.train.name, name, score, seed=seed)


RAW = "best single raw sensors"
BASELINES: dict[str, Callable[[Dataset, Dataset], NDArray[np.float64]]] = {
    "PCA": lambda train, test: baselines.pca(train.x, test.x, N_SOURCES),
    RAW: lambda train, test: test.x,
    "supervised ceiling": lambda train, test: baselines.supervised(train.x, train.z, test.x),
}
