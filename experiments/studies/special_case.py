"""The flow as the noise-free limit of the iVAE: the gap of the bound against the noise σ.

The gap is |ELBO(σ) − log p(x | u)|, which is O(σ²): its slope in log–log is 2 where σ is small,
which is taken to be 0.03 at most.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import numpy as np

from experiments.protocol.figures import save
from experiments.protocol.sources import FIRST_SEED
from experiments.protocol.study import RESULTS, run_study
from experiments.protocol.table import Row
from identiflow.iflow import IFlow
from identiflow.ivae import from_flow
from identiflow.shared.datasets import nonstationary_sources

NOISE = tuple(np.logspace(-1, -3.5, 11))
SMALL = 10**-1.5 * 1.001


def main(smoke: bool = False, jobs: int = 2, seeds: int = 3) -> None:
    """Train a flow for each data seed, print the gap for each σ and the slope, draw them."""
    every = range(FIRST_SEED, FIRST_SEED + (1 if smoke else seeds))
    tasks = [partial(measure_gaps, seed, smoke) for seed in every]
    rows = run_study("special_case", tasks, jobs)
    for noise, gaps in zip(NOISE, np.transpose([gaps_of(row) for row in rows]), strict=True):
        print(f"σ = {noise:.1e}   mean |ELBO − log p(x | u)| = {gaps.mean():.3e} nats")
    print(f"slope in log–log: {', '.join(f'{slope(row):.3f}' for row in rows)}")
    draw(rows)


def measure_gaps(seed: int, smoke: bool) -> Row:
    """The mean gap of held-out rows for each σ, in nats, of one trained flow."""
    data = nonstationary_sources(latent_dim=2, n_segments=10, samples_per_segment=500, seed=seed)
    train, test = data.split(0.2, seed=0)
    smaller = {"hidden": (16,), "max_steps": 20} if smoke else {"max_steps": 1000}
    started = time.perf_counter()
    flow = IFlow(seed=0, progress=False, **smaller).fit(train.x, train.u)
    seconds = time.perf_counter() - started
    exact = flow.log_prob(test.x, test.u)
    details = {}
    for std in NOISE:
        elbo = from_flow(flow, std).elbo(test.x, test.u)
        details[f"gap at σ = {std:.1e}"] = float(np.abs(elbo - exact).mean())
    return Row(
        data="centered, d = 2",
        method="iVAE of a flow",
        nats=float(exact.mean()),
        seconds=seconds,
        seed=seed,
        details=details,
    )


def gaps_of(row: Row) -> list[float]:
    """The gaps of a row, in the order of NOISE."""
    return list(row.details.values())


def slope(row: Row) -> float:
    """Of the gap against small σ, in log–log."""
    small = [(std, gap) for std, gap in zip(NOISE, gaps_of(row), strict=True) if std <= SMALL]
    return float(np.polyfit(*np.log(small).T, 1)[0])


def draw(rows: Sequence[Row]) -> None:
    """Write results/special_case/gap.png."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 3.5), layout="constrained")
    ax = figure.subplots()
    for row in rows:
        ax.loglog(NOISE, gaps_of(row), "o-", ms=4, label=f"seed {row.seed}, slope {slope(row):.2f}")
    start = max(gaps_of(row)[0] for row in rows)
    ax.loglog(NOISE, 2 * start * (np.array(NOISE) / NOISE[0]) ** 2, "k:", label="slope 2")
    ax.set_xlabel("noise σ (standard deviations of x)")
    ax.set_ylabel("mean |ELBO − log p(x | u)| (nats)")
    ax.legend(frameon=False)
    save(figure, RESULTS / "special_case" / "gap.png")
