"""The true p(z | u) of generated data: independent sources with a mean and std for each segment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.inputs.arrays import Array


def _log_cosh(a: Array) -> Array:
    return np.abs(a) + np.log1p(np.exp(-2 * np.abs(a))) - np.log(2)


def _sample_hyperbolic_secant(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    # the inverse cdf, F^-1(p) = (2 / pi) arsinh(tan(pi (p - 1/2)))
    return 2 / np.pi * np.arcsinh(np.tan(np.pi * (rng.random(shape) - 0.5)))


@dataclass(frozen=True)
class SourceFamily:
    """A one-dimensional density with mean 0 and variance 1.

    Attributes:
        log_density: s -> log p(s), in nats.
        score: s -> d log p(s) / ds (0 at a kink).
        sample: (rng, shape) -> independent draws.
    """

    log_density: Callable[[Array], Array]
    score: Callable[[Array], Array]
    sample: Callable[[np.random.Generator, tuple[int, ...]], Array]


SOURCE_FAMILIES: dict[str, SourceFamily] = {
    "gaussian": SourceFamily(
        log_density=lambda s: -0.5 * s**2 - 0.5 * np.log(2 * np.pi),
        score=lambda s: -s,
        sample=lambda rng, shape: rng.standard_normal(shape),
    ),
    # scale 1 / sqrt(2) has variance 1
    "laplace": SourceFamily(
        log_density=lambda s: -np.sqrt(2) * np.abs(s) - 0.5 * np.log(2),
        score=lambda s: -np.sqrt(2) * np.sign(s),
        sample=lambda rng, shape: rng.laplace(scale=np.sqrt(0.5), size=shape),
    ),
    # sech(s) / pi has variance pi^2 / 4; rescaled to variance 1 it is sech(pi s / 2) / 2
    "hyperbolic_secant": SourceFamily(
        log_density=lambda s: -np.log(2) - _log_cosh(0.5 * np.pi * s),
        score=lambda s: -0.5 * np.pi * np.tanh(0.5 * np.pi * s),
        sample=_sample_hyperbolic_secant,
    ),
}


@dataclass(frozen=True, eq=False)
class SegmentSources:
    """p(z | u) = prod_i p0((z_i - mean_ui) / std_ui) / std_ui, with p0 of mean 0 and variance 1.

    Attributes:
        family: the name of p0, a key of `SOURCE_FAMILIES`.
        means: conditional means, shape (S, n) for S segments.
        stds: conditional standard deviations, shape (S, n).

    Example:
        >>> import numpy as np
        >>> prior = SegmentSources("gaussian", means=np.zeros((1, 2)), stds=np.ones((1, 2)))
        >>> prior.log_prob(np.zeros((1, 2)), np.array([0])).round(3)  # -log(2 pi)
        array([-1.838])
    """

    family: str
    means: Array
    stds: Array

    def sample(self, u: NDArray[np.integer[Any]], rng: np.random.Generator) -> Array:
        """Draw one z for each segment label in u; shape u.shape + (n,)."""
        unit = SOURCE_FAMILIES[self.family].sample(rng, (*u.shape, self.means.shape[1]))
        return self.means[u] + self.stds[u] * unit

    def log_prob(self, z: Array, u: NDArray[np.integer[Any]]) -> Array:
        """Return log p(z | u) in nats, summed over the n sources; u has shape z.shape[:-1]."""
        unit = SOURCE_FAMILIES[self.family].log_density((z - self.means[u]) / self.stds[u])
        return np.sum(unit - np.log(self.stds[u]), axis=-1)

    def score(self, z: Array, u: NDArray[np.integer[Any]]) -> Array:
        """Return d log p(z | u) / dz, the shape of z."""
        return SOURCE_FAMILIES[self.family].score((z - self.means[u]) / self.stds[u]) / self.stds[u]


def draw_segment_sources(
    family: str, n_segments: int, latent_dim: int, centered: bool, rng: np.random.Generator
) -> SegmentSources:
    """Draw std ~ U[0.5, 3], and means that are 0 (centered) or ~ U[-5, 5], for every segment."""
    shape = (n_segments, latent_dim)
    stds = rng.uniform(0.5, 3.0, shape)
    means = np.zeros(shape) if centered else rng.uniform(-5.0, 5.0, shape)
    return SegmentSources(family, means, stds)
