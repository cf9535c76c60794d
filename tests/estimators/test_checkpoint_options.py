"""The checkpoint of one fit is never taken for that of another, whatever is changed between them.

Each option of each estimator is changed between two calls with one checkpoint: the second is
refused, or gives what it gives without a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from identiflow.iflow import IFlow, spline_coupling_flow
from identiflow.ivae import IVAE, GaussianLikelihood, weighted_elbo
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.files import FileFormatError
from identiflow.shared.priors import GaussianPrior

Array = np.ndarray
SMALL: dict[str, Any] = {"hidden": (8,), "max_steps": 4, "batch_size": 50, "compile": False}
BASE: dict[str, Estimator] = {
    "IFlow": IFlow(n_layers=1, **SMALL),
    "IVAE": IVAE(1, n_samples=2, warm_steps=2, **SMALL),
}


def weighted(weight: float) -> Callable[..., Tensor]:
    return partial(weighted_elbo, weights=(1.0, 1.0, weight, 10.0))


def architecture(layers: int) -> Callable[[int], Any]:
    return lambda n_features: spline_coupling_flow(n_features, n_layers=layers, hidden=(8,))


class Scaled:
    """An objective with a number of its own."""

    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, *args: Any, **options: Any) -> Tensor:
        return self.by * weighted_elbo(*args, **options)


class WithScale(GaussianPrior):
    """A prior with a plain number, which no file of weights holds."""

    def __init__(self, by: float, **options: Any) -> None:
        super().__init__(2, n_labels=10, **options)
        self.by = by

    def log_prob(self, z: Tensor, u: Tensor) -> Tensor:
        return self.by * super().log_prob(z, u)


OF_BOTH: dict[str, list[Any]] = {
    "max_steps": [5],
    "batch_size": [51, 10**6],
    "learning_rate": [0.003],
    "weight_decay": [0.1, 0.3],
    "patience": [1],
    "compile": ["auto"],
    "progress": [False],
    "seed": [1],
    "hidden": [(9,), (8, 8)],
    "validation_fraction": [0.2],
    "n_restarts": [2],
    "device": ["auto", torch.device("cpu")],
    "prior": ["scale", "mean", "mixture", "laplace", "auto"],
    "informative": [1, 0],
    "baseline": [0, 1],
}
CHANGES: dict[str, dict[str, list[Any]]] = {
    "IFlow": {
        **OF_BOTH,
        "prior": [*OF_BOTH["prior"], "unconditional", WithScale(1.0), WithScale(2.0)],
        "architecture": [
            "affine",
            "autoregressive",
            spline_coupling_flow,
            architecture(2),
            architecture(3),
        ],
        "n_layers": [2],
    },
    "IVAE": {
        **OF_BOTH,
        "latent_dim": [2],
        "likelihood": [GaussianLikelihood(2, noise_std=0.5), GaussianLikelihood(2, noise_std=0.6)],
        "noise": ["scalar", "fixed"],
        "noise_std": [0.5],
        "covariance": ["diagonal"],
        "encoder_sees_u": [True],
        "objective": ["elbo", weighted(50.0), weighted(1.0), Scaled(2.0), Scaled(3.0)],
        "n_samples": [3],
        "warm_steps": [0, 3],
        "activation": ["tanh", "relu"],
    },
}
CASES = [
    pytest.param(name, option, values, id=f"{name}, {option}")
    for name, options in CHANGES.items()
    for option, values in options.items()
]


def with_options(estimator: Estimator, **changes: Any) -> Estimator:
    return type(estimator)(**{**estimator.get_params(), **changes})


def weights(estimator: Estimator, x: Array, u: Array) -> list[Array]:
    return [estimator.transform(x, u), estimator.log_prob(x, u)]


def test_each_option_is_tried() -> None:
    for name, estimator in BASE.items():
        assert CHANGES[name].keys() == estimator.get_params().keys()


@pytest.mark.filterwarnings("ignore::identiflow.IdentifiabilityWarning")
@pytest.mark.parametrize(("name", "option", "values"), CASES)
def test_the_checkpoint_of_other_options_is_not_taken(
    name: str, option: str, values: list[Any], x: Array, u: Array, tmp_path: Path
) -> None:
    base = BASE[name]
    if option == "baseline":  # each other label changes a latent of its own
        base, u = with_options(base, informative=None), np.arange(len(u)) % (2 + (name == "IFlow"))
    given = [base.get_params()[option], *values]
    for first, second in zip(given, [*given[1:], given[0]], strict=True):
        path = tmp_path / "run"
        for file in tmp_path.iterdir():
            file.unlink()
        with_options(base, **{option: first}).fit(x, u, checkpoint=path)
        changed = with_options(base, **{option: second})
        try:
            changed.fit(x, u, checkpoint=path)
        except FileFormatError as error:
            assert "belong to this fit" in str(error)
            continue
        alone = with_options(base, **{option: second}).fit(x, u)
        for got, expected in zip(weights(changed, x, u), weights(alone, x, u), strict=True):
            np.testing.assert_array_equal(got, expected)
