"""Of two variables each has its p-value, whatever the order of the latents that it is from."""

from __future__ import annotations

import numpy as np

from experiments.studies.causal_discovery import least_dependence


def test_latents_may_be_in_any_order_and_variables_keep_theirs() -> None:
    """The first is the cause: of the second latent it says nothing; the effect depends on both."""
    z = np.random.default_rng(0).normal(size=(200, 2))
    x = np.column_stack([z[:, 0], z[:, 0] + z[:, 1]])
    first, second = least_dependence(x, z)
    assert first > 0.05 > 1e-3 > second
    assert least_dependence(x, z[:, ::-1]) == (first, second)
    assert least_dependence(x[:, ::-1], z) == (second, first)
