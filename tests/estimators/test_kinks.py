"""Maps whose derivative jumps are named in the report, and promised no permutation."""

from __future__ import annotations

import numpy as np
import pytest

from identiflow.iflow import IFlow
from identiflow.iflow.transforms import SplineCoupling
from identiflow.ivae import IVAE
from identiflow.shared.compute.networks import ACTIVATIONS

Array = np.ndarray
KINKS = {"relu": ("ReLU",), "leaky_relu": ("LeakyReLU",)}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["flow", "vae"])
def test_they_are_those_of_the_activation(kind: str, activation: str, x: Array, u: Array) -> None:
    def architecture(n_features: int) -> SplineCoupling:
        return SplineCoupling(n_features, hidden=(8,), activation=activation)

    estimator = (
        IFlow(architecture=architecture, max_steps=2)
        if kind == "flow"
        else IVAE(1, activation=activation, hidden=(8,), max_steps=2)
    )
    report = estimator.fit(x, u).check_identifiability(u)
    expected = KINKS.get(activation, ())
    assert (report.kinks, report.permutation) == (expected, not expected)
