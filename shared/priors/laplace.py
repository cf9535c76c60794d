"""The Laplace conditional prior, for sources with heavy tails and a modulated scale."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace
from typing_extensions import Unpack

from identiflow.shared.compute.networks import bounded_exp, inverse_bounded_exp
from identiflow.shared.priors.base import ConditionalPrior
from identiflow.shared.priors.fitting import group_spread
from identiflow.shared.priors.gaussian import ALTERNATIONS, LOG_SCALE_BOUND, MIN_SCALE
from identiflow.shared.priors.parameters import Conditioning
from identiflow.shared.priors.quantiles import LocationScale


class LaplacePrior(ConditionalPrior):
    """z_i | u ~ Laplace(c_i, b_i(u)), with one centre c_i for all u.

    k = 1: T(z) = |z − c|, λ(u) = −1/b(u). u does not move the centre: a Laplace family with a
    modulated location is no exponential family, and the theorem would not apply.

    Reference: Khemakhem et al. 2020, equation (7).

    Args:
        latent_dim: n.
        **u: n_labels, aux_dim, informative, hidden and targets, as in `ConditionalPrior`.

    Example:
        >>> import torch
        >>> prior = LaplacePrior(2, n_labels=3)
        >>> prior.natural_parameters(torch.tensor([0, 1])).shape
        torch.Size([2, 2, 1])
    """

    parameter_names = ("centre", "raw_scale")
    n_statistics = 1

    def __init__(self, latent_dim: int, **u: Unpack[Conditioning]) -> None:
        super().__init__(latent_dim, modulated=("raw_scale",), **u)

    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        scale = bounded_exp(parameters["raw_scale"], LOG_SCALE_BOUND)
        return Independent(
            Laplace(parameters["centre"], scale, validate_args=False), 1, validate_args=False
        )

    def natural_parameters(self, u: Tensor) -> Tensor:
        return -1 / self(u).base_dist.scale.unsqueeze(-1)

    def sufficient_statistics(self, z: Tensor) -> Tensor:
        return (z - self.unmodulated["centre"]).abs().unsqueeze(-1)

    def log_base_measure(self, z: Tensor) -> Tensor:
        return torch.zeros_like(z)

    def quantiles(self, u: Tensor) -> LocationScale:
        return LocationScale(self(u).base_dist)

    def fit_groups(self, z: Tensor, groups: Tensor, n_groups: int) -> dict[str, Tensor]:
        # The centre and the scales, each the best given the other, in turn.
        centre = z.median(dim=0).values
        for _ in range(ALTERNATIONS):
            deviations = (z - centre).abs()
            scale = group_spread(deviations, groups, n_groups, deviations.mean(0))
            scale = scale.clamp(min=MIN_SCALE)
            centre = _weighted_median(z, 1 / scale[groups])
        raw_scale = inverse_bounded_exp(scale, LOG_SCALE_BOUND)
        return {"centre": centre.expand(n_groups, -1), "raw_scale": raw_scale}


def _weighted_median(z: Tensor, weight: Tensor) -> Tensor:
    """The c that minimises Σ weight |z − c|, column by column, (n,)."""
    order = z.argsort(dim=0)
    share = weight.gather(0, order).cumsum(0)
    position = (share < 0.5 * share[-1:]).sum(0, keepdim=True)
    return z.gather(0, order.gather(0, position))[0]
