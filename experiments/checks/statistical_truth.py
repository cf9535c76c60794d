"""Calibration, bounds, shuffled u and chance, each beside what it has to be.

Each number stands beside what it would be if all were right. `calibration`: held-out rows, by the
fitted model, are as its own draws are. `bounds`: of a VAE, against the evidence by quadrature.
`shuffled u`: what is gained by a u that says nothing. `chance`: scores of unrelated latents.

Reference: Dawid 1984 for the probability-integral transform; Burda, Grosse & Salakhutdinov 2016,
"Importance weighted autoencoders", theorem 1, for the order of the bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp, kstest

from experiments.methods.by_name import build
from experiments.protocol.fits import Split
from experiments.protocol.sources import FIRST_SEED
from experiments.protocol.table import Row, run_all
from identiflow.ivae import IVAE, IdentifiableVAE
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.metrics import (
    chance_level,
    hsic_test,
    linear_mean_corr_coef,
    mean_corr_coef,
    mean_r2,
    within_group_mean_corr_coef,
)

Array = NDArray[np.float64]

FRONT_ENDS: dict[str, dict[str, Any]] = {
    "IFlow": {"latent_dim": 2},
    "IVAE": {"latent_dim": 2, "observed_dim": 4, "noise_std": 0.3},
}
SEEDS, N_LABELS, BUDGET = 5, 10, 2000
LEVEL = 0.05
N_DRAWS = (1, 10, 100, 1000)
# The grid over both latents that the evidence is summed on: its points a latent, and how much
# further it reaches than draws from the prior do.
POINTS, WIDER = 500, 1.3
# A Kolmogorov–Smirnov distance above this / √N is seen once in twenty times where there is none.
CRITICAL = 1.358
LIMIT = "below {:.3f} in 95 of 100"
SCORES: dict[str, Callable[[Array, Array], float]] = {
    "mean_corr_coef": mean_corr_coef,
    "mean_corr_coef, Spearman": partial(mean_corr_coef, method="spearman"),
    "linear_mean_corr_coef": linear_mean_corr_coef,
    "mean_r2": mean_r2,
    "within_group_mean_corr_coef": lambda a, b: within_group_mean_corr_coef(
        a, b, np.arange(len(a)) % N_LABELS
    ),
}


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Print what was measured beside what would be if all were right, over data seeds."""
    every = range(FIRST_SEED, FIRST_SEED + (1 if smoke else SEEDS))
    tasks = [partial(calibration, name, seed, smoke) for name in FRONT_ENDS for seed in every]
    tasks += [partial(bounds, seed, smoke) for seed in every]
    tasks += [partial(shuffled_u, seed, smoke) for seed in every]
    tasks += [partial(chance, name, smoke) for name in (*SCORES, "hsic_test")]
    rows = run_all(tasks, jobs)
    print("| check | measured | mean | range | if all is right |\n|---|---|---|---|---|")
    for check in dict.fromkeys(row.method for row in rows):
        for line in lines([row for row in rows if row.method == check]):
            print(line)


def lines(rows: Sequence[Row]) -> list[str]:
    """A line of the table for each number of one check."""
    found = []
    for key in rows[0].details:
        what, _, right = key.partition(" | ")
        values = [row.details[key] for row in rows]
        numbers = f"{np.mean(values):.4f} | {min(values):.4f} to {max(values):.4f}"
        found.append(f"| {rows[0].method} | {what} | {numbers} | {right} |")
    return found


def calibration(name: str, seed: int, smoke: bool) -> Row:
    """Compare held-out rows with draws from the fit: each latent given u, and the density."""
    split = draw_data(FRONT_ENDS[name], seed, smoke)
    model = fitted(name, split, smoke)
    x, u = split.test.x, split.test.u
    distances = [kstest(column, "uniform").statistic for column in model.quantiles(x, u).T]
    own = model.log_prob(model.sample(u, seed=1), u)
    densities = ks_2samp(model.log_prob(x, u), own).statistic
    usual = CRITICAL / len(x) ** 0.5
    details = {
        f"KS distance of P(Z ≤ z given u) from uniform, mean of latents | {LIMIT.format(usual)}": (
            float(np.mean(distances))
        ),
        "KS distance of log p(x given u) of rows and of draws | "
        f"{LIMIT.format(2**0.5 * usual)}": float(densities),
    }
    return Row(split.train.name, f"calibration of {name}", seed=seed, details=details)


def bounds(seed: int, smoke: bool) -> Row:
    """The part of the evidence that importance-weighted bounds of more and more draws miss."""
    split = draw_data(FRONT_ENDS["IVAE"], seed, smoke)
    vae = fitted("IVAE", split, smoke)
    rows = slice(0, 20 if smoke else 200)
    x, u = split.test.x[rows], split.test.u[rows]
    exact = evidence(vae, x, u)
    details = {}
    for n in N_DRAWS:
        gaps = vae.log_prob(x, u, n_samples=n) - exact
        error = gaps.std() / len(gaps) ** 0.5
        details[f"bound of {n} draws less the evidence, nats | below 0, nearer with more"] = float(
            gaps.mean()
        )
        details[f"its standard error, {n} draws | "] = float(error)
    return Row(split.train.name, "bounds of IVAE", seed=seed, details=details)


@torch.no_grad()
def evidence(vae: IVAE, x: Array, u: NDArray[Any]) -> Array:
    """log p(x | u) of each row by a sum over a grid of both latents, in nats."""
    model: IdentifiableVAE = vae.model_
    drawn = vae.sample(np.repeat(u, 50), return_latents=True)[1]
    reach = WIDER * np.abs(drawn).max(0)
    axes = [torch.linspace(-r, r, POINTS, dtype=torch.float64) for r in reach.tolist()]
    grid = torch.cartesian_prod(*axes)
    log_cell = np.log(2 * reach / (POINTS - 1)).sum()
    given_z, rows = model.conditional(grid), torch.tensor((x - vae.x_mean_) / vae.x_scale_)
    out = []
    for row, code in zip(rows, vae._encode(u, x), strict=True):
        joint = given_z.log_prob(row) + model.prior.log_prob(grid, code.expand(len(grid)))
        out.append(torch.logsumexp(joint, 0).item() + log_cell)
    return np.array(out) - np.log(vae.x_scale_).sum()


def shuffled_u(seed: int, smoke: bool) -> Row:
    """The gain of a flow by u, and by the u of other rows, over one that has none."""
    split = draw_data(FRONT_ENDS["IFlow"], seed, smoke)
    shuffled = np.random.default_rng(seed).permutation(split.train.u)
    wrong = Split(replace(split.train, u=shuffled), split.test)
    x, u = split.test.x, split.test.u
    without = fitted("unconditional flow", split, smoke).score(x, u)
    details = {
        "nats gained by the right u | above 0": fitted("IFlow", split, smoke).score(x, u) - without,
        "nats gained by the u of other rows | at most 0": (
            fitted("IFlow", wrong, smoke).score(x, u) - without
        ),
    }
    return Row(split.train.name, "shuffled u", seed=seed, details=details)


def chance(name: str, smoke: bool) -> Row:
    """Scores of latents that have nothing to do with the sources, less their chance level."""
    rng = np.random.default_rng(0)
    pairs = [rng.standard_normal((2, 400, 5)) for _ in range(5 if smoke else 300)]
    if name == "hsic_test":
        found = [float(hsic_test(a[:, 0], b[:, 0]).p_value < LEVEL) for a, b in pairs]
        subject, expected = f"share of p-values below {LEVEL}", LEVEL
    else:
        found = [SCORES[name](a, b) - chance_of(SCORES[name], a, b) for a, b in pairs]
        subject, expected = "score less its chance level", 0.0
    error = 1.96 * np.std(found) / len(found) ** 0.5
    details = {f"{subject} | {expected:g} ± {error:.4f}": float(np.mean(found))}
    return Row("unrelated normal variables", name, details=details)


def chance_of(score: Callable[[Array, Array], float], a: Array, b: Array) -> float:
    """The mean score of unrelated latents, by `chance_level`."""
    return chance_level(a, b, score=score, n_permutations=20, seed=1).mean


def draw_data(setting: dict[str, Any], seed: int, smoke: bool) -> Split:
    """Half of the rows to fit to, the other half to hold beside the fit."""
    size = {"n_segments": N_LABELS, "samples_per_segment": 40 if smoke else 2000}
    return Split(*nonstationary_sources(**setting, **size, seed=seed).split(0.5, seed=0))


def fitted(method: str, split: Split, smoke: bool) -> Any:
    """The method with its defaults, for fewer steps: two latents do not take more."""
    budget = {} if smoke else {"max_steps": BUDGET}
    return build(method, 2, smoke, **budget).fit(split.train.x, split.train.u)
