"""Permutation-contrastive learning, for sources with a memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from experiments.methods.learned import Features, LearnedFeatures
from identiflow.shared.auxiliary import AuxiliaryEncoder, Columns, History
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.options import with_options

WIDTH_OF_PAIR = 16  # of each B_i


@with_options
class PCL(LearnedFeatures):
    """Permutation-contrastive learning: did a row follow the row before it, or any other?

    For autocorrelated sources that are not Gaussian, the features are the sources, each up to a map
    of its own. Rows must be in order of time; a u that is given is not looked at.

    Reference: Hyvärinen & Morioka 2017, "Nonlinear ICA of temporally dependent stationary sources",
    theorem 1.

    Example:
        >>> from identiflow.shared.datasets import autocorrelated_sources
        >>> data = autocorrelated_sources(2, n_samples=200, seed=1)
        >>> PCL(2, hidden=(16,), max_steps=20).fit(data.x).transform(data.x).shape
        (200, 2)
    """

    def _columns(self, u: Any, data: Array) -> Columns:
        return History(1).columns(data)

    def _build(
        self, n_features: int, auxiliary: AuxiliaryEncoder, found: Mapping[str, Any]
    ) -> PairClassifier:
        return PairClassifier(n_features, self.latent_dim, self.hidden)


class PairClassifier(Features):
    """The log-odds that x follows u, Σ_i B_i(h_i(x), h_i(u)), each B_i a network of its own."""

    loss_name = "cross-entropy"

    def __init__(self, n_columns: int, latent_dim: int, hidden: Sequence[int]) -> None:
        super().__init__(n_columns, latent_dim, hidden)
        self.inner = nn.Parameter(torch.randn(latent_dim, 2, WIDTH_OF_PAIR))
        self.bias = nn.Parameter(torch.randn(latent_dim, WIDTH_OF_PAIR))
        self.outer = nn.Parameter(torch.randn(latent_dim, WIDTH_OF_PAIR) / WIDTH_OF_PAIR)

    def log_odds(self, x: Tensor, u: Tensor) -> Tensor:
        """log p(pair of neighbours) − log p(pair of any rows), (B,)."""
        pairs = torch.stack([self.features(x), self.features(u)], dim=-1)  # (B, n, 2)
        inside = silu(torch.einsum("bip,ipw->biw", pairs, self.inner) + self.bias)
        return (inside * self.outer).sum((-2, -1))

    def loss(self, x: Tensor, u: Tensor, generator: object = None) -> Tensor:
        """The classifier's loss on each row and its past, and on it and another row's past, (B,).

        Batches are in random order, so the past of the next row in the batch is that of any row.
        """
        return softplus(-self.log_odds(x, u)) + softplus(self.log_odds(x, u.roll(1, dims=0)))
