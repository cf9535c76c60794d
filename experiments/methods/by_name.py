"""The methods compared, by name: each is built for n sources and never sees them.

All have `fit(x, u)` and `transform(x, u)`; those with a density also `score(x, u)`, nats a row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from experiments.methods.baselines import LinearICA
from experiments.methods.pcl import PCL
from experiments.methods.tcl import TCL
from identiflow.iflow import IFlow
from identiflow.ivae import IVAE, weighted_elbo
from identiflow.shared.estimators.base import Estimator

Array = NDArray[np.float64]

BETA = 4.0
# A VAE as it was first published: one draw, mean field, a prior that knows of no u.
PLAIN: dict[str, Any] = {
    "prior": "unconditional",
    "covariance": "diagonal",
    "n_samples": 1,
    "warm_steps": 0,
}


def weighted_vae(n: int, weights: tuple[float, ...], **options: Any) -> IVAE:
    """A VAE trained on a weighted ELBO; see `ivae.weighted_elbo` for the weights."""
    objective = partial(weighted_elbo, weights=weights)
    return IVAE(n, objective=objective, **PLAIN | options)


class ShuffledU:
    """Another estimator, given each row the u of another row: what u says is lost, all else stays.

    What it recovers, it recovers without u.
    """

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator

    def fit(self, x: Array, u: NDArray[Any]) -> Self:
        """Fit on rows x (N, d) and the same u in another order."""
        order = np.random.default_rng(int(self.estimator.seed)).permutation(len(u))
        self.estimator.fit(x, np.asarray(u)[order])
        return self

    def transform(self, x: Array, u: Any = None) -> Array:
        """The latents of rows x, (N, n)."""
        return self.estimator.transform(x, u)


METHODS: dict[str, Callable[..., Any]] = {
    "IFlow": lambda n, **options: IFlow(**options),
    "IVAE": IVAE,
    "IFlow, shuffled u": lambda n, **options: ShuffledU(IFlow(**options)),
    "unconditional flow": lambda n, **options: IFlow(prior="unconditional", **options),
    "VAE": lambda n, **options: IVAE(n, objective="elbo", **PLAIN | options),
    "β-VAE": partial(weighted_vae, weights=(1.0, BETA, BETA, BETA)),
    "β-TC-VAE": partial(weighted_vae, weights=(1.0, 1.0, BETA, 1.0)),
    "TCL": TCL,
    "TCL, 2n features": partial(TCL, statistics=2),
    "PCL": PCL,
    "linear FastICA": lambda n, **options: LinearICA(n, seed=options.get("seed", 0)),
}
# What makes a fit take a second, to see that it runs.
SMOKE = {"hidden": (16,), "max_steps": 10}
SMOKE_OF: dict[str, dict[str, Any]] = {
    "IVAE": {"warm_steps": 5},
    "IFlow": {"n_layers": 2},
    "IFlow, shuffled u": {"n_layers": 2},
    "unconditional flow": {"n_layers": 2},
}
WITHOUT_A_BUDGET = ("linear FastICA",)


def build(method: str, n: int, smoke: bool = False, **options: Any) -> Any:
    """The method of that name with its defaults, for n sources."""
    if smoke:
        options |= SMOKE | SMOKE_OF.get(method, {})
    return METHODS[method](n, progress=False, **options)
