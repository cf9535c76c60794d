"""Sources with a memory: the row before is u, and permutation-contrastive learning the baseline.

One series of autoregressive sources with Laplace innovations; its last fifth is held out.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np

from experiments.methods.by_name import build
from experiments.protocol.figures import strips
from experiments.protocol.fits import Split, fit_row
from experiments.protocol.sources import FIRST_SEED
from experiments.protocol.study import run_study
from experiments.protocol.table import Row
from identiflow.shared.datasets import TemporalData, autocorrelated_sources

METHODS = ("IFlow", "PCL", "unconditional flow", "linear FastICA")
DIMENSIONS = (2, 5)


def main(smoke: bool = False, jobs: int = 2, seeds: int = 3) -> None:
    """Fit all methods to each data seed and dimension."""
    tasks = [
        partial(fit_series, n, method, seed, smoke)
        for n in (DIMENSIONS[:1] if smoke else DIMENSIONS)
        for method in METHODS
        for seed in range(FIRST_SEED, FIRST_SEED + (1 if smoke else seeds))
    ]
    strips("temporal", run_study("temporal", tasks, jobs), {})


def fit_series(latent_dim: int, method: str, seed: int, smoke: bool) -> Row:
    """One method on one series."""
    rows = 200 if smoke else 40_000
    data = with_past(autocorrelated_sources(latent_dim, rows, seed=seed))
    first = np.arange(len(data)) < 0.8 * len(data)
    split = Split(data.take(first), data.take(~first))
    row = fit_row(method, build(method, latent_dim, smoke), split)
    return dataclasses.replace(row, data=f"autocorrelated, d = {latent_dim}", seed=seed)


def with_past(data: TemporalData) -> TemporalData:
    """The same series with the row before as u; the first row, which has none, is left out."""
    return dataclasses.replace(data.take(np.arange(1, len(data))), u=data.x[:-1])
