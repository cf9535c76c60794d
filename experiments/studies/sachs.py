"""Protein signalling under nine conditions: what can be said where no sources are known.

Nine values of u are enough for theorem 1 with eight latents of one statistic or four of two, not
with all eleven columns. For each reading: held-out nats, the MCC between two seeds, and how near
cells of the control, carried to another condition (`transport`), come to the cells that were
measured there. Nearness is the energy distance of standardised columns, 0 for equal distributions.

Reference: Sachs et al. 2005, "Causal protein-signaling networks derived from multiparameter
single-cell data"; Székely & Rizzo 2013 for the distance.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from experiments.methods.by_name import SMOKE
from experiments.protocol.figures import save
from experiments.protocol.fits import Split, evaluate
from experiments.protocol.study import RESULTS, run_study
from experiments.protocol.table import Row
from identiflow.iflow import IFlow
from identiflow.shared.datasets import Dataset, load_sachs
from identiflow.shared.identifiability import IdentifiabilityWarning
from identiflow.shared.metrics import mean_corr_coef

Array = NDArray[np.float64]

NEEDS = ("sachs",)
CONTROL = "cd3_cd28"
SMOKE_STRIDE = 8  # one row in so many is enough to see that it runs
READINGS: dict[str, dict[str, Any]] = {
    "scale of 8 latents": {"prior": "scale", "informative": 8},
    "Laplace scale of 8 latents": {"prior": "laplace", "informative": 8},
    "mean and scale of 4 latents": {"informative": 4},
    "mean and scale of all 11": {},
    "mixture, all 11": {"prior": "mixture"},
    "unconditional flow": {"prior": "unconditional"},
}
# What transport has to be seen against, by what is held beside the cells of the other condition.
TRANSPORTED, SHIFTED, UNCHANGED, SAME = "transport", "shift of means", "as they are", "same"


def main(smoke: bool = False, jobs: int = 2, seeds: int = 3) -> None:
    """A row for each reading and split; draw the distances."""
    readings = list(READINGS)[:2] if smoke else READINGS
    every = range(1 if smoke else seeds)
    tasks = [partial(fit_reading, name, seed, smoke) for name in readings for seed in every]
    rows = run_study("sachs", tasks, jobs)
    for name in readings:
        details = [row.details for row in rows if row.method == name]
        means = {key: np.mean([d[key] for d in details if key in d]) for key in details[0]}
        print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in means.items()))
    draw(rows)


def fit_reading(name: str, seed: int, smoke: bool) -> Row:
    """One of READINGS, fitted twice, with seeds of its own."""
    data = load_sachs(log=True)
    data = data.take(np.arange(0, len(data), SMOKE_STRIDE)) if smoke else data
    split = Split(*data.split(0.2, seed=seed))
    options = READINGS[name] | (SMOKE if smoke else {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentifiabilityWarning)
        row, z = evaluate(name, IFlow(seed=0, progress=False, **options), split)
        flow = IFlow(seed=1, progress=False, **options).fit(split.train.x, split.train.u)
    m = flow.prior_.informative or z.shape[1]
    agreement = mean_corr_coef(z[:, :m], flow.transform(split.test.x)[:, :m])
    details = {"agreement of seeds": agreement}
    if flow.prior_.informative:
        details |= distances(flow, split)
    return replace(row, seed=seed, details=details)


def distances(flow: IFlow, split: Split) -> dict[str, float]:
    """Mean energy distance to the held-out cells of the other conditions, by what is compared."""
    scale = split.train.x.std(0)
    found: dict[str, list[float]] = {}
    for condition, here in other_conditions(split.test):
        there = {key: rows / scale for key, rows in carried(flow, split, condition).items()}
        for key, rows in there.items():
            found.setdefault(key, []).append(energy_distance(rows, here / scale))
    return {key: float(np.mean(values)) for key, values in found.items()}


def other_conditions(data: Dataset) -> Iterator[tuple[str, Array]]:
    """Each condition but the control, and its cells."""
    for condition in np.unique(data.u):
        if condition != CONTROL:
            yield condition, data.x[data.u == condition]


def carried(flow: IFlow, split: Split, condition: str) -> dict[str, Array]:
    """Cells to hold beside those of a condition."""
    of_training = {u: split.train.x[split.train.u == u] for u in (CONTROL, condition)}
    control = split.test.x[split.test.u == CONTROL]
    shift = of_training[condition].mean(0) - of_training[CONTROL].mean(0)
    return {
        TRANSPORTED: flow.transport(control, np.full(len(control), CONTROL), condition),
        SHIFTED: control + shift,
        UNCHANGED: control,
        SAME: of_training[condition],
    }


def energy_distance(a: Array, b: Array) -> float:
    """2 E|A − B| − E|A − A'| − E|B − B'|, estimated without bias; 0 for equal distributions."""
    return 2 * float(cdist(a, b).mean()) - _within(a) - _within(b)


def _within(rows: Array) -> float:
    return float(cdist(rows, rows).sum()) / (len(rows) * (len(rows) - 1))


def draw(rows: Sequence[Row]) -> None:
    """Energy distances, a line of dots for each reading."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    ax = figure.subplots()
    names = list(dict.fromkeys(row.method for row in rows if SAME in row.details))
    for color, key in enumerate((TRANSPORTED, SHIFTED, UNCHANGED, SAME)):
        for y, name in enumerate(names):
            values = [row.details[key] for row in rows if row.method == name]
            label = {SAME: "other cells of that condition"}.get(key, key) if y == 0 else None
            ax.plot(values, np.full(len(values), y), "o", color=f"C{color}", alpha=0.7, label=label)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set(
        xlabel="energy distance to the cells of the other conditions",
        title="sachs: from the control",
    )
    ax.legend(frameon=False, fontsize=8)
    save(figure, RESULTS / "sachs" / "transport.png")
