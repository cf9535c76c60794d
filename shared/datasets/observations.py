"""Observations of generated data: p(x | s) for a mixed signal s = f(z), in four kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit, gammaln, log_expit, log_softmax, softmax

from identiflow.shared.inputs.arrays import Array

POISSON_GAIN = 5.0


class Observation(Protocol):
    """p(x | s): sampling, log-density, and the derivatives a Gauss-Newton step needs."""

    def sample(self, signal: Array, rng: np.random.Generator) -> Array:
        """Draw one x for each row of the signal; (N, d) -> (N, d)."""

    def log_prob(self, x: Array, signal: Array) -> Array:
        """Return log p(x | s) in nats, summed over the d dimensions; (..., d) -> (...,)."""

    def score(self, x: Array, signal: Array) -> Array:
        """Return d log p(x | s) / ds, the shape of the signal."""

    def information(self, signal: Array) -> Array:
        """Return the Fisher information of s, shape (..., d, d)."""


@dataclass(frozen=True)
class GaussianObservation:
    """x = s + noise_std * N(0, I); with noise_std = 0 x is s itself and has no log_prob."""

    noise_std: float = 0.0

    def sample(self, signal: Array, rng: np.random.Generator) -> Array:
        """Draw s + noise."""
        return signal + self.noise_std * rng.standard_normal(signal.shape)

    def log_prob(self, x: Array, signal: Array) -> Array:
        """Return the sum of log N(x_j; s_j, noise_std^2)."""
        unit = (x - signal) / self.noise_std
        return np.sum(-0.5 * unit**2 - np.log(self.noise_std * np.sqrt(2 * np.pi)), axis=-1)

    def score(self, x: Array, signal: Array) -> Array:
        """Return (x - s) / noise_std^2."""
        return (x - signal) / self.noise_std**2

    def information(self, signal: Array) -> Array:
        """Return I / noise_std^2."""
        return _diagonal(np.full_like(signal, self.noise_std**-2))


@dataclass(frozen=True)
class BernoulliObservation:
    """x_j in {0, 1} with logit s_j."""

    def sample(self, signal: Array, rng: np.random.Generator) -> Array:
        """Draw 1 with probability sigmoid(s), else 0."""
        return (rng.random(signal.shape) < expit(signal)).astype(np.float64)

    def log_prob(self, x: Array, signal: Array) -> Array:
        """Return the sum of log sigmoid(s_j) where x_j = 1 and log sigmoid(-s_j) where x_j = 0."""
        return np.sum(log_expit((2 * x - 1) * signal), axis=-1)

    def score(self, x: Array, signal: Array) -> Array:
        """Return x - sigmoid(s)."""
        return x - expit(signal)

    def information(self, signal: Array) -> Array:
        """Return sigmoid(s) sigmoid(-s) on the diagonal."""
        return _diagonal(expit(signal) * expit(-signal))


@dataclass(frozen=True)
class PoissonObservation:
    """x_j counts 0, 1, 2, ... with rate POISSON_GAIN * log(1 + exp(s_j)).

    The softplus keeps rates linear in large signals, where exp would give counts beyond any use;
    the gain of 5 makes a signal near 0 give a few counts (3.5 on average) and not mostly zeros.
    """

    def sample(self, signal: Array, rng: np.random.Generator) -> Array:
        """Draw Poisson counts, as float64."""
        return rng.poisson(self._rate(signal)).astype(np.float64)

    def log_prob(self, x: Array, signal: Array) -> Array:
        """Return the sum of x_j log rate_j - rate_j - log x_j!."""
        rate = self._rate(signal)
        return np.sum(x * np.log(rate) - rate - gammaln(x + 1), axis=-1)

    def score(self, x: Array, signal: Array) -> Array:
        """Return (x / rate - 1) d rate / ds."""
        return (x / self._rate(signal) - 1) * POISSON_GAIN * expit(signal)

    def information(self, signal: Array) -> Array:
        """Return (d rate / ds)^2 / rate on the diagonal."""
        return _diagonal((POISSON_GAIN * expit(signal)) ** 2 / self._rate(signal))

    def _rate(self, signal: Array) -> Array:
        return POISSON_GAIN * np.logaddexp(0.0, signal)


@dataclass(frozen=True, eq=False)
class CategoricalObservation:
    """x_j in {0, ..., K - 1} with logits sum_i s_i W_ijc: every dimension sees the whole signal.

    Attributes:
        weights: W, shape (d, d, K): signal dimension i, observed dimension j, category c.
    """

    weights: Array

    def sample(self, signal: Array, rng: np.random.Generator) -> Array:
        """Draw category codes, as float64."""
        below = np.cumsum(softmax(self._logits(signal), axis=-1), axis=-1)[..., :-1]
        return np.sum(rng.random(signal.shape)[..., None] > below, axis=-1).astype(np.float64)

    def log_prob(self, x: Array, signal: Array) -> Array:
        """Return the sum over j of log softmax(logits_j)[x_j]."""
        log_p = log_softmax(self._logits(signal), axis=-1)
        codes = np.broadcast_to(x, signal.shape).astype(np.int64)[..., None]
        return np.take_along_axis(log_p, codes, axis=-1)[..., 0].sum(axis=-1)

    def score(self, x: Array, signal: Array) -> Array:
        """Return the sum over j of W_ij (onehot(x_j) - p_j)."""
        one_hot = np.eye(self.weights.shape[-1])[x.astype(np.int64)]
        residual = one_hot - softmax(self._logits(signal), axis=-1)
        return np.einsum("...jc,ijc->...i", residual, self.weights)

    def information(self, signal: Array) -> Array:
        """Return the sum over j of W_j (diag(p_j) - p_j p_j^T) W_j^T."""
        p = softmax(self._logits(signal), axis=-1)
        mean = np.einsum("...jc,ijc->...ij", p, self.weights)
        second = np.einsum("...jc,ijc,kjc->...ik", p, self.weights, self.weights, optimize=True)
        return second - mean @ np.swapaxes(mean, -1, -2)

    def _logits(self, signal: Array) -> Array:
        return np.einsum("...i,ijc->...jc", signal, self.weights)


def draw_categorical(
    observed_dim: int, n_categories: int, rng: np.random.Generator
) -> CategoricalObservation:
    """Weights W_ijc ~ N(0, 1 / d), so that logits spread about as much as one signal dimension."""
    shape = (observed_dim, observed_dim, n_categories)
    return CategoricalObservation(rng.standard_normal(shape) / np.sqrt(observed_dim))


def _diagonal(values: Array) -> Array:
    return values[..., None] * np.eye(values.shape[-1])
