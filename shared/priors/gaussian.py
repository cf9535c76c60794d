"""Gaussian conditional priors: u modulates the scale, the mean, or both."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal
from typing_extensions import Unpack

from identiflow.shared.compute.networks import bounded_exp, inverse_bounded_exp
from identiflow.shared.priors.base import ConditionalPrior
from identiflow.shared.priors.fitting import group_mean, group_spread
from identiflow.shared.priors.parameters import Conditioning
from identiflow.shared.priors.quantiles import LocationScale

LOG_SCALE_BOUND = log(1e4)
# The smallest scale of an initial fit, and the rounds in which parameters that groups share and
# those of each group are fitted in turn.
MIN_SCALE = 1e-6
ALTERNATIONS = 20
MODULATIONS = {
    "mean_and_scale": ("mean", "raw_scale"),
    "scale": ("raw_scale",),
    "mean": ("mean",),
}


class GaussianPrior(ConditionalPrior):
    """z_i | u ~ Normal(μ_i(u), σ_i(u)²).

    `modulates` says which of the two u changes; the other one is a parameter shared by all u.

    | modulates      | k | T(z)       | λ(u)               |
    |----------------|---|------------|--------------------|
    | mean_and_scale | 2 | z, z²      | μ/σ², −1/(2σ²)     |
    | scale          | 1 | (z − μ)²   | −1/(2σ²)           |
    | mean           | 1 | z          | μ/σ²               |

    A family no richer than the data needs is easier to learn: take "scale" for sources that differ
    in variance only. With "mean" alone theorem 1 holds, theorem 3 does not (its statistics are
    monotone): the latents are then identified up to a linear map, not a permutation.

    Reference: Khemakhem et al. 2020, equation (7) and appendix B.

    Args:
        latent_dim: n.
        modulates: "mean_and_scale", "scale" or "mean".
        **u: n_labels, aux_dim, informative, hidden and targets, as in `ConditionalPrior`.

    Raises:
        ValueError: for an unknown word, and as `ConditionalPrior` does.

    Example:
        >>> import torch
        >>> prior = GaussianPrior(2, n_labels=3)
        >>> u = torch.tensor([0, 2, 2, 1])
        >>> prior(u).log_prob(torch.zeros(4, 2)).shape
        torch.Size([4])
        >>> prior.natural_parameters(u).shape
        torch.Size([4, 2, 2])
    """

    parameter_names = ("mean", "raw_scale")

    def __init__(
        self,
        latent_dim: int,
        *,
        modulates: str = "mean_and_scale",
        **u: Unpack[Conditioning],
    ) -> None:
        if modulates not in MODULATIONS:
            raise ValueError(
                f"Expected modulates to be one of {sorted(MODULATIONS)}; got {modulates!r}."
            )
        super().__init__(latent_dim, modulated=MODULATIONS[modulates], **u)
        self.modulates = modulates
        self.n_statistics = len(self.modulated)

    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        scale = bounded_exp(parameters["raw_scale"], LOG_SCALE_BOUND)
        normal = Normal(parameters["mean"], scale, validate_args=False)
        return Independent(normal, 1, validate_args=False)

    def natural_parameters(self, u: Tensor) -> Tensor:
        normal = self(u).base_dist
        precision = normal.scale**-2
        by_name = {"mean": normal.loc * precision, "raw_scale": -0.5 * precision}
        return torch.stack([by_name[name] for name in self.modulated], dim=-1)

    def sufficient_statistics(self, z: Tensor) -> Tensor:
        centre = self.unmodulated["mean"] if self.modulates == "scale" else 0.0
        by_name = {"mean": z, "raw_scale": (z - centre) ** 2}
        return torch.stack([by_name[name] for name in self.modulated], dim=-1)

    def log_base_measure(self, z: Tensor) -> Tensor:
        if self.modulates != "mean":
            return torch.zeros_like(z)
        scale = bounded_exp(self.unmodulated["raw_scale"], LOG_SCALE_BOUND)
        return -0.5 * (z / scale) ** 2

    def quantiles(self, u: Tensor) -> LocationScale:
        return LocationScale(self(u).base_dist)

    def fit_groups(self, z: Tensor, groups: Tensor, n_groups: int) -> dict[str, Tensor]:
        if self.modulates == "scale":
            mean, variance = _fit_shared_mean(z, groups, n_groups)
        else:
            mean = group_mean(z, groups, n_groups)
            deviations = (z - mean[groups]) ** 2
            variance = group_spread(deviations, groups, n_groups, z.var(0, correction=0))
        if self.modulates == "mean":
            variance = variance[groups].mean(0).expand(n_groups, -1)
        scale = variance.sqrt().clamp(min=MIN_SCALE)
        return {"mean": mean, "raw_scale": inverse_bounded_exp(scale, LOG_SCALE_BOUND)}


def _fit_shared_mean(z: Tensor, groups: Tensor, n_groups: int) -> tuple[Tensor, Tensor]:
    """One mean and a variance for each group, each the best given the other, in turn."""
    mean = z.mean(0)
    for _ in range(ALTERNATIONS):
        deviations = (z - mean) ** 2
        variance = group_spread(deviations, groups, n_groups, deviations.mean(0))
        precision = 1 / variance.clamp(min=MIN_SCALE**2)[groups]
        mean = (precision * z).sum(0) / precision.sum(0)
    return mean.expand(n_groups, -1), variance


class UnconditionalPrior(GaussianPrior):
    """The prior of the baselines: the same kind of object, with no latent that depends on u.

    u is asked for its number of rows only. Without modulation nothing identifies z: a flow or VAE
    with this prior is nonlinear ICA's unidentifiable case (Hyvärinen & Pajunen 1999).

    Example:
        >>> import torch
        >>> UnconditionalPrior(3)(torch.zeros(5)).log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim, informative=0)
