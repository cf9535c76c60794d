"""The paper's figure: true and recovered sources in two dimensions, for iVAE, VAE and flow.

Five segments of 1000 rows, whose means and scales differ: 2n + 1 values of u, the fewest that
theorem 1 allows for two statistics of two sources.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
from numpy.typing import NDArray

from experiments.methods.by_name import build
from experiments.protocol.figures import save
from experiments.protocol.fits import Split, evaluate
from experiments.protocol.sources import FIRST_SEED
from experiments.protocol.study import RESULTS, run_study
from experiments.protocol.table import Row
from identiflow.shared.datasets import SourceData, nonstationary_sources
from identiflow.shared.metrics import mean_corr_coef

METHODS = ("IVAE", "VAE", "IFlow")
FOLDER = RESULTS / "recovery_2d"


def main(smoke: bool = False, jobs: int = 2, seeds: int = 5) -> None:
    """Fit the three to each data seed; draw the first."""
    seeds = 1 if smoke else seeds
    every = range(FIRST_SEED, FIRST_SEED + seeds)
    tasks = [partial(fit_one, method, seed, smoke) for method in METHODS for seed in every]
    run_study("recovery_2d", tasks, jobs)
    draw(FIRST_SEED, smoke)


def data_of(seed: int, smoke: bool) -> SourceData:
    """Five clusters of rows."""
    rows = 60 if smoke else 1000
    data = nonstationary_sources(2, 5, rows, centered=False, seed=seed)
    return dataclasses.replace(data, name="uncentered, 2-D, 5 segments")


def fit_one(method: str, seed: int, smoke: bool) -> Row:
    """One fit; its latents of the held-out rows are kept for the figure."""
    split = Split(*data_of(seed, smoke).split(0.2, seed=0))
    row, z = evaluate(method, build(method, 2, smoke), split)
    np.save(latents_file(method, seed, smoke), z)
    return dataclasses.replace(row, seed=seed)


def latents_file(method: str, seed: int, smoke: bool) -> str:
    """Where the latents of a fit are kept."""
    return str(FOLDER / "rows" / f"{method}-{seed}{'-smoke' if smoke else ''}.npy")


def draw(seed: int, smoke: bool) -> None:
    """Sources, observations, and what each method recovers, coloured by segment."""
    from matplotlib.figure import Figure

    test = data_of(seed, smoke).split(0.2, seed=0)[1]
    panels: dict[str, NDArray[np.float64]] = {"true sources": test.z, "observations": test.x}
    for method in METHODS:
        z = np.load(latents_file(method, seed, smoke))
        score, matching = mean_corr_coef(test.z, z, return_matching=True)
        order = np.argsort(matching.true_index)
        signs = np.asarray(matching.sign)[order]
        panels[f"{method}, MCC {score:.3f}"] = signs * z[:, matching.pred_index[order]]
    figure = Figure(figsize=(3 * len(panels), 3.2), layout="constrained")
    for ax, (title, points) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        ax.scatter(*points.T, c=test.u, cmap="viridis", s=4, alpha=0.6, lw=0)
        ax.set_title(title, fontsize=10)
        ax.set_xticks([])
        ax.set_yticks([])
    save(figure, FOLDER / "sources.png")
