"""Gaussian posteriors q(z | x, u): sampling, density, and the divergence to a factorised prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, constraints, kl_divergence

from identiflow.shared.compute.networks import LOG_2PI
from identiflow.shared.compute.random import Randomness, standard_normal

# Up to this condition single precision solves L well, and the score stays near the size of ε.
MAX_CONDITION = 1000.0


class ScoredDraws(NamedTuple):
    """Draws z (S, B, n), log q (S, B) in nats, and what is known of ∂ log q / ∂z there.

    `score` (S, B, n) has no gradient, and is 0 in the rows where `scored` (B,) is False: those
    whose L is too badly conditioned to solve with.
    """

    z: Tensor
    log_q: Tensor
    score: Tensor
    scored: Tensor


class GaussianPosterior(Distribution, ABC):
    """q(z | x, u) = N(z; m, L Lᵀ) for a batch of rows, z = m + L ε with ε ~ N(0, I).

    It is a torch Distribution with batch shape (B,) and event shape (n,) whose draws come from a
    generator you pass. A draw knows its own density, log q = −½|ε|² − log det L − ½ n log 2π, so
    training solves no triangular system.

    A subclass says what L is: `_multiply` (L ε), `_solve` (L⁻¹ δ), `_solve_transposed` (L⁻ᵀ ε),
    `log_det`, `condition`, `stddev`.

    Args:
        loc: m, shape (B, n).
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor) -> None:
        self.loc = loc
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @abstractmethod
    def _multiply(self, noise: Tensor) -> Tensor:
        """L ε for ε of shape (..., B, n)."""

    @abstractmethod
    def _solve(self, deviation: Tensor) -> Tensor:
        """L⁻¹ δ for δ of shape (..., B, n)."""

    @abstractmethod
    def _solve_transposed(self, noise: Tensor) -> Tensor:
        """L⁻ᵀ ε for ε of shape (..., B, n)."""

    @property
    @abstractmethod
    def log_det(self) -> Tensor:
        """log det L, shape (B,)."""

    @property
    @abstractmethod
    def condition(self) -> Tensor:
        """‖ |L⁻¹| |L| ‖∞, shape (B,): what solving with L magnifies errors by, in any units of z.

        Reference: Skeel 1979.
        """

    @property
    @abstractmethod
    def stddev(self) -> Tensor:
        """The standard deviation of each z_i on its own, shape (B, n)."""

    @property
    def mean(self) -> Tensor:
        """m, shape (B, n)."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The diagonal of L Lᵀ, shape (B, n)."""
        return self.stddev**2

    def rsample(
        self,
        sample_shape: torch.Size | list[int] | tuple[int, ...] = (),
        generator: Randomness = None,
    ) -> Tensor:
        """Draws z of shape (*sample_shape, B, n), differentiable in m and L."""
        n_samples = torch.Size(sample_shape).numel()
        z, _ = self.rsample_with_log_prob(n_samples, generator)
        return z.reshape(*sample_shape, *self.loc.shape)

    def rsample_with_log_prob(
        self, n_samples: int, generator: Randomness = None, antithetic: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Draws z (S, B, n) and log q(z | x, u) in nats (S, B), both differentiable.

        Args:
            n_samples: S.
            generator: where the noise comes from; torch's global generator if None.
            antithetic: use −ε with every ε, which removes the error that is odd in ε.

        Raises:
            ValueError: if antithetic and n_samples is odd.
        """
        return self._draw(standard_noise(n_samples, self.loc, generator, antithetic))

    def _draw(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        log_q = -0.5 * noise.square().sum(-1) - self.log_det - self._log_normaliser
        return self.loc + self._multiply(noise), log_q

    def rsample_with_score(self, n_samples: int, generator: Randomness = None) -> ScoredDraws:
        """Draws as of `rsample_with_log_prob`, and ∂ log q / ∂z = −L⁻ᵀ ε at each."""
        noise = standard_noise(n_samples, self.loc, generator, antithetic=False)
        z, log_q = self._draw(noise)
        with torch.no_grad():
            scored = self.condition < MAX_CONDITION
            # 0 and not a product with 0: what is dropped may be infinite.
            score = -self._solve_transposed(noise).masked_fill(~scored[:, None], 0.0)
        return ScoredDraws(z, log_q, score, scored)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x, u) in nats for z (..., B, n) or anything that broadcasts to it."""
        unit = self._solve(z - self.loc)
        return -0.5 * unit.square().sum(-1) - self.log_det - self._log_normaliser

    def marginal_log_prob(self, z: Tensor) -> Tensor:
        """log q(z_i | x, u) of each component on its own, in nats, the shape of z."""
        return Normal(self.loc, self.stddev, validate_args=False).log_prob(z)

    def entropy(self) -> Tensor:
        """The differential entropy in nats, shape (B,)."""
        return self.log_det + self._log_normaliser + 0.5 * self.loc.shape[-1]

    @property
    def total_correlation(self) -> Tensor:
        """KL(q ‖ Π_i q_i) of each row's q in nats, shape (B,): 0 if L is diagonal."""
        return self.stddev.log().sum(-1) - self.log_det

    @property
    def _log_normaliser(self) -> float:
        return 0.5 * self.loc.shape[-1] * LOG_2PI


class FullGaussian(GaussianPosterior):
    """N(m, L Lᵀ) with L lower triangular and a positive diagonal.

    Drawing costs O(n²) a sample, a density elsewhere O(n²) too (a triangular solve).

    Example:
        >>> import torch
        >>> posterior = FullGaussian(torch.zeros(4, 2), torch.eye(2).expand(4, 2, 2))
        >>> z, log_q = posterior.rsample_with_log_prob(3)
        >>> z.shape, log_q.shape
        (torch.Size([3, 4, 2]), torch.Size([3, 4]))

    Args:
        loc: m, shape (B, n).
        scale_tril: L, shape (B, n, n).
    """

    def __init__(self, loc: Tensor, scale_tril: Tensor) -> None:
        self.scale_tril = scale_tril
        super().__init__(loc)

    @property
    def log_det(self) -> Tensor:
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    @property
    def stddev(self) -> Tensor:
        return self.scale_tril.square().sum(-1).sqrt()

    @property
    def covariance_matrix(self) -> Tensor:
        """L Lᵀ, shape (B, n, n)."""
        return self.scale_tril @ self.scale_tril.mT

    @property
    def condition(self) -> Tensor:
        eye = torch.eye(self.loc.shape[-1], dtype=self.loc.dtype, device=self.loc.device)
        inverse = torch.linalg.solve_triangular(
            self.scale_tril, eye.expand_as(self.scale_tril), upper=False
        )
        return (inverse.abs() @ self.scale_tril.abs()).sum(-1).amax(-1)

    def _multiply(self, noise: Tensor) -> Tensor:
        return _from_columns(self.scale_tril @ _to_columns(noise), noise.shape)

    def _solve(self, deviation: Tensor) -> Tensor:
        columns = _to_columns(deviation)
        unit = torch.linalg.solve_triangular(self.scale_tril, columns, upper=False)
        return _from_columns(unit, deviation.shape)

    def _solve_transposed(self, noise: Tensor) -> Tensor:
        columns = _to_columns(noise)
        solved = torch.linalg.solve_triangular(self.scale_tril.mT, columns, upper=True)
        return _from_columns(solved, noise.shape)


class DiagonalGaussian(GaussianPosterior):
    """N(m, diag(s²)), the mean-field posterior.

    It biases the decoder towards Jacobians with orthogonal columns (Reizinger et al. 2022), so it
    is not the default.

    Args:
        loc: m, shape (B, n).
        scale: s, shape (B, n), positive.
    """

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        self.scale = scale
        super().__init__(loc)

    @property
    def log_det(self) -> Tensor:
        return self.scale.log().sum(-1)

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def covariance_matrix(self) -> Tensor:
        """diag(s²), shape (B, n, n)."""
        return torch.diag_embed(self.variance)

    @property
    def condition(self) -> Tensor:
        return torch.ones_like(self.scale[..., 0])

    def _multiply(self, noise: Tensor) -> Tensor:
        return self.scale * noise

    def _solve(self, deviation: Tensor) -> Tensor:
        return deviation / self.scale

    def _solve_transposed(self, noise: Tensor) -> Tensor:
        return noise / self.scale


def standard_noise(n_samples: int, like: Tensor, generator: Randomness, antithetic: bool) -> Tensor:
    """ε ~ N(0, I), (S, *like.shape), in pairs ± ε if antithetic."""
    if antithetic and n_samples % 2:
        raise ValueError(
            f"Expected an even n_samples with antithetic=True, which pairs ε with −ε; got "
            f"{n_samples}. Pass {n_samples + 1}."
        )
    shape = (n_samples // 2 if antithetic else n_samples, *like.shape)
    noise = standard_normal(shape, like, generator)
    return torch.cat([noise, -noise]) if antithetic else noise


def closed_form_kl(posterior: GaussianPosterior, prior: Distribution) -> Tensor | None:
    """KL(q(z | x, u) ‖ p(z | u)) in nats, shape (B,), or None where no formula gives it.

    For a prior that factorises the divergence splits into one that only q decides and one for
    each latent, KL(q ‖ Π_i p_i) = KL(q ‖ Π_i q_i) + Σ_i KL(q_i ‖ p_i), so a full covariance needs
    no formula of its own. Gaussian and Laplace priors have one for each latent.

    Args:
        posterior: q(z | x, u).
        prior: p(z | u); with a closed form if it is Independent(Normal or Laplace, 1).
    """
    if not isinstance(posterior, GaussianPosterior):
        return None
    if not isinstance(prior, Independent) or prior.reinterpreted_batch_ndims != 1:
        return None
    marginals = Normal(posterior.loc, posterior.stddev, validate_args=False)
    try:
        one_by_one = kl_divergence(marginals, prior.base_dist).sum(-1)
    except NotImplementedError:
        return None
    return posterior.total_correlation + one_by_one


def _to_columns(rows: Tensor) -> Tensor:
    """(..., B, n) → (B, n, M): one batched product instead of a copy of L for every sample."""
    return rows.reshape(-1, *rows.shape[-2:]).permute(1, 2, 0)


def _from_columns(columns: Tensor, shape: torch.Size) -> Tensor:
    return columns.permute(2, 0, 1).reshape(shape)
