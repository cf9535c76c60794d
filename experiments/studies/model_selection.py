"""Held-out nats against MCC over settings and seeds: do nats choose the right model?

The paper's argument for likelihoods: the fit that explains held-out rows best is the one whose
latents are the sources.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.protocol.figures import save
from experiments.protocol.sources import tasks
from experiments.protocol.study import RESULTS, run_study
from experiments.protocol.table import Row

DATA = {
    "centered": {"latent_dim": 5},
    "uncentered": {"latent_dim": 5, "centered": False},
}
LAYERS = (2, 4, 8)
PRIORS = ("scale", "mean_and_scale", "laplace")
MAX_STEPS = (1000, 5000)
TICKS = (0.01, 0.1, 1.0, 10.0)  # of the figure, in nats


def main(smoke: bool = False, jobs: int = 2, seeds: int = 2) -> None:
    """Fit flows of several sizes, priors and budgets; print how nats and MCC go together."""
    choices = [
        {"n_layers": n, "prior": prior, "max_steps": steps}
        for n in LAYERS
        for prior in PRIORS
        for steps in MAX_STEPS
    ]
    found = [
        task
        for choice in (choices[:4:2] if smoke else choices)
        for task in tasks(DATA, ["IFlow"], seeds, smoke, **choice)
    ]
    rows = run_study("model_selection", found, jobs)
    for data, seed in dict.fromkeys((row.data, row.seed) for row in rows):
        group = [row for row in rows if (row.data, row.seed) == (data, seed)]
        chosen, best = max(group, key=lambda r: r.nats), max(group, key=lambda r: r.mcc)
        print(
            f"{data}, data seed {seed}: rank correlation of nats and MCC {ranks(group):.2f}; "
            f"chosen by nats: {chosen.method}, MCC {chosen.mcc:.3f}; best MCC {best.mcc:.3f}"
        )
    draw(rows)


def ranks(rows: Sequence[Row]) -> float:
    """Spearman's correlation between held-out nats and MCC."""
    from scipy.stats import spearmanr

    return float(spearmanr([row.nats for row in rows], [row.mcc for row in rows]).statistic)


def draw(rows: Sequence[Row]) -> None:
    """MCC against nats short of the oracle, one panel for each kind of data."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplots(1, len(DATA), sharey=True)
    for ax, data in zip(axes, DATA, strict=True):
        for layers, marker in zip(LAYERS, "o^s", strict=True):
            group = [r for r in rows if r.data == data and f"n_layers {layers}," in r.method]
            # Noise can put a fit above the oracle; a log scale has no place for that.
            gaps = np.maximum([r.oracle - r.nats for r in group], TICKS[0])
            ax.plot(gaps, [r.mcc for r in group], marker, alpha=0.7, label=f"{layers} layers")
        ax.set(title=data, xlabel="nats short of the oracle, held-out rows", xscale="log")
        ax.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        ax.set_xlim(TICKS[-1], TICKS[0] / 1.5)
        ax.minorticks_off()
    axes[0].set_ylabel("MCC, held-out rows")
    axes[0].legend(frameon=False)
    save(figure, RESULTS / "model_selection" / "nats_and_mcc.png")
