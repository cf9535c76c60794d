"""The direction of cause between two variables, the paper's experiment, on real data.

If a = f(n_1) and b = h(a, n_2) with independent n_1, n_2 that u modulates, a flow recovers n_1 and
n_2 from (a, b) and u, each up to a map of its own. The cause is independent of the other's noise;
the effect depends on both. So for each variable the latent it depends on least is found by HSIC,
and the variable with the larger p-value there is the cause.

The paper tests over all rows. What is independent given u is not independent over all rows if u
moves both, and few values of u are enough to see it: such a test rejects both directions whatever
the cause is. So there is a second test of the same pairs, of ranks among the rows of the same u.

A fifth of the rows is held out from the fit; p-values and nats are of these. mtlnet_fmri stands in
for the paper's hippocampal recordings, which are not public; its rows are thinned, because
neighbouring scans are copies of each other.

Reference: Monti, Zhang & Hyvärinen 2019, "Causal discovery with general non-linear relationships
using non-linear ICA"; Khemakhem et al. 2020, section 5.3.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from experiments.protocol.figures import save
from experiments.protocol.fits import Split, has_data
from experiments.protocol.study import RESULTS, run_study
from experiments.protocol.table import Row
from identiflow.iflow import IFlow
from identiflow.shared.datasets import (
    Dataset,
    RealData,
    load_fmri_9var,
    load_mtlnet_fmri,
    load_sachs,
)
from identiflow.shared.metrics import hsic_test

LEVEL = 0.05
SMALLEST = 1e-12  # p-value that a figure shows
MOST_ROWS = 1000  # that are tested: HSIC takes their square
BUDGET: dict[str, Any] = {"n_layers": 4, "hidden": (64, 64), "max_steps": 2000}
SMOKE: dict[str, Any] = {**BUDGET, "max_steps": 10}
Pair = tuple[str, str]
FIRST, SECOND = "first", "second"
TESTS = OVER_ALL_ROWS, GIVEN_U = "over all rows", "given u"


@dataclass(frozen=True)
class Study:
    """Pairs of variables, and what is known or believed of their direction: cause, effect."""

    load: Callable[[], RealData]
    pairs: Callable[[RealData], Sequence[Pair]]
    thin: int = 1  # of the held-out rows one in so many is tested


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
        thin=4,  # a fifth is held out: one row in twenty
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
        for how in TESTS:
            print(verdict(name, [row for row in rows if row.data == name], how))
    draw(rows)


def orient(name: str, pair: Pair, seed: int, smoke: bool) -> Row:
    """One pair of one kind of data."""
    study = STUDIES[name]
    data = study.load()
    columns = [data.feature_names.index(variable) for variable in pair]
    two = Dataset(x=data.x[:, columns], u=data.u, name=name)
    row = measure(two, study.thin, seed, SMOKE if smoke else BUDGET)
    return dataclasses.replace(row, method=f"{pair[0]} → {pair[1]}")


def measure(data: Dataset, thin: int, seed: int, budget: dict[str, Any]) -> Row:
    """p-values of either column's independence of the latent that it depends on least."""
    train, test = Split(*data.split(0.2, seed=seed))
    started = time.perf_counter()
    flow = IFlow(progress=False, seed=seed, **budget).fit(train.x, train.u)
    seconds = time.perf_counter() - started
    some = test.take(tested_rows(len(test), thin, seed, MOST_ROWS))
    z = flow.transform(some.x)
    p = {
        OVER_ALL_ROWS: least_dependence(some.x, z),
        GIVEN_U: least_dependence(ranks_within(some.x, some.u), ranks_within(z, some.u)),
    }
    return Row(
        data=data.name,
        method="",
        nats=flow.score(test.x, test.u),
        seconds=seconds,
        seed=seed,
        details={
            f"p {which} is cause, {how}": p[how][place]
            for how in TESTS
            for place, which in enumerate((FIRST, SECOND))
        },
    )


def tested_rows(n_rows: int, thin: int, seed: int, most: int) -> NDArray[np.int64]:
    """Every `thin`-th row, of these as many as can be tested."""
    rows = np.arange(0, n_rows, thin)
    chosen = np.random.default_rng(seed).permutation(len(rows))[:most]
    return rows[np.sort(chosen)]


def ranks_within(columns: NDArray[np.float64], u: NDArray[Any]) -> NDArray[np.float64]:
    """Each column's rank among the rows of the same u, from 0 to 1.

    The sources are independent given u. Over all rows they need not be: where u moves both, one
    says something of the other.
    """
    ranks = np.empty_like(columns)
    for label in np.unique(u):
        here = u == label
        ranks[here] = (rankdata(columns[here], axis=0) - 0.5) / here.sum()
    return ranks


def least_dependence(x: NDArray[np.float64], z: NDArray[np.float64]) -> tuple[float, float]:
    """For each of two variables the largest p-value of its independence of one latent."""
    p = [[hsic_test(a, b).p_value for b in z.T] for a in x.T]
    return max(p[0]), max(p[1])


def p_values(row: Row, how: str) -> tuple[float, float]:
    """That the first is the cause, and that the second is."""
    return row.details[f"p {FIRST} is cause, {how}"], row.details[f"p {SECOND} is cause, {how}"]


def larger(row: Row, how: str) -> str:
    """Which of the two has the larger p-value, whatever its size."""
    first, second = p_values(row, how)
    return FIRST if first > second else SECOND


def cause(row: Row, how: str) -> str | None:
    """Which is the cause, if one direction is rejected and the other is not; else none is named."""
    first, second = (p > LEVEL for p in p_values(row, how))
    if first == second:
        return None
    return FIRST if first else SECOND


def count(rows: Sequence[Row], how: str) -> dict[str, int]:
    """How many pairs come out in the order written, and at the level of the test, by its name."""
    causes = [cause(row, how) for row in rows]
    return {
        "in order": sum(larger(row, how) == FIRST for row in rows),
        "clear": causes.count(FIRST),
        "against": causes.count(SECOND),
        "both rejected": sum(max(p_values(row, how)) <= LEVEL for row in rows),
    }


def verdict(name: str, rows: Sequence[Row], how: str) -> str:
    """The counts in words."""
    n = count(rows, how)
    return (
        f"{name}, {how}: {n['in order']} of {len(rows)} pairs in the order written; at the "
        f"{LEVEL:.0%} level {n['clear']} in that order, {n['against']} the other way, both "
        f"directions rejected {n['both rejected']} times"
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
        group = [row for row in rows if row.data == name]
        for how in TESTS:
            p = np.maximum([p_values(row, how) for row in group], SMALLEST)
            ax.loglog(*p.T, "o", alpha=0.7, label=how)
        ax.plot([SMALLEST, 1], [SMALLEST, 1], color="0.6", lw=0.8)
        ax.axhline(LEVEL, color="0.6", lw=0.8, ls=":")
        ax.axvline(LEVEL, color="0.6", lw=0.8, ls=":")
        ax.set(title=name, xlabel="p, first is the cause")
    axes[0].set_ylabel("p, second is the cause")
    axes[0].legend(frameon=False)
    save(figure, RESULTS / "causal_discovery" / "p_values.png")
