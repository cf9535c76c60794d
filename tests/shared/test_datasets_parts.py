"""Laws of what generated data is made of: source families, activations, matrices, observations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from scipy.special import logsumexp

from identiflow.shared.datasets.mixing import ACTIVATIONS, draw_mixing
from identiflow.shared.datasets.observations import (
    POISSON_GAIN,
    BernoulliObservation,
    PoissonObservation,
    draw_categorical,
)
from identiflow.shared.datasets.sources import SOURCE_FAMILIES

SCIPY_FAMILIES = {
    "gaussian": scipy.stats.norm(),
    "laplace": scipy.stats.laplace(scale=np.sqrt(0.5)),
    "hyperbolic_secant": scipy.stats.hypsecant(scale=2 / np.pi),
}


def numerical_jacobian(f, z, step=1e-5):
    columns = [(f(z + step * e) - f(z - step * e)) / (2 * step) for e in np.eye(z.shape[1])]
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("name", SOURCE_FAMILIES)
def test_families_have_the_densities_of_scipy_and_unit_variance(name):
    family, reference = SOURCE_FAMILIES[name], SCIPY_FAMILIES[name]
    s = np.linspace(-30, 30, 601)
    np.testing.assert_allclose(family.log_density(s), reference.logpdf(s), rtol=1e-10)
    assert reference.var() == pytest.approx(1)
    inside = s[np.abs(s) > 1e-3]
    slope = numerical_jacobian(family.log_density, inside[:, None])[:, 0, 0]
    np.testing.assert_allclose(family.score(inside), slope, atol=1e-6)
    draws = family.sample(np.random.default_rng(0), (10_000,))
    assert scipy.stats.kstest(draws, reference.cdf).pvalue > 0.01


@pytest.mark.parametrize("slope", [1e-3, 0.1, 2.0])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_inverts_exactly(name, slope):
    act = ACTIVATIONS[name]
    x = np.concatenate([np.linspace(-50, 50, 20_001), [0.0, 1e-300, -1e-12, 1e6, -1e6]])
    y = act.forward(x, slope)
    # where the derivative is small, rounding of y alone moves x by this much
    tolerance = 8 * np.finfo(float).eps * (np.abs(y) / act.derivative(x, slope) + np.abs(x))
    assert np.all(np.abs(act.inverse(y, slope) - x) <= tolerance)


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (1, 1), (1, 4), (50, 50)])
def test_mixing_matrices_have_unit_columns_and_a_low_condition_number(shape):
    f = draw_mixing(*shape, n_layers=3, rng=np.random.default_rng(0))
    assert [weight.shape for weight in f.weights] == [shape, (shape[1],) * 2, (shape[1],) * 2]
    rng = np.random.default_rng(1)
    for weight in f.weights:
        np.testing.assert_allclose(np.linalg.norm(weight, axis=0), 1)
        peers = rng.uniform(-1, 1, (300, *weight.shape))
        peers /= np.linalg.norm(peers, axis=1, keepdims=True)
        assert np.mean(np.linalg.cond(peers) < np.linalg.cond(weight) * (1 - 1e-9)) < 0.35


OBSERVATIONS = {
    "bernoulli": (BernoulliObservation(), 2),
    "poisson": (PoissonObservation(), 80),
    "categorical": (draw_categorical(2, 3, np.random.default_rng(0)), 3),
}


@pytest.mark.parametrize(("observation", "size"), OBSERVATIONS.values(), ids=OBSERVATIONS.keys())
def test_discrete_observations_are_distributions(observation, size):
    signal = np.array([0.7, -1.3])
    support = np.array(list(itertools.product(range(size), repeat=2)), dtype=float)
    p = np.exp(observation.log_prob(support, np.broadcast_to(signal, support.shape)))
    assert p.sum() == pytest.approx(1, abs=1e-10)
    draws = observation.sample(np.tile(signal, (40_000, 1)), np.random.default_rng(0))
    counts = np.array([np.mean(np.all(draws == x, axis=1)) for x in support[p > 1e-3]])
    np.testing.assert_allclose(counts, p[p > 1e-3], atol=5 * 0.5 / np.sqrt(40_000))
    # the score is the gradient, and the information its covariance
    score = observation.score(support, np.broadcast_to(signal, support.shape))
    gradient = numerical_jacobian(
        lambda s: observation.log_prob(support, np.broadcast_to(s, support.shape)), signal[None]
    )
    np.testing.assert_allclose(score, gradient, atol=1e-7)
    expected = np.einsum("k,ki,kj->ij", p, score, score)
    np.testing.assert_allclose(observation.information(signal), expected, atol=1e-8)


def test_links_are_the_documented_ones():
    s = np.array([[-2.0, 0.5]])
    p = np.exp(BernoulliObservation().log_prob(np.array([[1.0, 0.0]]), s))
    assert p == pytest.approx(1 / (1 + np.exp(2)) / (1 + np.exp(0.5)))
    rate = POISSON_GAIN * np.log1p(np.exp(s))
    reference = scipy.stats.poisson(rate).logpmf([[3, 1]]).sum()
    assert PoissonObservation().log_prob(np.array([[3.0, 1.0]]), s) == pytest.approx(reference)
    categorical = draw_categorical(2, 3, np.random.default_rng(1))
    logits = np.einsum("i,ijc->jc", s[0], categorical.weights)
    reference = sum(logits[j, c] - logsumexp(logits[j]) for j, c in enumerate([2, 0]))
    assert categorical.log_prob(np.array([[2.0, 0.0]]), s) == pytest.approx(reference)
