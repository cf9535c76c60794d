"""Light tunnel: real measurements with known sources, beside baselines and the ceiling.

The score is the mean correlation within each experiment under one matching: pooled over
experiments, the shifts between them alone would score .93. Two of the nine sensors nearly are two
of the sources, so all methods but the raw sensors see them mixed by a fixed random matrix.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments import baselines
from experiments.fits import Split, fast_ica_row, fit_row
from experiments.table import Row, print_table, run_all
from iflow import IFlow
from ivae import IVAE
from shared.datasets import Dataset, find_folder, load_light_tunnel
from shared.estimator import Estimator
from shared.metrics import within_group_mean_corr_coef

N_SOURCES = 5


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Print one row for each method; data come from IDENTIFLOW_DATA or are fetched."""
    print_table(run_all(tasks(smoke), jobs))


def available() -> bool:
    """Whether the data are in a folder on this machine."""
    folder = find_folder("causal_chamber_lt")
    return folder is not None and folder.exists()


def tasks(smoke: bool) -> list[partial[Row]]:
    """One task for each row of the table."""
    options = {"hidden": (16,), "max_steps": 10} if smoke else {}
    # Read as a location family (k = 1), six experiments are enough for five latents.
    models: dict[str, Estimator] = {
        "unconditional flow": IFlow(prior="unconditional"),
        "IFlow": IFlow(prior="mean", informative=N_SOURCES),
        "IVAE": IVAE(latent_dim=N_SOURCES, prior="mean"),
    }
    fits = [
        partial(fit_method, name, model.set_params(progress=False, **options))
        for name, model in models.items()
    ]
    return [*fits, *(partial(fit_baseline, name) for name in BASELINES)]


def split(mixed: bool = True) -> Split:
    """Four fifths to fit, one fifth to score."""
    return Split(*load_light_tunnel(mixed=mixed).split(0.2, seed=0))


def within_experiment(data: Dataset, z: NDArray[np.float64]) -> float:
    """Mean correlation with the true sources within each experiment, under one matching."""
    return within_group_mean_corr_coef(data.z, z, data.u, allow_unequal=True)


def fit_method(name: str, model: Estimator) -> Row:
    """One of our models on the mixed sensors."""
    return fit_row(name, model, split(), within_experiment)


def fit_baseline(name: str) -> Row:
    """One of BASELINES."""
    return BASELINES[name]()


def _fast_ica() -> Row:
    return fast_ica_row(split(), N_SOURCES, within_experiment)


def _pca() -> Row:
    train, test = split()
    z = baselines.pca(train.x, test.x, N_SOURCES)
    return Row(train.name, "PCA", within_experiment(test, z))


def _raw_sensors() -> Row:
    train, test = split(mixed=False)
    return Row(train.name, "best single raw sensors", within_experiment(test, test.x))


def _supervised() -> Row:
    train, test = split()
    z = baselines.supervised(train.x, train.z, test.x)
    return Row(train.name, "supervised ceiling", within_experiment(test, z))


BASELINES = {
    "linear FastICA": _fast_ica,
    "PCA": _pca,
    "best single raw sensors": _raw_sensors,
    "supervised ceiling": _supervised,
}
