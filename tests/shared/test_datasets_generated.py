"""Laws of the generated data: its truth is the truth, and it is the same every time."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import scipy.stats
from scipy.special import logsumexp

from identiflow.shared.datasets import nonstationary_sources, oracle_importance_log_prob
from identiflow.shared.datasets.mixing import ACTIVATIONS, draw_mixing
from identiflow.shared.datasets.observations import GaussianObservation
from identiflow.shared.datasets.oracle import exact_log_prob
from identiflow.shared.datasets.sources import SOURCE_FAMILIES, draw_segment_sources

SMALL = {"latent_dim": 3, "n_segments": 4, "samples_per_segment": 50, "seed": 1}

SETTINGS = {
    "centered": {},
    "uncentered": {"centered": False},
    "leaky ReLU, Laplace": {"mixing": "leaky_relu", "source": "laplace"},
    "steep, hyperbolic secant": {"source": "hyperbolic_secant", "slope": 0.5, "n_layers": 5},
    "linear": {"n_layers": 1},
    "one source": {"latent_dim": 1},
    "one segment": {"n_segments": 1},
    "wide": {"observed_dim": 6},
    "noisy, wide": {"observed_dim": 6, "noise_std": 0.1},
    "noisy, linear": {"n_layers": 1, "noise_std": 0.5, "observed_dim": 4},
    "Bernoulli": {"observation": "bernoulli"},
    "Poisson": {"observation": "poisson", "observed_dim": 4},
    "categorical": {"observation": "categorical", "n_categories": 4},
}
# the settings whose true density is known by a change of variables
NOISE_FREE = {
    name: setting
    for name, setting in SETTINGS.items()
    if not {"observed_dim", "noise_std", "observation"} & setting.keys()
}
SCIPY_FAMILIES = {
    "gaussian": scipy.stats.norm(),
    "laplace": scipy.stats.laplace(scale=np.sqrt(0.5)),
    "hyperbolic_secant": scipy.stats.hypsecant(scale=2 / np.pi),
}


def make(setting, **changes):
    return nonstationary_sources(**{**SMALL, **setting, **changes})


def over(table):
    return pytest.mark.parametrize("setting", table.values(), ids=table.keys())


def numerical_jacobian(f, z, step=1e-5):
    columns = [(f(z + step * e) - f(z - step * e)) / (2 * step) for e in np.eye(z.shape[1])]
    return np.stack(columns, axis=-1)


# ---------------------------------------------------------------- the record


@over(SETTINGS)
def test_rows_are_aligned_and_in_time_order(setting):
    data = make(setting)
    sizes = {**SMALL, **setting}
    n, d = sizes["latent_dim"], sizes.get("observed_dim", sizes["latent_dim"])
    rows = sizes["n_segments"] * sizes["samples_per_segment"]
    assert (data.x.shape, data.z.shape, data.u.shape) == ((rows, d), (rows, n), (rows,))
    assert data.x.dtype == data.z.dtype == np.float64
    assert np.issubdtype(data.u.dtype, np.integer)
    assert np.all(np.diff(data.u) >= 0)
    assert np.all(np.bincount(data.u) == sizes["samples_per_segment"])
    assert np.isfinite(data.x).all()
    assert (len(data.feature_names), len(data.source_names)) == (d, n)
    assert data.segment_means.shape == data.segment_stds.shape == (sizes["n_segments"], n)


@over(SETTINGS)
def test_a_seed_is_a_data_set_and_no_global_state_is_touched(setting):
    before = np.random.get_state()[1].tobytes(), random.getstate()
    first, again, other = make(setting), make(setting), make(setting, seed=2)
    assert first.x.tobytes() == again.x.tobytes()
    assert first.z.tobytes() == again.z.tobytes()
    assert not np.array_equal(first.x, other.x)
    assert (np.random.get_state()[1].tobytes(), random.getstate()) == before


def test_what_is_not_changed_stays():
    plain = make({"observed_dim": 6})
    noisy = make({"observed_dim": 6, "noise_std": 0.3})
    noisier = make({"observed_dim": 6, "noise_std": 0.6})
    counts = make({"observed_dim": 6, "observation": "poisson"})
    heavy = make({"observed_dim": 6, "source": "laplace"})
    longer = make({"observed_dim": 6}, samples_per_segment=70)
    for data in (noisy, noisier, counts, heavy, longer):
        np.testing.assert_array_equal(data.segment_stds, plain.segment_stds)
        for weight, same in zip(data.mixing.weights, plain.mixing.weights, strict=True):
            np.testing.assert_array_equal(weight, same)
    np.testing.assert_array_equal(counts.z, plain.z)
    np.testing.assert_allclose(noisier.x - plain.x, 2 * (noisy.x - plain.x), atol=1e-12)


@over(SETTINGS)
def test_split_is_stratified_and_keeps_rows_together(setting):
    data = make(setting)
    train, test = data.split(test_fraction=0.3, seed=5)
    position = {row.tobytes(): i for i, row in enumerate(data.z)}
    where = [[position[row.tobytes()] for row in part.z] for part in (train, test)]
    assert sorted(where[0] + where[1]) == list(range(len(data)))
    for part, index in zip((train, test), where, strict=True):
        assert index == sorted(index)
        np.testing.assert_array_equal(part.x, data.x[index])
        np.testing.assert_array_equal(part.u, data.u[index])
        if data.oracle_log_prob is None:
            assert part.oracle_log_prob is None
        else:
            np.testing.assert_array_equal(part.oracle_log_prob, data.oracle_log_prob[index])
    assert np.all(np.bincount(test.u) == round(0.3 * SMALL["samples_per_segment"]))
    same, other = data.split(0.3, seed=5)[1], data.split(0.3, seed=6)[1]
    np.testing.assert_array_equal(same.z, test.z)
    assert not np.array_equal(other.z, test.z)


# ---------------------------------------------------------------- the sources


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("source", SOURCE_FAMILIES)
def test_every_segment_has_its_moments(source, centered):
    data = make({"source": source, "centered": centered, "samples_per_segment": 10_000})
    z = data.z.reshape(4, 10_000, 3)
    standard_error = data.segment_stds / np.sqrt(10_000)
    assert np.all(np.abs(z.mean(axis=1) - data.segment_means) < 5 * standard_error)
    np.testing.assert_allclose(z.std(axis=1), data.segment_stds, rtol=0.08)
    assert data.segment_stds.min() >= 0.5
    assert data.segment_stds.max() <= 3
    assert centered == np.all(data.segment_means == 0)
    assert np.abs(data.segment_means).max() <= 5


def test_sources_are_independent_within_a_segment():
    z = make({"n_segments": 1, "samples_per_segment": 10_000}).z
    assert np.abs(np.corrcoef(z.T) - np.eye(3)).max() < 5 / np.sqrt(10_000)


# ---------------------------------------------------------------- the mixing


@over(SETTINGS)
def test_mixing_inverts_exactly_even_in_the_tails(setting):
    f = make(setting).mixing
    z = 20 * np.random.default_rng(0).standard_normal((1000, f.latent_dim))
    np.testing.assert_allclose(f.inverse(f.forward(z)), z, atol=1e-10)


@over(SETTINGS)
def test_mixing_is_the_network_of_the_papers(setting):
    data = make(setting)
    slope, kind = setting.get("slope", 0.1), setting.get("mixing", "tanh")
    s = data.z @ data.mixing.weights[0]
    for weight in data.mixing.weights[1:]:
        s = (np.tanh(s) + slope * s if kind == "tanh" else np.maximum(s, slope * s)) @ weight
    np.testing.assert_allclose(data.mixing.forward(data.z), s, atol=1e-12)
    assert len(data.mixing.weights) == setting.get("n_layers", 3)


@over(SETTINGS)
def test_jacobian_against_finite_differences(setting):
    data = make(setting)
    jacobian = numerical_jacobian(data.mixing.forward, data.z)
    # a step across the kink of the leaky ReLU has no derivative to agree with
    agree = np.abs(data.mixing.jacobian(data.z) - jacobian).max(axis=(1, 2)) < 1e-7
    assert agree.mean() > (0.98 if setting.get("mixing") == "leaky_relu" else 0.9999)
    if data.mixing.observed_dim == data.mixing.latent_dim:
        expected = np.linalg.slogdet(jacobian[agree])[1]
        np.testing.assert_allclose(data.mixing.logabsdet(data.z[agree]), expected, atol=1e-6)
        if len(data.mixing.weights) > 1:
            assert expected.std() > 0.1  # not the constant case, which proves nothing


# ---------------------------------------------------------------- the observations


@pytest.mark.parametrize(
    ("name", "allowed"),
    {"Bernoulli": {0, 1}, "Poisson": set(range(60)), "categorical": {0, 1, 2, 3}}.items(),
)
def test_discrete_data_has_its_support_and_no_oracle(name, allowed):
    data = make(SETTINGS[name])
    values = set(np.unique(data.x))
    assert values <= allowed
    assert len(values) > 1
    assert data.oracle_log_prob is None


# ---------------------------------------------------------------- the oracle


@over(NOISE_FREE)
def test_oracle_is_the_change_of_variables_at_the_true_sources(setting):
    data = make(setting)
    family = SCIPY_FAMILIES[setting.get("source", "gaussian")]
    mean, std = data.segment_means[data.u], data.segment_stds[data.u]
    log_prior = (family.logpdf((data.z - mean) / std) - np.log(std)).sum(axis=1)
    jacobian = numerical_jacobian(data.mixing.forward, data.z)
    expected = log_prior - np.linalg.slogdet(jacobian)[1]
    close = np.abs(data.oracle_log_prob - expected) < 1e-6
    assert close.mean() > (0.98 if setting.get("mixing") == "leaky_relu" else 0.9999)


@pytest.mark.parametrize("mixing", ACTIVATIONS)
@pytest.mark.parametrize("source", SOURCE_FAMILIES)
@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("n", [1, 2])
def test_oracle_integrates_to_one_over_x(n, source, mixing, centered):
    rng = np.random.default_rng(n)
    prior = draw_segment_sources(source, 2, n, centered, rng)
    f = draw_mixing(n, n, n_layers=2, rng=rng, activation=mixing)
    corners = prior.means[1] + prior.stds[1] * np.array(
        list(itertools.product((-12.0, 0.0, 12.0), repeat=n))
    )
    low, high = f.forward(corners).min(axis=0), f.forward(corners).max(axis=0)
    points = {1: 20_001, 2: 500}[n]
    axes = [np.linspace(a, b, points) for a, b in zip(low, high, strict=True)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, n)
    log_prob = exact_log_prob(x, np.ones(len(x), dtype=int), prior, f, GaussianObservation(0.0))
    cell = np.prod((high - low) / (points - 1))
    assert np.exp(log_prob).sum() * cell == pytest.approx(1, abs=0.01)


def quadrature_log_prob(data, row, points=4001, width=8):
    """log p(x | u) of one row by the trapezoid rule over z, for one or two sources."""
    mean, std = data.segment_means[data.u[row]], data.segment_stds[data.u[row]]
    axes = [m + s * np.linspace(-width, width, points) for m, s in zip(mean, std, strict=True)]
    z = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    log_joint = data.observation.log_prob(data.x[row], data.mixing.forward(z))
    log_joint += data.prior.log_prob(z, np.full(len(z), data.u[row]))
    return logsumexp(log_joint) + np.log(std * 2 * width / (points - 1)).sum()


INTRACTABLE = {
    "Bernoulli": {"observation": "bernoulli", "observed_dim": 3},
    "Poisson": {"observation": "poisson", "source": "hyperbolic_secant"},
    "categorical": {"observation": "categorical", "centered": False, "observed_dim": 2},
    "noisy": {"noise_std": 0.2, "observed_dim": 2},
    "noisy, Laplace": {"noise_std": 0.1, "source": "laplace", "mixing": "leaky_relu"},
}
INTRACTABLE = {
    f"{name}, n={n}": {**setting, "latent_dim": n, "samples_per_segment": 2}
    for name, setting in INTRACTABLE.items()
    for n in (1, 2)
}


@over(INTRACTABLE)
def test_importance_estimate_against_quadrature(setting):
    data = make(setting)
    estimate = oracle_importance_log_prob(data, n_samples=4000)
    points = {1: 4001, 2: 401}[setting["latent_dim"]]
    expected = np.array([quadrature_log_prob(data, row, points) for row in range(len(data))])
    error = np.abs(estimate.log_prob - expected)
    assert np.all(error < 5 * estimate.standard_error + 1e-4)
    assert np.median(estimate.standard_error) < 0.05


def test_linear_gaussian_oracle_against_quadrature():
    data = make({"latent_dim": 1, "n_layers": 1, "noise_std": 0.5, "observed_dim": 3})
    expected = [quadrature_log_prob(data, row) for row in range(0, len(data), 20)]
    np.testing.assert_allclose(data.oracle_log_prob[::20], expected, atol=1e-8)


@pytest.mark.parametrize("noise_std", [0.01, 0.5])
def test_importance_estimate_and_its_standard_error_against_the_exact_value(noise_std):
    data = make({"n_layers": 1, "noise_std": noise_std, "latent_dim": 5, "observed_dim": 8})
    estimate = oracle_importance_log_prob(data, n_samples=500)
    unit = (estimate.log_prob - data.oracle_log_prob) / estimate.standard_error
    assert np.abs(unit).max() < 5
    assert abs(unit.mean()) < 4 / np.sqrt(len(unit))
    assert 0.85 < unit.std() < 1.15
    assert abs(np.mean(estimate.log_prob - data.oracle_log_prob)) < (
        4 * estimate.mean_standard_error
    )
    again = oracle_importance_log_prob(data, n_samples=500)
    np.testing.assert_array_equal(again.log_prob, estimate.log_prob)


def test_small_noise_tends_to_the_noise_free_density():
    noisy = make({"noise_std": 1e-4})
    density = exact_log_prob(noisy.x, noisy.u, noisy.prior, noisy.mixing, GaussianObservation(0.0))
    estimate = oracle_importance_log_prob(noisy, n_samples=200)
    assert np.median(np.abs(estimate.log_prob - density)) < 0.1


def test_where_there_is_no_density_there_is_no_oracle():
    assert make({"observed_dim": 6}).oracle_log_prob is None
    assert make({"noise_std": 0.1}).oracle_log_prob is None
