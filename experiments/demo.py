"""`make demo`: generated data, digits and real measurements; one table, figures of sources.

Budgets are a share of the defaults', so that all of it takes a few minutes on two cores; the
defaults themselves are measured by `python -m experiments tcl_benchmark`.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.protocol.fits import Split, evaluate, fast_ica_row, has_data, pooled_mcc
from experiments.protocol.table import Row, print_table, run_all
from experiments.studies import light_tunnel
from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.shared.datasets import Dataset, load_digits, nonstationary_sources
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.metrics import within_group_mean_corr_coef
from identiflow.shared.plotting import plot_history, plot_latents, plot_sources

FOLDER = Path("results/demo")
SMOKE = {"hidden": (16,), "max_steps": 10}


class Steps(NamedTuple):
    """Gradient steps of each method; `warm` are those of the flow that an IVAE starts from."""

    flow: int
    unconditional: int
    vae: int
    warm: int = 0


STEPS = {
    "2-D sources": Steps(1200, 400, 1000, warm=600),
    "5-D sources": Steps(2000, 600, 1500, warm=1000),
    "digits": Steps(400, 400, 1500),
    "light tunnel": Steps(1200, 600, 2000),
}
# Ten digits are enough values of u for nine latents, if u moves one parameter of each.
DIGIT_LATENTS = 9


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Fit everything, print the table, write the figures."""
    names = [name for name in STEPS if name != "light tunnel" or has_data("causal_chamber_lt")]
    if "light tunnel" not in names:
        print("light tunnel: skipped, set IDENTIFLOW_DATA to the folder that holds its data")
    FOLDER.mkdir(parents=True, exist_ok=True)
    tasks = [
        partial(fit_one, name, method, smoke)
        for name in names
        for method in ("IFlow", "IVAE", "unconditional flow", "linear FastICA")
    ]
    print_table(run_all(tasks, jobs))
    print("MCC of the light tunnel is within experiments; nats of an IVAE are a lower bound.")
    print(f"figures: {', '.join(str(path) for path in sorted(FOLDER.glob('*.png')))}")


def fit_one(name: str, method: str, smoke: bool) -> Row:
    """One row of the table; a method of ours also draws its figure."""
    split = Split(*data_set(name, smoke).split(0.2, seed=0))
    score = light_tunnel.within_experiment if name == "light tunnel" else pooled_mcc
    n_latents = DIGIT_LATENTS if split.train.z is None else split.train.z.shape[1]
    if method == "linear FastICA":
        return fast_ica_row(split, n_latents, score)
    model = _model(name, method, n_latents, smoke)
    row, z = evaluate(method, model, split, score)
    if method != "unconditional flow":
        draw(name, method, model, split.test, z)
    return row


def data_set(name: str, smoke: bool = False) -> Dataset:
    """The data of one block of the table."""
    if name == "digits":
        return continuous_digits()
    if name == "light tunnel":
        return _renamed(light_tunnel.load_light_tunnel(mixed=True), name)
    size = {"n_segments": 6, "samples_per_segment": 50} if smoke else {}
    data = nonstationary_sources(latent_dim=int(name[0]), **size, seed=1)
    return _renamed(data, name)


def continuous_digits(seed: int = 0) -> Dataset:
    """Digits without their constant pixels, with uniform noise in place of the rounding."""
    digits = load_digits()
    varying = np.ptp(digits.x, axis=0) > 0
    x = digits.x[:, varying] + np.random.default_rng(seed).uniform(
        size=(len(digits), varying.sum())
    )
    return _renamed(digits, "digits", x=x)


def draw(name: str, method: str, model: Estimator, test: Dataset, z: np.ndarray) -> None:
    """Sources against latents where sources are known, latents alone where not."""
    from matplotlib.figure import Figure

    n_panels = 2 if test.z is None else test.z.shape[1]
    figure = Figure(figsize=(3 * n_panels, 3.2), layout="constrained")
    axes = figure.subplots(1, n_panels, squeeze=False)[0]
    if test.z is None:
        modulation = model.check_identifiability(test.u).modulation
        strongest = np.argsort(modulation)[::-1][:2]
        plot_latents(z[:, strongest], test.u, ax=axes[0])
        axes[0].set_title("the two latents u changes most", fontsize=10)
        plot_history(model.history_, ax=axes[1])
    else:
        groups = test.u if name == "light tunnel" else np.zeros(len(z), dtype=int)
        _, matching = within_group_mean_corr_coef(
            test.z, z, groups, return_matching=True, allow_unequal=True
        )
        plot_sources(test.z, z, test.u, matching=matching, names=test.source_names, axes=axes)
    figure.suptitle(f"{method}, {name}: held-out rows coloured by u", fontsize=11)
    figure.savefig(FOLDER / f"{name} {method}.png".lower().replace(" ", "_"), dpi=120)


def _model(name: str, method: str, n_latents: int, smoke: bool) -> Estimator:
    few_values = smoke or name in ("digits", "light tunnel")
    # With k = 1 theorem 1 needs n + 1 values of u instead of 2n + 1.
    prior = "mean" if few_values else "mean_and_scale"
    steps = STEPS[name]
    if method == "IVAE":
        warm = min(steps.warm, 5) if smoke else steps.warm
        model: Estimator = IVAE(n_latents, prior=prior, max_steps=steps.vae, warm_steps=warm)
    elif method == "unconditional flow":
        model = IFlow(prior="unconditional", max_steps=steps.unconditional)
    else:
        informative = n_latents if few_values else None
        model = IFlow(prior=prior, informative=informative, max_steps=steps.flow)
    return model.set_params(progress=False, **(SMOKE if smoke else {}))


def _renamed(data: Dataset, name: str, **changes: Any) -> Dataset:
    return dataclasses.replace(data, name=name, **changes)
