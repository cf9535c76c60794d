"""The methods that learn features are estimators without a density.

Reading, training, saving and scikit-learn's protocol are the base estimator's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from identiflow.shared.compute.networks import mlp
from identiflow.shared.estimators import Estimator
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.options import count, option, with_options
from identiflow.shared.inputs.validation import check_varying


@with_options
class LearnedFeatures(Estimator):
    """Trains a network on rows (N, d); the latents are what it has learned to look at."""

    latent_dim: int = option(kind=count(), about="n, features of the network.", kw_only=False)
    hidden: Sequence[int] = (128, 128, 128)
    learning_rate: float = 5e-3

    def _look_at(self, x: Array) -> dict[str, Any]:
        check_varying(x)
        return {}


class Features(nn.Module):
    """Features of x, (B, n), which are what is learned."""

    def __init__(self, n_columns: int, latent_dim: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.features = mlp(n_columns, hidden, latent_dim)

    def encode(self, x: Tensor, u: Tensor | None = None) -> Tensor:
        """The latents of standardised rows x (B, d), (B, n)."""
        return self.features(x)
