"""Nonlinear ICA without a density: the features of a classifier, which tells what u belongs to x.

Two estimators that the models of this project are compared with, each a network, a loss and the
training that all share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, silu, softplus
from typing_extensions import Self

from experiments.methods.baselines import LinearICA
from identiflow.shared.compute.networks import mlp
from identiflow.shared.compute.random import seeded
from identiflow.shared.training import fit

Array = NDArray[np.float64]
HIDDEN = (128, 128, 128)
WIDTH_OF_PAIR = 16  # of each B_i


class LearnedFeatures(ABC):
    """Trains a network on rows (N, d); the latents are what it has learned to look at.

    Args:
        latent_dim: n, how many features the network has.
        max_steps, batch_size, learning_rate, progress: of the training, as for `iflow.IFlow`.
        seed: makes a fit reproducible.
    """

    def __init__(
        self,
        latent_dim: int,
        *,
        hidden: tuple[int, ...] = HIDDEN,
        max_steps: int = 5000,
        batch_size: int = 256,
        learning_rate: float = 5e-3,
        progress: bool | None = None,
        seed: int = 0,
    ) -> None:
        self.latent_dim, self.hidden, self.seed = latent_dim, hidden, seed
        self.options = {
            "max_steps": max_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "progress": progress,
            "seed": seed,
        }

    @abstractmethod
    def fit(self, x: Array, u: Any = None) -> Self:
        """Train on rows x (N, d)."""

    def transform(self, x: Array, u: Any = None) -> Array:
        """The latents of rows x, (N, n): the features of the network."""
        return self._features(x)

    def _measure(self, x: Array) -> Tensor:
        """Rows x (N, d) standardised, as all rows will be from now on."""
        self.mean_, self.scale_ = x.mean(0), x.std(0)
        return self._standardised(x)

    def _standardised(self, x: Array) -> Tensor:
        return torch.tensor((x - self.mean_) / self.scale_, dtype=torch.float32)

    def _train(self, build: Callable[[], nn.Module], x: Tensor, u: Tensor) -> Self:
        """Build the network and train it; a tenth of the rows is for choosing weights."""
        with seeded(self.seed):
            self.model_ = build()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(self.seed))
        held_out, rows = order.tensor_split([len(x) // 10])
        data = {"x_held_out": x[held_out], "u_held_out": u[held_out]}
        self.history_ = fit(self.model_, x[rows], u[rows], **data, **self.options)
        self.model_.eval().requires_grad_(False)
        return self

    def _features(self, x: Array) -> Array:
        return self.model_.features(self._standardised(x)).double().numpy()


class TCL(LearnedFeatures):
    """Time-contrastive learning: which segment is a row from?

    The features of that classifier are a linear mixture of the sources' sufficient statistics T(z),
    which linear FastICA unmixes. For sources whose scale alone changes with u that is z², not z.

    Reference: Hyvärinen & Morioka 2016, "Unsupervised feature extraction by time-contrastive
    learning and nonlinear ICA", theorem 1.

    Example:
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(2, n_segments=5, samples_per_segment=50, seed=1)
        >>> TCL(2, hidden=(16,), max_steps=20).fit(data.x, data.u).transform(data.x).shape
        (250, 2)
    """

    def fit(self, x: Array, u: Any = None) -> Self:
        """Train on rows x (N, d) and their segments u (N,)."""
        segments, codes = np.unique(u, return_inverse=True)
        sizes = x.shape[1], self.latent_dim, len(segments), self.hidden
        self._train(lambda: SegmentClassifier(*sizes), self._measure(x), torch.from_numpy(codes))
        self.ica_ = LinearICA(self.latent_dim, seed=self.seed).fit(self._features(x))
        return self

    def transform(self, x: Array, u: Any = None) -> Array:
        """T(z) of rows x up to order and scale, (N, n)."""
        return self.ica_.transform(self._features(x))


class SegmentClassifier(nn.Module):
    """log p(u | x) by a linear softmax of n features of x."""

    loss_name = "cross-entropy"

    def __init__(
        self, n_columns: int, latent_dim: int, n_segments: int, hidden: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.features = mlp(n_columns, hidden, latent_dim)
        self.last = nn.Linear(latent_dim, n_segments)

    def loss(self, x: Tensor, u: Tensor, generator: object = None) -> Tensor:
        """−log p(u | x) of each row, (B,)."""
        return cross_entropy(self.last(self.features(x)), u, reduction="none")


class PCL(LearnedFeatures):
    """Permutation-contrastive learning: did a row follow the row before it, or any other?

    For autocorrelated sources that are not Gaussian, the features are the sources, each up to a map
    of its own. Rows must be in order of time.

    Reference: Hyvärinen & Morioka 2017, "Nonlinear ICA of temporally dependent stationary sources",
    theorem 1.

    Example:
        >>> from identiflow.shared.datasets import autocorrelated_sources
        >>> data = autocorrelated_sources(2, n_samples=200, seed=1)
        >>> PCL(2, hidden=(16,), max_steps=20).fit(data.x).transform(data.x).shape
        (200, 2)
    """

    def fit(self, x: Array, u: Any = None) -> Self:
        """Train on rows x (N, d) of one series, in order; u is not looked at."""
        rows, sizes = self._measure(x), (x.shape[1], self.latent_dim, self.hidden)
        return self._train(lambda: PairClassifier(*sizes), rows[1:], rows[:-1])


class PairClassifier(nn.Module):
    """The log-odds that x follows u, Σ_i B_i(h_i(x), h_i(u)), each B_i a network of its own."""

    loss_name = "cross-entropy"

    def __init__(self, n_columns: int, latent_dim: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.features = mlp(n_columns, hidden, latent_dim)
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
