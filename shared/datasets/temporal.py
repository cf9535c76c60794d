"""Generated data whose sources depend on their own past: autoregressive sources behind a mixing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from identiflow.shared.datasets.base import Dataset, rows
from identiflow.shared.datasets.mixing import Mixing, draw_mixing
from identiflow.shared.datasets.sources import SOURCE_FAMILIES
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.options import Kind, check_options, count, one_of

# Of the autoregressive coefficients: far enough from 0 to be seen, and from 1 to mix fast.
SMALLEST, LARGEST = 0.6, 0.9
MEMORY = 200  # rows before the first: its start is forgotten by then
OPTIONS: dict[str, Kind] = {
    "latent_dim": count(),
    "n_samples": count(),
    "innovation": one_of(SOURCE_FAMILIES),
    "n_layers": count(hint="One layer makes the mixing linear."),
    "seed": count(0),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class TemporalData(Dataset):
    """One series x_t = f(z_t), in order of time, with the truth behind it.

    u is the same for all rows; what identifies the sources is their past, `History(1)`. `take` with
    a range of rows splits in time; `split`, which draws rows at random, would tear pairs apart.

    Attributes:
        oracle_log_prob: the true log p(x_t | x_{t−1}) of every row in nats, (N,); of the first row
            that given the value before it, which is not among the rows.
        coefficients: ρ, (n,).
        mixing: the true f.
        seed: the seed that reproduces the data.
    """

    oracle_log_prob: Array = rows()
    coefficients: Array = field(repr=False)
    mixing: Mixing = field(repr=False)
    seed: int


def autocorrelated_sources(
    latent_dim: int = 5,
    n_samples: int = 40_000,
    *,
    innovation: str = "laplace",
    n_layers: int = 3,
    seed: int = 0,
) -> TemporalData:
    """Draw stationary sources with a memory, as permutation-contrastive learning assumes them.

    z_ti = ρ_i z_{t−1,i} + sqrt(1 − ρ_i²) ε_ti with ε of unit variance and ρ_i ~ U[0.6, 0.9], and
    x_t = f(z_t) with the mixing of `nonstationary_sources`. With Gaussian innovations sources of
    a nonlinear mixing are not identified.

    Args:
        latent_dim: n, the number of sources, and of columns of x.
        n_samples: N, rows of the series.
        innovation: "laplace", "hyperbolic_secant" or "gaussian".
        n_layers: matrices of the mixing; 1 makes it linear.
        seed: a non-negative integer.

    Raises:
        ValueError: for counts below 1 and unknown words.

    Reference: Hyvärinen & Morioka 2017, "Nonlinear ICA of temporally dependent stationary sources",
    section 5.

    Example:
        >>> data = autocorrelated_sources(latent_dim=2, n_samples=100, seed=1)
        >>> data.x.shape, data.z.shape, data.oracle_log_prob.shape
        ((100, 2), (100, 2), (100,))
    """
    check_options(OPTIONS, locals())
    n, n_rows, family = latent_dim, n_samples, SOURCE_FAMILIES[innovation]
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)]
    coefficients = streams[0].uniform(SMALLEST, LARGEST, n)
    scale = np.sqrt(1 - coefficients**2)
    noise = family.sample(streams[1], (n_rows + 1 + MEMORY, n))
    z = np.empty_like(noise)
    z[0] = noise[0]
    for t in range(1, len(z)):
        z[t] = coefficients * z[t - 1] + scale * noise[t]
    z, noise = z[-n_rows:], noise[-n_rows:]
    f = draw_mixing(n, n, n_layers=n_layers, rng=streams[2])
    conditional = (family.log_density(noise) - np.log(scale)).sum(1)
    return TemporalData(
        name=f"autocorrelated {innovation}",
        x=f.forward(z),
        u=np.zeros(n_rows, dtype=int),
        z=z,
        oracle_log_prob=conditional - f.logabsdet(z),
        coefficients=coefficients,
        mixing=f,
        seed=seed,
        feature_names=tuple(f"x_{j + 1}" for j in range(n)),
        source_names=tuple(f"z_{i + 1}" for i in range(n)),
        aux_name="series",
        description=(
            f"{n_rows} rows of one series; {n} autoregressive sources of order 1 with {innovation} "
            f"innovations; {n_layers} mixing layers."
        ),
    )
