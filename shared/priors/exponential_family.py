"""Exponential families with k statistics per latent, normalised by quadrature."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import Unpack

from identiflow.shared.compute.networks import bounded_exp, inverse_bounded_exp
from identiflow.shared.priors.base import ConditionalPrior
from identiflow.shared.priors.fitting import MAX_FIT_ROWS, group_mean, group_spread
from identiflow.shared.priors.parameters import AuxiliaryNetwork, Conditioning, LabelTable, MixedMap
from identiflow.shared.priors.quadrature import (
    LAMBDA_BOUND,
    LOG_WIDTH_BOUND,
    SUM_BOUND,
    ExponentialFamily,
    FixedStatistics,
    LearnedStatistics,
)
from identiflow.shared.priors.quantiles import LogOdds

# Rows of a fit in which each row of u costs a quadrature of its own.
MAX_ROWS_OF_NETWORKS = 500


class ExponentialFamilyPrior(ConditionalPrior):
    """k sufficient statistics per latent, beyond what named families offer.

    T(z) = (−½ z², z, s_3(z), …, s_k(z)) with λ_1(u) > 0 and bounded s_j: the first two make it
    normalisable and contain the Gaussian (k = 2), the others bend it. k = 1 is the Gaussian with
    modulated scale and centre 0. The normaliser is computed by quadrature in one dimension per
    latent; sampling inverts the cumulative distribution.

    Reference: Khemakhem et al. 2020, equation (7), with k free.

    Args:
        latent_dim: n.
        n_statistics: k, at least 1.
        statistics: "fixed" (Hermite functions) or "learned" (a small network for each latent).
        **u: n_labels, aux_dim, informative, hidden and targets, as in `ConditionalPrior`.

    Raises:
        ValueError: for k < 1 or an unknown kind of statistics.

    Example:
        >>> import torch
        >>> prior = ExponentialFamilyPrior(2, n_statistics=4, n_labels=3)
        >>> prior.natural_parameters(torch.tensor([0, 1])).shape
        torch.Size([2, 2, 4])
    """

    closed_form = False

    def __init__(
        self,
        latent_dim: int,
        *,
        n_statistics: int = 4,
        statistics: str = "fixed",
        **u: Unpack[Conditioning],
    ) -> None:
        if n_statistics < 1:
            raise ValueError(f"Expected n_statistics of at least 1; got {n_statistics}.")
        if statistics not in ("fixed", "learned"):
            raise ValueError(f"Expected statistics to be 'fixed' or 'learned'; got {statistics!r}.")
        self.parameter_names = (
            "raw_width",
            "centre",
            *(f"raw_lambda_{j}" for j in range(3, n_statistics + 1)),
        )[:n_statistics]
        super().__init__(latent_dim, modulated=self.parameter_names, **u)
        self.n_statistics = n_statistics
        extra = n_statistics - 2
        self.statistics: nn.Module | None = None
        if extra > 0:
            self.learns_statistics = statistics == "learned"
            self.statistics = (
                LearnedStatistics(latent_dim, extra)
                if self.learns_statistics
                else FixedStatistics(extra)
            )

    @property
    def max_fit_rows(self) -> int:
        of_a_network = isinstance(self.modulation, (AuxiliaryNetwork, MixedMap))
        return MAX_ROWS_OF_NETWORKS if of_a_network else MAX_FIT_ROWS

    def forward(self, u: Tensor) -> ExponentialFamily:
        """p(z | u); the normaliser is computed once for each label, not for each row."""
        if isinstance(self.modulation, LabelTable) and len(u) > self.modulation.n_labels:
            self.modulation.check(u)
            different, index = torch.arange(self.modulation.n_labels, device=u.device), u
        elif self.modulation is None and len(u) > 1:
            different, index = u[:1], torch.zeros(len(u), dtype=torch.long, device=u.device)
        else:
            return self.distribution(self.raw_parameters(u))
        return self.distribution(self.raw_parameters(different)).take(index)

    def distribution(self, parameters: dict[str, Tensor]) -> ExponentialFamily:
        width = bounded_exp(parameters["raw_width"], LOG_WIDTH_BOUND)
        centre = parameters.get("centre", torch.zeros_like(width))
        raw = [parameters[name] for name in self.parameter_names[2:]]
        lam = torch.stack(raw, dim=-1) if raw else width.new_zeros(*width.shape, 0)
        bound = min(LAMBDA_BOUND, SUM_BOUND / max(1, len(raw)))
        lam = bound * torch.tanh(lam / bound)
        return ExponentialFamily(centre, width, lam, self.statistics)

    def natural_parameters(self, u: Tensor) -> Tensor:
        family = self(u)
        precision = family.width**-2
        gaussian = torch.stack([precision, family.centre * precision], dim=-1)
        return torch.cat([gaussian[..., : self.n_statistics], family.lam], dim=-1)

    def sufficient_statistics(self, z: Tensor) -> Tensor:
        gaussian = torch.stack([-0.5 * z**2, z], dim=-1)[..., : self.n_statistics]
        if self.statistics is None:
            return gaussian
        return torch.cat([gaussian, self.statistics(z)], dim=-1)

    def log_base_measure(self, z: Tensor) -> Tensor:
        return torch.zeros_like(z)

    def quantiles(self, u: Tensor) -> LogOdds:
        return LogOdds(self(u))

    def fit_groups(self, z: Tensor, groups: Tensor, n_groups: int) -> dict[str, Tensor]:
        # The Gaussian fit, from where the other statistics are refined by maximum likelihood.
        mean = group_mean(z, groups, n_groups) if self.n_statistics > 1 else z.new_zeros(1, 1)
        mean = mean.expand(n_groups, z.shape[1])
        deviations = (z - mean[groups]) ** 2
        overall = z.var(0, correction=0) if self.n_statistics > 1 else deviations.mean(0)
        variance = group_spread(deviations, groups, n_groups, overall)
        width = inverse_bounded_exp(variance.sqrt().clamp(min=1e-6), LOG_WIDTH_BOUND)
        rest = {name: torch.zeros_like(mean) for name in self.parameter_names[2:]}
        return {"raw_width": width, "centre": mean, **rest}
