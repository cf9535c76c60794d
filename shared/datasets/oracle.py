"""The true log p(x | u) of generated data, where a formula gives it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.datasets.mixing import Mixing
from identiflow.shared.datasets.observations import GaussianObservation, Observation
from identiflow.shared.datasets.sources import SegmentSources
from identiflow.shared.inputs.arrays import Array


def exact_log_prob(
    x: Array,
    u: NDArray[np.integer[Any]],
    prior: SegmentSources,
    mixing: Mixing,
    observation: Observation,
) -> Array | None:
    """Return log p(x | u) in nats for every row, or None where no formula gives it.

    - d = n without noise: log p(z | u) - log |det J_f(z)| at z = f^-1(x).
    - one linear layer z A, Gaussian sources and Gaussian noise, any d >= n:
      log N(x; m_u A, A^T diag(std_u^2) A + noise_std^2 I).
    - Otherwise None. With d > n and no noise x lives on an n-dimensional surface and has no
      density on R^d; for the remaining cases see `oracle_importance_log_prob`.

    Args:
        x: observations, shape (N, d).
        u: segment labels, shape (N,).
        prior: p(z | u).
        mixing: f.
        observation: p(x | f(z)).
    """
    if not isinstance(observation, GaussianObservation):
        return None
    if observation.noise_std == 0:
        return _change_of_variables(x, u, prior, mixing)
    if len(mixing.weights) == 1 and prior.family == "gaussian":
        return _linear_gaussian(x, u, prior, mixing.weights[0], observation.noise_std)
    return None


def _change_of_variables(
    x: Array, u: NDArray[np.integer[Any]], prior: SegmentSources, mixing: Mixing
) -> Array | None:
    if mixing.observed_dim != mixing.latent_dim:
        return None
    z = mixing.inverse(x)
    return prior.log_prob(z, u) - mixing.logabsdet(z)


def _linear_gaussian(
    x: Array, u: NDArray[np.integer[Any]], prior: SegmentSources, weight: Array, noise_std: float
) -> Array:
    from scipy.stats import multivariate_normal  # slow to import, seldom needed

    log_prob = np.empty(len(x))
    for label in np.unique(u):
        cov = (weight.T * prior.stds[label] ** 2) @ weight + noise_std**2 * np.eye(weight.shape[1])
        marginal = multivariate_normal(prior.means[label] @ weight, cov)
        log_prob[u == label] = marginal.logpdf(x[u == label])
    return log_prob
