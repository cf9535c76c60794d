"""Time-contrastive learning: an estimator of its own on the base that IFlow and IVAE share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from experiments.methods.baselines import LinearICA
from experiments.methods.learned import Features, LearnedFeatures
from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.inputs.options import count, option, with_options
from identiflow.shared.inputs.rows import Rows


@with_options
class TCL(LearnedFeatures):
    """Classify the segments of rows: the features are a linear mixture of the sources' T(z).

    Linear FastICA unmixes them. For sources whose scale alone changes with u that is z², not z.
    Theory asks for as many features as there are statistics: n of those, 2n where the mean changes
    too and T(z) is (z, z²).

    Reference: Hyvärinen & Morioka 2016, "Unsupervised feature extraction by time-contrastive
    learning and nonlinear ICA", theorem 1.
    """

    statistics: int = option(default=1, kind=count(), about="k, features for each source.")

    def _build(self, n_features: int, auxiliary: AuxiliaryEncoder, found: Mapping[str, Any]) -> Any:
        n = self.latent_dim * self.statistics
        return SegmentClassifier(n, n_features, self.hidden, auxiliary.n_labels or 0)

    def _finish(self, model: SegmentClassifier, x: Rows, u: Tensor) -> dict[str, Any]:
        features = in_chunks(model.features, x)
        ica = LinearICA(features.shape[1], seed=self.seed).fit(features).ica
        model.centre.copy_(torch.from_numpy(ica.mean_))
        model.unmixing.copy_(torch.from_numpy(ica.components_))
        return {}


class SegmentClassifier(Features):
    """log p(u | x) by a linear softmax of n features of x."""

    loss_name = "cross-entropy"

    def __init__(self, latent_dim: int, n_columns: int, hidden: Any, n_segments: int) -> None:
        super().__init__(n_columns, latent_dim, hidden)
        self.last = nn.Linear(latent_dim, n_segments)
        self.register_buffer("centre", torch.zeros(latent_dim))
        self.register_buffer("unmixing", torch.eye(latent_dim))

    def encode(self, x: Tensor, u: Tensor | None = None) -> Tensor:
        """T(z) up to order and scale, (B, n)."""
        return (self.features(x) - self.centre) @ self.unmixing.T

    def loss(self, x: Tensor, u: Tensor, generator: object = None) -> Tensor:
        """−log p(u | x) of each row, (B,)."""
        return cross_entropy(self.last(self.features(x)), u, reduction="none")
