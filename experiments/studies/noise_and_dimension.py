"""Noise and columns beyond the sources: from where on the iVAE is right and the flow is not.

A flow has as many latents as columns, so noise is some of them; with `informative=n` only n depend
on u. The iVAE has n latents and a noise of its own. Of a flow's latents those n count that match
best, in 10 columns five of ten.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.protocol.figures import save
from experiments.protocol.sources import SUPERVISED, tasks
from experiments.protocol.study import RESULTS, run_study
from experiments.protocol.table import Row

N = 5
NOISE = (0.0, 0.03, 0.1, 0.3, 1.0)
COLUMNS = (5, 10)


def main(smoke: bool = False, jobs: int = 2, seeds: int = 2) -> None:
    """Fit both front ends to every σ and d; print the table and draw MCC and nats against σ."""
    found = []
    for d in COLUMNS:
        for noise in NOISE[1:2] if smoke else NOISE:
            if noise == 0 and d > N:
                continue  # rows on a surface have no density
            setting = {name(d, noise): {"latent_dim": N, "observed_dim": d, "noise_std": noise}}
            found += tasks(setting, ["IFlow"], seeds, smoke, informative=N)
            found += tasks(setting, ["IVAE", "linear FastICA", SUPERVISED], seeds, smoke)
    draw(run_study("noise_and_dimension", found, jobs))


def name(d: int, noise: float) -> str:
    """The name of a row's data."""
    return f"{N} in {d}-D, noise {noise:g}"


def draw(rows: Sequence[Row]) -> None:
    """MCC against σ, one panel for each d."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    axes = figure.subplots(1, len(COLUMNS), sharey=True)
    for ax, d in zip(axes, COLUMNS, strict=True):
        for method in dict.fromkeys(row.method for row in rows):
            means = [mean_mcc(rows, name(d, noise), method) for noise in NOISE]
            ax.plot(range(len(NOISE)), means, "o-", label=method.split(",")[0])
        ax.set_xticks(range(len(NOISE)), [f"{noise:g}" for noise in NOISE])
        ax.set(title=f"{N} sources in {d} columns", xlabel="noise σ (units of x)", ylim=(0, 1.02))
    axes[0].set_ylabel("MCC, held-out rows")
    axes[0].legend(frameon=False)
    save(figure, RESULTS / "noise_and_dimension" / "mcc.png")


def mean_mcc(rows: Sequence[Row], data: str, method: str) -> float:
    """The mean over data seeds; NaN, which leaves a gap in the line, where nothing was fitted."""
    scores = [row.mcc for row in rows if (row.data, row.method) == (data, method)]
    return float(np.mean(scores)) if scores else float("nan")
