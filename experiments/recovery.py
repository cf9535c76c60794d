"""The defaults on the benchmark of nonstationary sources, over data seeds 1 to 3.

40 segments × 1000 rows, centred Gaussian sources, three mixing layers with tanh x + 0.1 x; a fifth
of the rows is held out from everything, the choice of weights included.
"""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np

from experiments.fits import Split, fast_ica_row, fit_row
from experiments.table import Row, print_table, run_all
from iflow import IFlow
from ivae import IVAE
from shared.datasets import nonstationary_sources

CASES = {
    "2-D": {"latent_dim": 2},
    "5-D": {"latent_dim": 5},
    "5 in 10-D, noise 0.1": {"latent_dim": 5, "observed_dim": 10, "noise_std": 0.1},
}
METHODS = {"2-D": ["IFlow"], "5-D": ["IFlow", "IVAE"], "5 in 10-D, noise 0.1": ["IVAE"]}


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Print a row for each fit, then means over data seeds."""
    seeds = [1] if smoke else [1, 2, 3]
    tasks = [
        partial(fit_one, case, method, seed, smoke)
        for case, methods in METHODS.items()
        for method in ["linear FastICA", *methods]
        for seed in seeds
    ]
    rows = run_all(tasks, jobs)
    print_table(rows)
    print_means(rows)


def fit_one(case: str, method: str, seed: int, smoke: bool) -> Row:
    """One method on one data seed."""
    size = {"n_segments": 6, "samples_per_segment": 50} if smoke else {}
    data = nonstationary_sources(**CASES[case], **size, seed=seed)
    data = dataclasses.replace(data, name=f"{case}, data seed {seed}")
    split = Split(*data.split(0.2, seed=0))
    n = CASES[case]["latent_dim"]
    if method == "linear FastICA":
        return fast_ica_row(split, n)
    model = IFlow(seed=0) if method == "IFlow" else IVAE(latent_dim=n, seed=0)
    if smoke:
        model.set_params(hidden=(16,), max_steps=10, prior="mean")
    if smoke and method == "IVAE":
        model.set_params(warm_steps=5)
    return fit_row(method, model.set_params(progress=False), split)


def print_means(rows: list[Row]) -> None:
    """The mean and range of MCC for each case and method."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.data.rsplit(", data", 1)[0], row.method), []).append(row)
    for (case, method), members in groups.items():
        mcc = [row.mcc for row in members]
        slowest = max(row.seconds for row in members)
        print(
            f"{case}, {method}: MCC {np.mean(mcc):.3f} ({min(mcc):.3f} to {max(mcc):.3f}) over "
            f"{len(mcc)} data seeds, at most {slowest:.0f} s a fit"
        )
