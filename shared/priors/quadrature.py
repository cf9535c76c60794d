"""Exponential families of free order as torch distributions, normalised by quadrature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from identiflow.shared.compute.networks import LOG_2PI, bounded_exp

# Twice as many in double precision, where a normaliser is held to 1e-6 whatever the parameters.
N_NODES, TURNS = 192, 16
# The statistics beyond the first two are bounded by 1 and their λ by the first of these, the sum of
# |λ| by the second, so that they change a density by at most a constant factor.
LAMBDA_BOUND, SUM_BOUND = 8.0, 32.0
# That factor makes tails heavier: the log of the share of mass that the nodes may leave out.
LOG_LEFT_OUT = -20.0
LOG_WIDTH_BOUND = log(50.0)
# Learned statistics no steeper than the product of these, in asinh(z), are resolved by the nodes.
LOG_SLOPE_BOUND, MIXING_BOUND = log(5.0), 2.0

Statistics = Callable[[Tensor], Tensor]


class FixedStatistics(nn.Module):
    """Hermite functions He_j(z) exp(−z²/4), scaled to at most 1: (..., n) → (..., n, n_functions).

    Even orders change how peaked a density is, odd orders how skewed. They are bounded, smooth and
    linearly independent of 1, z and z².
    """

    peak: Tensor

    def __init__(self, n_functions: int) -> None:
        super().__init__()
        self.n_functions = n_functions
        end = 12 + 2 * n_functions**0.5  # beyond the last of their turns
        grid = torch.linspace(-end, end, 8001, dtype=torch.float64)
        self.register_buffer("peak", self._functions(grid).abs().amax(0).float(), persistent=False)

    def _functions(self, z: Tensor) -> Tensor:
        # The recurrence is linear: the factor may come first, and each be of unit length, so that
        # nothing overflows.
        factor = torch.exp(-0.25 * z**2)
        functions = [factor, z * factor]
        for order in range(1, self.n_functions):
            next_one = z * functions[-1] - order**0.5 * functions[-2]
            functions.append(next_one / (order + 1) ** 0.5)
        return torch.stack(functions[: self.n_functions], dim=-1)

    def forward(self, z: Tensor) -> Tensor:
        # Farther out they are 0 to rounding, and an infinity would be no number.
        return self._functions(z.clamp(-40, 40)) / self.peak.to(z)


class LearnedStatistics(nn.Module):
    """Bounded functions of one latent each, learned: z (..., n) → (..., n, n_functions).

    They are functions of asinh(z), in which nodes are evenly spaced, and of bounded steepness:
    nowhere is there a step that falls between two nodes.
    """

    def __init__(self, latent_dim: int, n_functions: int, width: int = 16) -> None:
        super().__init__()
        self.raw_slope = nn.Parameter(torch.randn(latent_dim, width))
        self.offset = nn.Parameter(2 * torch.randn(latent_dim, width))
        self.mixing = nn.Parameter(torch.randn(latent_dim, width, n_functions) / width**0.5)

    def forward(self, z: Tensor) -> Tensor:
        slope = bounded_exp(self.raw_slope, LOG_SLOPE_BOUND)
        hidden = torch.tanh(torch.asinh(z)[..., None] * slope + self.offset)
        total = self.mixing.abs().sum(1, keepdim=True)
        mixing = self.mixing / (1 + (total / MIXING_BOUND) ** 2).sqrt()
        return torch.tanh(torch.einsum("...iw,iwj->...ij", hidden, mixing))


class ExponentialFamily(Distribution):
    """p(z) ∝ exp(−½ (z − c)² / w² + Σ_j λ_j s_j(z)) for each of n components, any batch.

    Args:
        centre: c, (B, n).
        width: w, (B, n).
        lam: λ, (B, n, k − 2).
        statistics: s, (..., n) → (..., n, k − 2), bounded by 1.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real_vector

    def __init__(
        self, centre: Tensor, width: Tensor, lam: Tensor, statistics: Statistics | None
    ) -> None:
        self.centre, self.width, self.lam, self.statistics = centre, width, lam, statistics
        self._taken_from: tuple[ExponentialFamily, Tensor] | None = None
        super().__init__(centre.shape[:-1], centre.shape[-1:], validate_args=False)

    def take(self, index: Tensor) -> ExponentialFamily:
        """The densities of these rows, (len(index),), with the normalisers of this object."""
        centre, width, lam = (t.index_select(0, index) for t in (self.centre, self.width, self.lam))
        taken = ExponentialFamily(centre, width, lam, self.statistics)
        taken._taken_from = (self, index)
        return taken

    def log_prob(self, value: Tensor) -> Tensor:
        return (self._log_unnormalized(value) - self.log_normalizer).sum(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws by inverting the cumulative distribution."""
        with torch.no_grad():
            shape = self._extended_shape(torch.Size(sample_shape))
            like = self.centre
            uniform = torch.rand(shape, dtype=like.dtype, device=like.device)
            return self.icdf(uniform.clamp(min=torch.finfo(like.dtype).eps / 4))  # 0 is at −∞

    def cdf(self, value: Tensor) -> Tensor:
        """The cumulative distribution of each component at value (..., B, n).

        To about 3e-4; to 3e-3 where λ is at its bound and the density far from 0 and wide.
        """
        return self.log_odds(value).sigmoid()

    def icdf(self, value: Tensor) -> Tensor:
        """The z at which the cumulative distribution of each component is `value` (..., B, n)."""
        return self.at_log_odds(value.logit())

    def log_odds(self, z: Tensor) -> Tensor:
        """log F(z) − log(1 − F(z)) of each component, (..., B, n): precise in both tails."""
        return interpolate(z, *self._quantiles())

    def at_log_odds(self, odds: Tensor) -> Tensor:
        """The inverse of `log_odds`."""
        nodes, log_odds = self._quantiles()
        return interpolate(odds, log_odds, nodes)

    def _quantiles(self) -> tuple[Tensor, Tensor]:
        """Nodes and their log-odds, (B, n, nodes)."""
        if self._taken_from is not None:
            whole, index = self._taken_from
            nodes, odds = whole._quantiles()
            return nodes.index_select(0, index), odds.index_select(0, index)
        z, probability = self._nodes(2 * self._n_nodes)
        below = probability.cumsum(0) - 0.5 * probability
        above = probability.flip(0).cumsum(0).flip(0) - 0.5 * probability
        tiny = torch.finfo(z.dtype).tiny
        odds = below.clamp(min=tiny).log() - above.clamp(min=tiny).log()
        return z.movedim(0, -1).contiguous(), odds.movedim(0, -1).contiguous()

    @property
    def mean(self) -> Tensor:
        z, probability = self._nodes(self._n_nodes)
        return (z * probability).sum(0)

    @property
    def variance(self) -> Tensor:
        z, probability = self._nodes(self._n_nodes)
        return ((z - self.mean) ** 2 * probability).sum(0)

    @property
    def log_normalizer(self) -> Tensor:
        """log Z, (B, n), by the trapezoidal rule, which is spectrally accurate here."""
        if self.statistics is None:
            return self.width.log() + 0.5 * LOG_2PI
        if self._taken_from is not None:
            whole, index = self._taken_from
            return whole.log_normalizer.index_select(0, index)
        z, log_weight = self._grid(self._n_nodes)
        return (self._log_unnormalized(z) + log_weight).logsumexp(0)

    @property
    def _n_nodes(self) -> int:
        turns = 1 + self.lam.shape[-1] // TURNS  # the more statistics, the more often they turn
        return turns * (2 * N_NODES if self.centre.dtype == torch.float64 else N_NODES)

    def _log_unnormalized(self, z: Tensor) -> Tensor:
        quadratic = -0.5 * ((z - self.centre) / self.width) ** 2
        if self.statistics is None:
            return quadratic
        return quadratic + (self.statistics(z) * self.lam).sum(-1)

    @torch.no_grad()  # where the nodes are does not matter to an integral, nor to its gradient
    def _grid(self, n_nodes: int) -> tuple[Tensor, Tensor]:
        """Nodes z = sinh(τ), τ evenly spaced, and the logs of their weights, (n_nodes, B, n).

        They are dense near 0, where the statistics vary however wide the Gaussian is, and farther
        out no coarser than it needs.
        """
        change = 2 * min(LAMBDA_BOUND * self.lam.shape[-1], SUM_BOUND)  # of the log-density, by λ
        reach = (2 * (change - LOG_LEFT_OUT)) ** 0.5 * self.width
        low, high = torch.asinh(self.centre - reach), torch.asinh(self.centre + reach)
        share = torch.linspace(0, 1, n_nodes, dtype=low.dtype, device=low.device)[:, None, None]
        tau = low + (high - low) * share
        return tau.sinh(), (tau.cosh() * (high - low) / (n_nodes - 1)).log()

    def _nodes(self, n_nodes: int) -> tuple[Tensor, Tensor]:
        """Nodes and their probabilities."""
        z, log_weight = self._grid(n_nodes)
        return z, (self._log_unnormalized(z) + log_weight).softmax(0)


def interpolate(x: Tensor, xp: Tensor, fp: Tensor) -> Tensor:
    """The values at x (..., B, n) of lines through points (xp, fp), (B, n, N), in order of xp.

    The first and the last piece go on beyond the ends.
    """
    at = x.reshape(-1, *xp.shape[:-1]).movedim(0, -1).contiguous()
    right = torch.searchsorted(xp, at).clamp(1, xp.shape[-1] - 1)
    x0, x1, f0, f1 = (t.gather(-1, i) for t in (xp, fp) for i in (right - 1, right))
    line = f0 + (at - x0) / (x1 - x0) * (f1 - f0)
    return line.movedim(-1, 0).reshape(x.shape)
