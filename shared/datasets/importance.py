"""An estimate of the true log p(x | u) of generated data where no formula gives it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from identiflow.shared.datasets.generated import SourceData
from identiflow.shared.datasets.observations import GaussianObservation
from identiflow.shared.inputs.arrays import AnyArray, Array
from identiflow.shared.inputs.options import count

_T_DOF = 5.0  # heavier tails than the posterior, so that the weights stay bounded
_PRIOR_SHARE = 0.2  # of the draws, from p(z | u): bounds the weights where the mode fit is poor
_MODE_STEPS = 30
_CHUNK_ENTRIES = 2_000_000


@dataclass(frozen=True)
class ImportanceEstimate:
    """An importance-sampling estimate of log p(x | u), one entry for each row.

    Attributes:
        log_prob: the estimate in nats, shape (N,); it is below the truth by standard_error^2 / 2
            on average, since the logarithm is concave.
        standard_error: its Monte Carlo standard error in nats, shape (N,).
    """

    log_prob: Array
    standard_error: Array

    @property
    def mean_standard_error(self) -> float:
        """The Monte Carlo standard error of `log_prob.mean()`, in nats (rows are independent)."""
        return float(np.sqrt(np.sum(self.standard_error**2)) / len(self.standard_error))


def oracle_importance_log_prob(
    data: SourceData, n_samples: int = 1000, *, seed: int = 0
) -> ImportanceEstimate:
    """Estimate the true log p(x | u) = log of the integral of p(x | f(z)) p(z | u) dz, row by row.

    The proposal is a mixture: 80% of the draws from a multivariate Student t around the posterior
    mode, with the Gauss-Newton Hessian J^T I(f(z)) J + diag(1 / std_u^2) as its precision (I is
    the Fisher information of p(x | s)), the rest from p(z | u). The mode search starts at the true
    z. Cost: n_samples evaluations of f for each row, one to four seconds for 1,000 rows by
    default. Take a part of the rows (`data.take`) where all would take too long.

    The mean over rows of the 5-source benchmark with noise 0.1 is then 0.02 to 0.05 nats too low,
    because a few rows have a posterior far from the proposal; their standard errors say so.

    Args:
        data: generated data, noisy or discrete.
        n_samples: draws for each row, >= 10.
        seed: seeds the draws; the global random state is not touched.

    Returns:
        The estimate and its Monte Carlo standard error, in nats.

    Raises:
        ValueError: for data without noise, where p(x | u) is exact (d = n) or no density (d > n).

    Example:
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(2, 4, 10, observation="bernoulli")
        >>> estimate = oracle_importance_log_prob(data, n_samples=200)
        >>> estimate.log_prob.shape, bool(estimate.standard_error.max() < 0.1)
        ((40,), True)
    """
    count(10).check("n_samples", n_samples)
    if isinstance(data.observation, GaussianObservation) and data.observation.noise_std == 0:
        raise ValueError(
            "Expected data with noise or a discrete observation; got noise_std = 0. Use "
            "data.oracle_log_prob, which is exact for d = n; for d > n x has no density."
        )
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_ENTRIES // (n_samples * max(data.x.shape[1], 8)))
    parts = [
        _estimate(data.take(np.arange(start, min(start + chunk, len(data)))), n_samples, rng)
        for start in range(0, len(data), chunk)
    ]
    return ImportanceEstimate(
        np.concatenate([part.log_prob for part in parts]),
        np.concatenate([part.standard_error for part in parts]),
    )


def _estimate(data: SourceData, n_samples: int, rng: np.random.Generator) -> ImportanceEstimate:
    mode = _posterior_mode(data)
    cholesky = np.linalg.cholesky(_gauss_newton_hessian(data, mode))
    n_prior = round(_PRIOR_SHARE * n_samples)
    u = np.broadcast_to(data.u, (n_samples, len(data)))
    z = np.concatenate(
        [
            _sample_t(mode, cholesky, n_samples - n_prior, rng),
            data.prior.sample(u[:n_prior], rng),
        ]
    )
    log_proposal = np.logaddexp(
        np.log1p(-n_prior / n_samples) + _t_log_prob(z, mode, cholesky),
        np.log(n_prior / n_samples) + data.prior.log_prob(z, u),
    )
    log_weight = _log_joint(data, z) - log_proposal
    log_prob = logsumexp(log_weight, axis=0) - np.log(n_samples)
    return ImportanceEstimate(log_prob, _standard_error(log_weight - log_prob, n_prior))


def _standard_error(log_relative_weight: Array, n_prior: int) -> Array:
    """The delta method, sd(log mean w) = sd(mean w) / mean w, for draws stratified by component."""
    weight = np.exp(log_relative_weight)
    variance = sum(
        len(part) * part.var(axis=0, ddof=1) for part in (weight[:-n_prior], weight[-n_prior:])
    )
    return np.sqrt(variance) / len(weight)


def _log_joint(data: SourceData, z: Array) -> Array:
    """Return log p(x | f(z)) + log p(z | u); (..., N, n) -> (..., N)."""
    likelihood = data.observation.log_prob(data.x, data.mixing.forward(z))
    return likelihood + data.prior.log_prob(z, np.broadcast_to(data.u, z.shape[:-1]))


def _gauss_newton_hessian(data: SourceData, z: Array) -> Array:
    """A positive definite stand-in for minus the Hessian of the log joint, shape (N, n, n)."""
    jacobian = data.mixing.jacobian(z)
    information = data.observation.information(data.mixing.forward(z))
    precision = data.segment_stds[data.u][..., None] ** -2 * np.eye(z.shape[-1])
    return np.swapaxes(jacobian, -1, -2) @ information @ jacobian + precision


def _posterior_mode(data: SourceData) -> Array:
    """Climb log p(x, z | u) by Levenberg-damped Gauss-Newton steps from the true z."""
    if data.z is None:
        raise ValueError("Expected data with its true sources z; got z = None.")
    z, value = data.z, _log_joint(data, data.z)
    damping = np.full(len(data), 1e-3)
    for _ in range(_MODE_STEPS):
        pull = data.observation.score(data.x, data.mixing.forward(z))
        gradient = np.einsum("nji,nj->ni", data.mixing.jacobian(z), pull)
        gradient += data.prior.score(z, data.u)
        hessian = _gauss_newton_hessian(data, z)
        hessian *= 1 + damping[:, None, None] * np.eye(z.shape[-1])
        candidate = z + np.linalg.solve(hessian, gradient[..., None])[..., 0]
        candidate_value = _log_joint(data, candidate)
        better = candidate_value > value
        z = np.where(better[:, None], candidate, z)
        value = np.where(better, candidate_value, value)
        damping *= np.where(better, 0.25, 8.0)
    return z


def _sample_t(mode: Array, cholesky: AnyArray, n_draws: int, rng: np.random.Generator) -> Array:
    """Student t draws, shape (n_draws, N, n); cholesky is the lower factor of the precision."""
    normal = rng.standard_normal((n_draws, *mode.shape))
    # L^T y = normal gives y the covariance (L L^T)^-1; one inverse serves all the draws of a row
    inverse = np.linalg.inv(cholesky)
    y = np.einsum("nji,mnj->mni", inverse, normal)
    scale = np.sqrt(_T_DOF / rng.chisquare(_T_DOF, (n_draws, len(mode), 1)))
    return mode + y * scale


def _t_log_prob(z: Array, mode: Array, cholesky: AnyArray) -> Array:
    n = mode.shape[-1]
    unit = np.einsum("nij,mni->mnj", cholesky, z - mode)
    log_det = np.log(np.diagonal(cholesky, axis1=-2, axis2=-1)).sum(axis=-1)
    constant = gammaln((_T_DOF + n) / 2) - gammaln(_T_DOF / 2) - n / 2 * np.log(_T_DOF * np.pi)
    return constant + log_det - (_T_DOF + n) / 2 * np.log1p(np.sum(unit**2, axis=-1) / _T_DOF)
