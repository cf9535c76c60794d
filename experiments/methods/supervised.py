"""The ceiling: what a network makes of x that was shown the true sources."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self

from experiments.methods.contrastive import Array, LearnedFeatures
from identiflow.shared.compute.networks import mlp


class Supervised(LearnedFeatures):
    """Regression of the sources on x: an estimate of E[z | x], which no MCC can be far above.

    Example:
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(2, n_segments=5, samples_per_segment=50, seed=1)
        >>> Supervised(2, hidden=(16,), max_steps=20).fit(data.x, data.z).transform(data.x).shape
        (250, 2)
    """

    def fit(self, x: Array, u: Any = None) -> Self:
        """Train on rows x (N, d) and, in the place of u, their sources z (N, n)."""
        z = torch.tensor((u - u.mean(0)) / u.std(0), dtype=torch.float32)
        sizes = x.shape[1], self.latent_dim, self.hidden
        return self._train(lambda: Regression(*sizes), self._measure(x), z)


class Regression(nn.Module):
    """Least squares."""

    loss_name = "squared error"

    def __init__(self, n_columns: int, latent_dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.features = mlp(n_columns, hidden, latent_dim)

    def loss(self, x: Tensor, z: Tensor, generator: object = None) -> Tensor:
        """Of each row, (B,)."""
        return (self.features(x) - z).square().sum(-1)
