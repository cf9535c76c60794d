"""Sources with several modes: a mixture of Gaussians that u tilts."""

from __future__ import annotations

from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, Normal
from torch.special import log_ndtr
from typing_extensions import Unpack

from identiflow.shared.compute.networks import bounded_exp, inverse_bounded_exp
from identiflow.shared.priors.base import ConditionalPrior
from identiflow.shared.priors.fitting import group_mean, group_spread
from identiflow.shared.priors.gaussian import MIN_SCALE
from identiflow.shared.priors.parameters import Conditioning
from identiflow.shared.priors.quantiles import LogOdds

LOG_WIDTH_BOUND = log(50.0)
# Quantiles are sought this many deviations beyond all components, by this many halvings.
REACH, HALVINGS = 1e4, 80


class GaussianMixture(MixtureSameFamily):
    """Σ_c w_c Normal(m_c, s_c²) of single values, (B, n), with quantiles."""

    def log_odds(self, z: Tensor) -> Tensor:
        """log F(z) − log(1 − F(z)), (B, n): precise in both tails."""
        normal: Any = self.component_distribution
        standard = (z[..., None] - normal.loc) / normal.scale
        log_weight = self.mixture_distribution.logits
        below = (log_weight + log_ndtr(standard)).logsumexp(-1)
        return below - (log_weight + log_ndtr(-standard)).logsumexp(-1)

    def at_log_odds(self, odds: Tensor) -> Tensor:
        """The inverse of `log_odds`, by bisection."""
        normal: Any = self.component_distribution
        low = (normal.loc - REACH * normal.scale).amin(-1).expand(odds.shape)
        high = (normal.loc + REACH * normal.scale).amax(-1).expand(odds.shape)
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            too_low = self.log_odds(middle) < odds
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        return 0.5 * (low + high)

    def icdf(self, value: Tensor) -> Tensor:
        """The z at which the cumulative distribution is `value`, (B, n)."""
        return self.at_log_odds(value.logit())


class MixturePrior(ConditionalPrior):
    """p(z_i | u) ∝ Q_i(z_i) · exp(−½ (z_i − a_i(u))² / w_i(u)²), Q_i a mixture of Gaussians.

    Q_i is one for all u, and learned: it may have several modes, be skewed, or have heavy
    shoulders. u tilts it by a Gaussian factor, which moves weight between the modes and narrows
    them. The product is a mixture of Gaussians again, so density, normaliser and samples are exact.

    k = 2: T(z) = (z, z²), λ(u) = (a/w², −1/(2w²)), base measure Q_i. A mixture whose *weights*
    depend on u is no exponential family of finite k, and the theorem would not apply to it.

    Reference: Khemakhem et al. 2020, equation (7), with Q_i free.

    Args:
        latent_dim: n.
        n_components: C, how many Gaussians Q_i consists of.
        **u: n_labels, aux_dim, informative, hidden and targets, as in `ConditionalPrior`.

    Raises:
        ValueError: for n_components < 1.

    Example:
        >>> import torch
        >>> prior = MixturePrior(2, n_labels=3)
        >>> prior.natural_parameters(torch.tensor([0, 1])).shape
        torch.Size([2, 2, 2])
    """

    parameter_names = ("centre", "raw_width")
    n_statistics = 2
    closed_form = False

    def __init__(
        self,
        latent_dim: int,
        *,
        n_components: int = 4,
        **u: Unpack[Conditioning],
    ) -> None:
        if n_components < 1:
            raise ValueError(f"Expected n_components of at least 1; got {n_components}.")
        super().__init__(latent_dim, modulated=self.parameter_names, **u)
        shape = latent_dim, n_components
        # Spread out: components that are alike would stay alike.
        self.mean = nn.Parameter(torch.linspace(-1, 1, n_components).expand(shape).clone())
        self.raw_scale = nn.Parameter(torch.zeros(shape))
        self.logits = nn.Parameter(torch.zeros(shape))

    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        # (B, n, 1) of the factor, (n, C) of Q.
        centre = parameters["centre"][..., None]
        precision = bounded_exp(parameters["raw_width"], LOG_WIDTH_BOUND)[..., None] ** -2
        own = bounded_exp(self.raw_scale, LOG_WIDTH_BOUND) ** -2
        total = precision + own
        # The product of two Gaussians is a third, times what the first is where the second lies.
        apart = precision * own / total
        log_weight = self.logits + 0.5 * (apart / precision).log()
        log_weight = log_weight - 0.5 * apart * (centre - self.mean) ** 2
        location = (precision * centre + own * self.mean) / total
        mixture = GaussianMixture(
            Categorical(logits=log_weight, validate_args=False),
            Normal(location, total**-0.5, validate_args=False),
            validate_args=False,
        )
        return Independent(mixture, 1, validate_args=False)

    def natural_parameters(self, u: Tensor) -> Tensor:
        raw = self.raw_parameters(u)
        precision = bounded_exp(raw["raw_width"], LOG_WIDTH_BOUND) ** -2
        return torch.stack([raw["centre"] * precision, -0.5 * precision], dim=-1)

    def sufficient_statistics(self, z: Tensor) -> Tensor:
        return torch.stack([z, z**2], dim=-1)

    def log_base_measure(self, z: Tensor) -> Tensor:
        scale = bounded_exp(self.raw_scale, LOG_WIDTH_BOUND)
        densities = Normal(self.mean, scale, validate_args=False).log_prob(z[..., None])
        return (self.logits.log_softmax(-1) + densities).logsumexp(-1)

    def quantiles(self, u: Tensor) -> LogOdds:
        return LogOdds(self(u).base_dist)

    @torch.no_grad()
    def initialize_from(self, z: Tensor, u: Tensor) -> None:
        """Start Q at quantiles of the rows z (N, n), then refine everything by L-BFGS."""
        n_components = self.mean.shape[1]
        places = (torch.arange(n_components) + 0.5) / n_components * len(z)
        self.mean.copy_(z.sort(dim=0).values[places.long()].T)
        spread = z.std(0, correction=0).clamp(min=MIN_SCALE)
        self.raw_scale.copy_(
            inverse_bounded_exp(spread, LOG_WIDTH_BOUND)[:, None].expand_as(self.mean)
        )
        self.logits.zero_()
        super().initialize_from(z, u)

    def fit_groups(self, z: Tensor, groups: Tensor, n_groups: int) -> dict[str, Tensor]:
        # The Gaussian fit, from where everything is refined by maximum likelihood.
        mean = group_mean(z, groups, n_groups)
        variance = group_spread((z - mean[groups]) ** 2, groups, n_groups, z.var(0, correction=0))
        width = inverse_bounded_exp(variance.sqrt().clamp(min=MIN_SCALE), LOG_WIDTH_BOUND)
        return {"centre": mean, "raw_width": width}
