"""Generated data with known sources: nonstationary sources behind an invertible mixing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from identiflow.shared.datasets.base import Dataset, rows
from identiflow.shared.datasets.mixing import ACTIVATIONS, Mixing, draw_mixing
from identiflow.shared.datasets.observations import (
    BernoulliObservation,
    GaussianObservation,
    Observation,
    PoissonObservation,
    draw_categorical,
)
from identiflow.shared.datasets.oracle import exact_log_prob
from identiflow.shared.datasets.sources import SOURCE_FAMILIES, SegmentSources, draw_segment_sources
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.options import (
    FLAG,
    NOT_NEGATIVE,
    Kind,
    check_options,
    count,
    number,
    one_of,
    optional,
)

OBSERVATIONS = ("gaussian", "bernoulli", "poisson", "categorical")
ONE_LAYER = "One layer makes the mixing linear."
FLATTEST = 1e-6  # a slope that an activation can be inverted with
NO_SLOPE = f"Below {FLATTEST} the activation has no inverse in double precision; None is 0.1."
OPTIONS: dict[str, Kind] = {
    "latent_dim": count(),
    "n_segments": count(),
    "samples_per_segment": count(),
    "observed_dim": optional(count()),
    "centered": FLAG,
    "source": one_of(SOURCE_FAMILIES),
    "mixing": one_of(ACTIVATIONS),
    "n_layers": count(hint=ONE_LAYER),
    "slope": optional(number("to be positive", lambda v: FLATTEST <= v < inf, NO_SLOPE)),
    "noise_std": replace(NOT_NEGATIVE, hint="Pass 0 for noise-free data."),
    "observation": one_of(OBSERVATIONS),
    "n_categories": count(2, hint="One category carries nothing."),
    "seed": count(0),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceData(Dataset):
    """Generated observations with the truth behind them: z ~ p(z | u), x ~ p(x | f(z)).

    Attributes:
        oracle_log_prob: the true log p(x | u) of every row in nats, shape (N,), or None where no
            formula gives it (`oracle_importance_log_prob` then estimates it).
        prior: the true p(z | u), with `means` and `stds` of shape (S, n).
        mixing: the true f, with `forward`, `inverse`, `jacobian`, `logabsdet`.
        observation: the true p(x | f(z)).
        seed: the seed that reproduces the data.
    """

    oracle_log_prob: Array | None = rows(default=None)
    prior: SegmentSources = field(repr=False)
    mixing: Mixing = field(repr=False)
    observation: Observation = field(repr=False)
    seed: int

    @property
    def segment_means(self) -> Array:
        """E[z | u], shape (S, n)."""
        return self.prior.means

    @property
    def segment_stds(self) -> Array:
        """The standard deviations of z given u, shape (S, n)."""
        return self.prior.stds


def nonstationary_sources(
    latent_dim: int = 5,
    n_segments: int = 40,
    samples_per_segment: int = 1000,
    *,
    observed_dim: int | None = None,
    centered: bool = True,
    source: str = "gaussian",
    mixing: str = "tanh",
    n_layers: int = 3,
    slope: float | None = None,
    noise_std: float = 0.0,
    observation: str = "gaussian",
    n_categories: int = 3,
    seed: int = 0,
) -> SourceData:
    """Draw the benchmark of nonlinear ICA: sources whose variance changes from segment to segment.

    z_i | u ~ mean_ui + std_ui * (a unit-variance source), std_ui ~ U[0.5, 3], mean_ui = 0 or
    ~ U[-5, 5]; s = f(z) with `n_layers` random matrices (`draw_mixing`) and an activation between
    them; x is s itself, or s with Gaussian noise, or a discrete observation of s:

    - "bernoulli": x_j in {0, 1} with logit s_j;
    - "poisson": counts with rate 5 log(1 + exp(s_j));
    - "categorical": x_j in {0, ..., n_categories - 1}, logits linear in s with random weights.

    Segment parameters, sources, mixing, observation weights and observation noise come from
    independent streams of `seed`: changing the noise changes neither the sources nor the mixing.
    The global random state is not touched.

    Args:
        latent_dim: n, the number of sources.
        n_segments: S, the number of values of u.
        samples_per_segment: rows for each value of u; N = S * samples_per_segment, in time order.
        observed_dim: d >= n; n by default.
        centered: means 0 (the setting of the iVAE paper); False draws them from U[-5, 5] (iFlow's).
        source: "gaussian", "laplace" or "hyperbolic_secant", each rescaled to unit variance.
        mixing: "tanh" for x -> tanh x + slope * x, or "leaky_relu".
        n_layers: number of matrices; 1 makes the mixing linear.
        slope: 0.1 by default; the linear part of "tanh", the negative slope of "leaky_relu".
        noise_std: standard deviation of the Gaussian noise on x, in units of x.
        observation: "gaussian", "bernoulli", "poisson" or "categorical".
        n_categories: number of categories, for "categorical" only.
        seed: a non-negative integer.

    Returns:
        `SourceData` with x (N, d), integer u (N,), z (N, n) and the true log p(x | u) in nats.

    Raises:
        ValueError: for n > d, counts below 1, unknown words, a negative noise or slope, and noise
            asked for together with a discrete observation.

    Reference:
        Khemakhem, Kingma, Monti, Hyvarinen, "Variational Autoencoders and Nonlinear ICA: A
        Unifying Framework", AISTATS 2020, section 5.1 and eqs. 5-7.

    Example:
        >>> data = nonstationary_sources(latent_dim=2, n_segments=4, samples_per_segment=50, seed=1)
        >>> data.x.shape, data.u.shape, data.z.shape, data.oracle_log_prob.shape
        ((200, 2), (200,), (200, 2), (200,))
    """
    check_options(OPTIONS, locals())
    n, d = latent_dim, latent_dim if observed_dim is None else observed_dim
    _expect_injective(n, d)
    _expect_one_noise(noise_std, observation)

    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]
    prior = draw_segment_sources(source, n_segments, n, centered, streams[0])
    u = np.repeat(np.arange(n_segments), samples_per_segment)
    z = prior.sample(u, streams[1])
    f = draw_mixing(n, d, n_layers=n_layers, rng=streams[2], activation=mixing, slope=slope)
    observe = _make_observation(observation, d, noise_std, n_categories, streams[3])
    x = observe.sample(f.forward(z), streams[4])
    return SourceData(
        name=f"nonstationary {source}, {mixing} mixing, {observation}",
        x=x,
        u=u,
        z=z,
        oracle_log_prob=exact_log_prob(x, u, prior, f, observe),
        prior=prior,
        mixing=f,
        observation=observe,
        seed=seed,
        feature_names=tuple(f"x_{j + 1}" for j in range(d)),
        source_names=tuple(f"z_{i + 1}" for i in range(n)),
        aux_name="segment",
        description=(
            f"{n_segments} segments of {samples_per_segment} rows; {n} {source} sources, "
            f"{'means 0' if centered else 'means ~ U[-5, 5]'}, std ~ U[0.5, 3]; {n_layers} mixing "
            f"layers ({mixing}) to {d} dimensions; {observation} observation, noise {noise_std}."
        ),
    )


def _make_observation(
    word: str, observed_dim: int, noise_std: float, n_categories: int, rng: np.random.Generator
) -> Observation:
    if word == "bernoulli":
        return BernoulliObservation()
    if word == "poisson":
        return PoissonObservation()
    if word == "categorical":
        return draw_categorical(observed_dim, n_categories, rng)
    return GaussianObservation(noise_std)


def _expect_injective(latent_dim: int, observed_dim: int) -> None:
    if observed_dim < latent_dim:
        raise ValueError(
            f"Expected observed_dim of at least latent_dim = {latent_dim}; got {observed_dim}. f "
            "must be injective, so n sources need d >= n dimensions: raise observed_dim or lower "
            "latent_dim."
        )


def _expect_one_noise(noise_std: float, observation: str) -> None:
    if noise_std > 0 and observation != "gaussian":
        raise ValueError(
            f"Expected noise_std = 0 with observation={observation!r}, which is random by itself; "
            f"got {noise_std}. Leave noise_std out."
        )
