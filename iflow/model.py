"""The identifiable flow: a bijection that never sees u, and a base p(z | u) that does."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from identiflow.shared.compute.nflows_adapter import (
    Flow,
    PriorAsBase,
    Transform,
    refuse_conditional,
)
from identiflow.shared.compute.passes import CHUNK_ROWS
from identiflow.shared.compute.random import Randomness, seeded
from identiflow.shared.inputs.rows import Rows, head
from identiflow.shared.model import IdentifiableModel
from identiflow.shared.priors.base import ConditionalPrior

PRIOR_ROWS = 100_000


class IdentifiableFlow(IdentifiableModel, Flow):
    """log p(x | u) = log p(g(x) | u) + log |det J_g(x)|, exactly.

    x (B, d) are observations, u (B, …) the encoded auxiliary variable, z = g(x) the latents
    (B, n) with n = d, f = g⁻¹. It is the iVAE of equations (5)–(6) without noise, and an nflows
    `Flow` whose context is u; unlike nflows' own, it hands u to the base only. `sample` and
    `sample_and_log_prob` keep nflows' layout, `draw` is that of every `IdentifiableModel`.

    Args:
        bijection: g, any nflows Transform that takes no context.
        prior: p(z | u).

    Raises:
        ValueError: if the bijection has a part that would see u.

    Reference: Khemakhem et al. 2020, section 3, and equation (7) for the prior.

    Example:
        >>> import torch
        >>> from identiflow.iflow import spline_coupling_flow
        >>> from identiflow.shared.priors import GaussianPrior
        >>> flow = IdentifiableFlow(spline_coupling_flow(3), GaussianPrior(3, n_labels=2))
        >>> flow.loss(torch.randn(4, 3), torch.tensor([0, 1, 1, 0])).shape
        torch.Size([4])
    """

    exact = True
    loss_name = "nll"
    # Under the names that nflows has for g and for p(z | u).
    _transform: Transform
    _distribution: PriorAsBase

    def __init__(self, bijection: Transform, prior: ConditionalPrior) -> None:
        refuse_conditional(bijection, "bijection")
        super().__init__(bijection, prior.as_nflows())

    @property
    def bijection(self) -> Transform:
        """g, as an nflows Transform."""
        return self._transform

    @property
    def prior(self) -> ConditionalPrior:
        """p(z | u)."""
        return cast("ConditionalPrior", self._distribution.prior)

    def log_prob(self, inputs: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(x | u) in nats, (B,), for x as `inputs` and u as `context`: nflows' names."""
        return super().log_prob(inputs, context)

    def loss(self, x: Tensor, u: Tensor, generator: Randomness = None) -> Tensor:
        """−log p(x | u) in nats, shape (B,). It is exact, so `generator` is not used."""
        return -self.log_prob(x, u)

    @torch.no_grad()
    def initialize_prior(self, x: Rows, u: Tensor) -> None:
        """Set p(z | u) to the maximum-likelihood fit of the present latents of rows x.

        It is fitted to the first 100,000 rows at most.
        """
        self.prior.initialize_from(self.encode(head(x, PRIOR_ROWS)), u[:PRIOR_ROWS])

    def encode(self, x: Tensor, u: Tensor | None = None) -> Tensor:
        """z = g(x), shape (B, n). u is not needed; it is taken so that both front ends agree."""
        return self._transform(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """x = f(z), shape (B, d)."""
        return self._transform.inverse(z)[0]

    @torch.no_grad()
    def draw(self, u: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
        """x (B, d) and z (B, n) from p(x, z | u), one row for each row of u."""
        with seeded(seed, u.device):
            z = self.prior(u).sample()
        return torch.cat([self.decode(part) for part in z.split(CHUNK_ROWS)]), z

    def log_density(self, x: Tensor, u: Tensor, **options: Any) -> Tensor:
        """log p(x | u) in nats, (B,): exactly, so that options of a bound change nothing."""
        return self.log_prob(x, u)

    def transform_to_noise(self, inputs: Tensor, context: Tensor | None = None) -> Tensor:
        """z = g(x), under nflows' name for it."""
        return self.encode(inputs)

    def sample(
        self, num_samples: int, context: Tensor | None = None, batch_size: int | None = None
    ) -> Tensor:
        """x (B, num_samples, d) for u of B rows, in nflows' layout; (num_samples, d) without u."""
        return self._inverse(self._distribution.sample(num_samples, context, batch_size))[0]

    def sample_and_log_prob(
        self, num_samples: int, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (B, num_samples, d) and log p(x | u) (B, num_samples), in nflows' layout."""
        z, log_prob = self._distribution.sample_and_log_prob(num_samples, context)
        x, logabsdet = self._inverse(z)
        return x, log_prob - logabsdet

    def _log_prob(self, inputs: Tensor, context: Tensor | None) -> Tensor:
        z, logabsdet = self._transform(inputs)
        return self._distribution.log_prob(z, context) + logabsdet

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, logabsdet = self._transform.inverse(z.flatten(0, -2))
        return x.view_as(z), logabsdet.view(z.shape[:-1])
