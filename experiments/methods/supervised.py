"""What a network makes of x that was shown the true sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from experiments.methods.learned import Features, LearnedFeatures
from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.inputs.options import with_options


@with_options
class Supervised(LearnedFeatures):
    """Regression of the sources on x: an estimate of E[z | x], as good as the network is.

    It is no ceiling: E[z | x] itself would be one, or nearly, and a network fitted to few rows or
    to discrete x falls short of it.

    `fit` takes the sources z (N, n) in the place of u.

    Example:
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(2, n_segments=5, samples_per_segment=50, seed=1)
        >>> Supervised(2, hidden=(16,), max_steps=20).fit(data.x, data.z).transform(data.x).shape
        (250, 2)
    """

    def _build(
        self, n_features: int, auxiliary: AuxiliaryEncoder, found: Mapping[str, Any]
    ) -> Regression:
        return Regression(n_features, self.latent_dim, self.hidden)


class Regression(Features):
    """Least squares."""

    loss_name = "squared error"

    def loss(self, x: Tensor, z: Tensor, generator: object = None) -> Tensor:
        """Of each row, (B,)."""
        return (self.features(x) - z).square().sum(-1)
