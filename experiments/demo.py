"""Every kind of data, the same methods on each: a table that grows, figures of sources.

`make demo` fits small models for few steps, in about three minutes on two cores. With `--full` the
budgets are nearer to the defaults, and a physical light tunnel is fitted too, if its data are
there. The defaults themselves are measured by `python -m experiments tcl_benchmark`.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.methods.by_name import build
from experiments.protocol.fits import Split, evaluate, has_data, pooled_mcc
from experiments.protocol.table import Row, print_as_done
from experiments.studies import light_tunnel
from identiflow.shared.datasets import Dataset, load_digits, nonstationary_sources
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.metrics import within_group_mean_corr_coef
from identiflow.shared.plotting import plot_history, plot_latents, plot_sources

FOLDER = Path("results/demo")
LIGHT_TUNNEL = "light tunnel"
# Ten digits are enough values of u for nine latents, if u moves one parameter of each.
DIGIT_LATENTS = 9
DRAWN = ("IFlow", "IVAE")
READING = """\
MCC is 1 if each latent is one source, whatever its order, sign and scale; of the light tunnel it is
within experiments. nats are log p(x | u), of an IVAE a lower bound on it; the oracle's are those of
the model that made the data."""
Budget = dict[str, dict[str, Any]]  # of each method

SMALL_FLOW = {"n_layers": 4, "hidden": (64, 64)}
NARROW_FLOW = {"hidden": (64, 64)}
# By measurement: what brings latents nearest to the sources in so few seconds.
SHORT: dict[str, Budget] = {
    "2-D sources": {
        "linear FastICA": {},
        "unconditional flow": SMALL_FLOW | {"max_steps": 150},
        "IFlow": SMALL_FLOW | {"max_steps": 300},
        "IVAE": {"hidden": (64, 64), "n_samples": 4, "max_steps": 2400, "warm_steps": 0},
    },
    "5-D sources": {
        "IVAE": {"max_steps": 800, "warm_steps": 600},  # the longest fit begins first
        "IFlow": NARROW_FLOW | {"max_steps": 800},
        "unconditional flow": NARROW_FLOW | {"max_steps": 300},
        "linear FastICA": {},
    },
    "digits": {
        "IFlow": SMALL_FLOW | {"max_steps": 100, "learning_rate": 1e-2},
        "IVAE": {"max_steps": 300, "warm_steps": 0},
        "unconditional flow": SMALL_FLOW | {"max_steps": 100, "learning_rate": 1e-2},
        "linear FastICA": {},
    },
}
FULL: dict[str, Budget] = {
    "2-D sources": {
        "IFlow": {"max_steps": 1200},
        "IVAE": {"max_steps": 1000, "warm_steps": 600},
        "unconditional flow": {"max_steps": 400},
        "linear FastICA": {},
    },
    "5-D sources": {
        "IFlow": {"max_steps": 2000},
        "IVAE": {"max_steps": 1500, "warm_steps": 1000},
        "unconditional flow": {"max_steps": 600},
        "linear FastICA": {},
    },
    "digits": {
        "IFlow": {"max_steps": 400},
        "IVAE": {"max_steps": 1500, "warm_steps": 0},
        "unconditional flow": {"max_steps": 400},
        "linear FastICA": {},
    },
    LIGHT_TUNNEL: {
        "IFlow": {"max_steps": 1200},
        "IVAE": {"max_steps": 2000, "warm_steps": 0},
        "unconditional flow": {"max_steps": 600},
        "linear FastICA": {},
    },
}


def main(smoke: bool = False, jobs: int = 2, full: bool = False) -> None:
    """Fit everything, print a row of the table as each is done, and name the figures."""
    budgets = dict(FULL if full else SHORT)
    if LIGHT_TUNNEL in budgets and not has_data(*light_tunnel.NEEDS):
        del budgets[LIGHT_TUNNEL]
        print("light tunnel: skipped, set IDENTIFLOW_DATA to the folder that holds its data")
    FOLDER.mkdir(parents=True, exist_ok=True)
    compile = "auto" if full else False  # which takes a minute, more than it saves of few steps
    tasks = {
        (data, method): partial(fit_one, data, method, {"compile": compile, **options}, smoke)
        for data, budget in budgets.items()
        for method, options in budget.items()
    }
    minutes = 8 if full else 3
    print(f"{len(tasks)} fits, {jobs} at a time: about {minutes} minutes on two cores.")
    print("A row is printed as soon as its fit is done.\n", flush=True)
    print_as_done(tasks, jobs)
    print(READING)
    print("\nFigures, of held-out rows:")
    for data, method in tasks:
        if method in DRAWN:
            print(f"  {figure_of(data, method)}")
    if not full:
        print("\nLarger models, fitted for longer: python -m experiments demo --full")


def fit_one(name: str, method: str, options: dict[str, Any], smoke: bool) -> Row:
    """One row of the table; a method of ours also draws its figure."""
    split = Split(*data_set(name, smoke).split(0.2, seed=0))
    score = light_tunnel.within_experiment if name == LIGHT_TUNNEL else pooled_mcc
    n_latents = DIGIT_LATENTS if split.train.z is None else split.train.z.shape[1]
    if method in DRAWN:
        options = options | prior_for(name, method, n_latents, smoke)
    model = build(method, n_latents, smoke, **options)
    row, z = evaluate(method, model, split, score)
    if method in DRAWN:
        draw(name, method, model, split.test, z)
    return row


def data_set(name: str, smoke: bool = False) -> Dataset:
    """The data of one block of the table."""
    if name == "digits":
        return continuous_digits()
    if name == LIGHT_TUNNEL:
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
        groups = test.u if name == LIGHT_TUNNEL else np.zeros(len(z), dtype=int)
        _, matching = within_group_mean_corr_coef(
            test.z, z, groups, return_matching=True, allow_unequal=True
        )
        plot_sources(test.z, z, test.u, matching=matching, names=test.source_names, axes=axes)
    figure.suptitle(f"{method}, {name}: held-out rows coloured by u", fontsize=11)
    figure.savefig(figure_of(name, method), dpi=120)


def prior_for(name: str, method: str, n_latents: int, smoke: bool) -> dict[str, Any]:
    """Where u has few values, one statistic a latent: theorem 1 then needs n + 1 of them."""
    if not smoke and name not in ("digits", LIGHT_TUNNEL):
        return {"prior": "mean_and_scale"}
    return {"prior": "mean"} | ({"informative": n_latents} if method == "IFlow" else {})


def figure_of(name: str, method: str) -> Path:
    """Where the figure of a fit is."""
    return FOLDER / f"{name} {method}.png".lower().replace(" ", "_")


def _renamed(data: Dataset, name: str, **changes: Any) -> Dataset:
    return dataclasses.replace(data, name=name, **changes)
