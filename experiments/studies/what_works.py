"""The worth of each part of the defaults, by fits that differ from them in one thing.

On data seeds that are for choosing (1, 2, ...); docs/what-works.md reads the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

from experiments.protocol.figures import strips
from experiments.protocol.sources import fit_sources, items, small
from experiments.protocol.study import run_study
from experiments.protocol.table import Row
from identiflow.iflow import linear
from identiflow.shared.training import optimizer

DATA: dict[str, dict[str, Any]] = {
    "uncentered": {"latent_dim": 5, "centered": False},
    "noisy, 5 in 10-D": {"latent_dim": 5, "observed_dim": 10, "noise_std": 0.1},
    "centered, d = 20": {"latent_dim": 20},
    "centered, d = 20, twice the rows": {"latent_dim": 20, "samples_per_segment": 2000},
}
FLOW: dict[str, dict[str, Any]] = {
    "defaults": {},
    "Adam for all weights": {"muon": False, "learning_rate": 5e-3},
    "the same, three times the steps": {
        "muon": False,
        "learning_rate": 5e-3,
        "max_steps": 15_000,
    },
    "no linear start": {"linear_start": False},
    "half the learning rate": {"learning_rate": 1e-2},
    "twice the learning rate": {"learning_rate": 4e-2},
    "no weight decay": {"weight_decay": 0.0},
    "twice the weight decay": {"weight_decay": 0.4},
    "half the steps": {"max_steps": 2500},
    "half the layers": {"n_layers": 4},
    "twice the layers": {"n_layers": 16},
    "half the width": {"hidden": (64, 64)},
    "batches of 1024": {"batch_size": 1024},
    "prior: scale": {"prior": "scale"},
    "prior: laplace": {"prior": "laplace"},
    "autoregressive": {"architecture": "autoregressive", "n_layers": 4},
}
# What could help where the defaults fall short.
LARGE: dict[str, dict[str, Any]] = {
    "defaults": {},
    "twice the layers": {"n_layers": 16},
    "twice the steps": {"max_steps": 10_000},
    "twice the width": {"hidden": (256, 256)},
}
VAE: dict[str, dict[str, Any]] = {
    "defaults": {},
    "no start": {"warm_steps": 0},
    "the weight decay of a flow": {"weight_decay": 0.2},
    "diagonal posterior": {"covariance": "diagonal"},
    "ELBO": {"objective": "elbo", "n_samples": 1},
    "ELBO, diagonal posterior, no start": {
        "objective": "elbo",
        "n_samples": 1,
        "covariance": "diagonal",
        "warm_steps": 0,
    },
    "an encoder that sees u": {"encoder_sees_u": True},
    "32 draws": {"n_samples": 32},
    "σ fixed at 0.1": {"noise": "fixed", "noise_std": 0.1},
    "σ from 1": {"noise_std": 1.0},
    "decoder of tanh": {"activation": "tanh"},
    "twice the width": {"hidden": (256, 256, 256)},
    "prior: scale": {"prior": "scale"},
}


def main(smoke: bool = False, jobs: int = 2, seeds: int = 1) -> None:
    """Fit every variant to every kind of data that it is for."""
    tasks = [
        partial(fit_variant, data, method, name, seed, smoke)
        for data in DATA
        for method, variants in methods_for(data).items()
        for name in (list(variants)[:2] if smoke else variants)
        for seed in range(1, 2 if smoke else seeds + 1)
    ]
    strips("what_works", run_study("what_works", tasks, jobs), {})


def methods_for(data: str) -> Mapping[str, Mapping[str, Any]]:
    """The variants of the flow and of the iVAE; noisy data are for the iVAE alone."""
    if "d = 20" in data:
        return {"IFlow": LARGE if "rows" not in data else {"defaults": {}}}
    return {"IVAE": VAE} if data.startswith("noisy") else {"IFlow": FLOW, "IVAE": VAE}


def fit_variant(data: str, method: str, name: str, seed: int, smoke: bool) -> Row:
    """A fit that differs from the defaults by what the variant changes."""
    options = dict(methods_for(data)[method][name])
    setting = DATA[data] | (small(DATA[data]["latent_dim"]) if smoke else {})
    if smoke:
        options = {key: options[key] for key in options.keys() & PARTS.keys()}
    with ExitStack() as stack:
        for part in options.keys() & PARTS.keys():
            options.pop(part)
            stack.enter_context(PARTS[part]())
        row = fit_sources(data, items(setting), method, seed, smoke, items(options))
    return replace(row, method=f"{method}: {name}")


# What no parameter changes: parts of training, taken out.
PARTS: dict[str, Callable[[], Any]] = {
    "muon": lambda: patch.object(optimizer, "SHORTEST_SIDE", 10**9),
    "linear_start": lambda: patch.object(linear, "MAX_FEATURES", 0),
}
