"""The direction of cause between two variables, the paper's experiment, on real data.

If a = f(n_1) and b = h(a, n_2) with independent n_1, n_2 that u modulates, a flow recovers n_1 and
n_2 from (a, b) and u, each up to a map of its own. The cause is independent of the other's noise;
the effect depends on both. So for each variable the latent it depends on least is found by HSIC,
and the variable with the larger p-value there is the cause.

mtlnet_fmri stands in for the paper's hippocampal recordings, which are not public; its rows are
thinned, because neighbouring scans are copies of each other.

Reference: Monti, Zhang & Hyvärinen 2019, "Causal discovery with general non-linear relationships
using non-linear ICA"; Khemakhem et al. 2020, section 5.3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from experiments.protocol.figures import save
from experiments.protocol.fits import has_data
from experiments.protocol.study import RESULTS, run_study
from experiments.protocol.table import Row
from identiflow.iflow import IFlow
from identiflow.shared.datasets import RealData, load_fmri_9var, load_mtlnet_fmri, load_sachs
from identiflow.shared.metrics import hsic_test

LEVEL = 0.05
SMALLEST = 1e-12  # p-value that a figure shows
MOST_ROWS = 1000  # that are tested: HSIC takes their square
Pair = tuple[str, str]


@dataclass(frozen=True)
class Study:
    """Pairs of variables, and what is known or believed of their direction: cause, effect."""

    load: Callable[[], RealData]
    pairs: Callable[[RealData], Sequence[Pair]]
    thin: int = 1  # every so many rows one is tested


def with_input() -> RealData:
    """The nine variables of the task recordings: eight regions and the input I."""
    data = load_fmri_9var()
    x = np.column_stack([data.x, data.covariates["I"]])
    return dataclasses.replace(data, x=x, feature_names=(*data.feature_names, "I"))


STUDIES: dict[str, Study] = {
    # I is set by the experimenter: whatever it is connected with, it is the cause.
    "fmri_9var": Study(with_input, lambda data: [("I", name) for name in data.feature_names[:-1]]),
    "sachs": Study(partial(load_sachs, log=True), lambda data: data.edges),
    # No direction is known: all pairs, each in the order of the paper's figure.
    "mtlnet_fmri": Study(
        partial(load_mtlnet_fmri, regions="combined"),
        lambda data: list(combinations(data.feature_names, 2)),
        thin=20,
    ),
}

NEEDS = tuple(STUDIES)


def main(smoke: bool = False, jobs: int = 2, seeds: int = 1) -> None:
    """A row for each pair; how many come out in the direction that is known."""
    tasks = []
    for name, study in STUDIES.items():
        if not has_data(name):
            print(f"{name}: skipped, set IDENTIFLOW_DATA to the folder that holds its data")
            continue
        pairs = list(study.pairs(study.load()))
        for pair in pairs[:1] if smoke else pairs:
            tasks += [partial(orient, name, pair, seed, smoke) for seed in range(seeds)]
    rows = run_study("causal_discovery", tasks, jobs)
    for name in dict.fromkeys(row.data for row in rows):
        print(verdict(name, [row for row in rows if row.data == name]))
    draw(rows)


def orient(name: str, pair: Pair, seed: int, smoke: bool) -> Row:
    """p-values of either variable's independence of the latent that it depends on least."""
    study = STUDIES[name]
    data = study.load()
    columns = [data.feature_names.index(variable) for variable in pair]
    x, u = data.x[:, columns], data.u
    budget = {"max_steps": 10} if smoke else {"max_steps": 2000}
    flow = IFlow(n_layers=4, hidden=(64, 64), progress=False, seed=seed, **budget).fit(x, u)
    rows = tested_rows(len(x), study.thin, seed, 50 if smoke else MOST_ROWS)
    first, second = least_dependence(x[rows], flow.transform(x[rows]))
    details = {"p_first_is_cause": first, "p_second_is_cause": second}
    return Row(name, f"{pair[0]} → {pair[1]}", nats=flow.score(x, u), seed=seed, details=details)


def tested_rows(n_rows: int, thin: int, seed: int, most: int) -> NDArray[np.int64]:
    """Every `thin`-th row, of these as many as can be tested."""
    rows = np.arange(0, n_rows, thin)
    chosen = np.random.default_rng(seed).permutation(len(rows))[:most]
    return rows[np.sort(chosen)]


def least_dependence(x: NDArray[np.float64], z: NDArray[np.float64]) -> tuple[float, float]:
    """For each of two variables the largest p-value of its independence of one latent."""
    p = [[hsic_test(a, b).p_value for b in z.T] for a in x.T]
    return max(p[0]), max(p[1])


def verdict(name: str, rows: Sequence[Row]) -> str:
    """Count the pairs that come out as written, and those of them at the level of the test."""
    first = np.array([row.details["p_first_is_cause"] for row in rows])
    second = np.array([row.details["p_second_is_cause"] for row in rows])
    clear = (first > LEVEL) & (second < LEVEL)
    against = (second > LEVEL) & (first < LEVEL)
    return (
        f"{name}: {np.sum(first > second)} of {len(rows)} pairs in the order written, "
        f"{np.sum(clear)} of them at the {LEVEL:.0%} level; {np.sum(against)} the other way at "
        "that level"
    )


def draw(rows: Sequence[Row]) -> None:
    """The p-values of both directions, a point for each pair, a panel for each kind of data."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row.data for row in rows))
    if not names:
        return
    figure = Figure(figsize=(3.6 * len(names), 3.8), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(names), sharex=True, sharey=True))
    for ax, name in zip(axes, names, strict=True):
        group = [row.details for row in rows if row.data == name]
        first = [max(d["p_first_is_cause"], SMALLEST) for d in group]
        second = [max(d["p_second_is_cause"], SMALLEST) for d in group]
        ax.loglog(first, second, "o", alpha=0.7)
        ax.plot([SMALLEST, 1], [SMALLEST, 1], color="0.6", lw=0.8)
        ax.axhline(LEVEL, color="0.6", lw=0.8, ls=":")
        ax.axvline(LEVEL, color="0.6", lw=0.8, ls=":")
        ax.set(title=name, xlabel="p, first is the cause")
    axes[0].set_ylabel("p, second is the cause")
    save(figure, RESULTS / "causal_discovery" / "p_values.png")
