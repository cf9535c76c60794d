"""Laws of generated series: they have the memory, the marginals and the density they claim."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from identiflow.shared.datasets import autocorrelated_sources

INNOVATIONS = {
    "gaussian": scipy.stats.norm(),
    "laplace": scipy.stats.laplace(scale=np.sqrt(0.5)),
    "hyperbolic_secant": scipy.stats.hypsecant(scale=2 / np.pi),
}


@pytest.mark.parametrize("innovation", INNOVATIONS)
def test_sources_have_the_memory_they_claim(innovation: str) -> None:
    data = autocorrelated_sources(3, 50_000, innovation=innovation, seed=1)
    np.testing.assert_allclose(data.z.std(0), 1, atol=0.03)
    lagged = [np.corrcoef(z[1:], z[:-1])[0, 1] for z in data.z.T]
    np.testing.assert_allclose(lagged, data.coefficients, atol=0.02)
    correlation = np.corrcoef(data.z.T)
    assert np.abs(correlation - np.eye(3)).max() < 0.05


@pytest.mark.parametrize("innovation", INNOVATIONS)
def test_the_log_density_is_that_of_a_row_given_the_row_before(innovation: str) -> None:
    data = autocorrelated_sources(2, 20, innovation=innovation, seed=2)
    rho = data.coefficients
    scale = np.sqrt(1 - rho**2)
    noise = (data.z[1:] - rho * data.z[:-1]) / scale
    density = (INNOVATIONS[innovation].logpdf(noise) - np.log(scale)).sum(1)
    jacobians = [np.linalg.slogdet(data.mixing.jacobian(z))[1] for z in data.z[1:]]
    np.testing.assert_allclose(data.oracle_log_prob[1:], density - jacobians)
    np.testing.assert_allclose(data.mixing.inverse(data.x), data.z, atol=1e-9)


def test_a_series_is_that_of_its_seed_and_its_parts_are_in_order() -> None:
    data, again = (autocorrelated_sources(2, 30, seed=3) for _ in range(2))
    np.testing.assert_array_equal(data.x, again.x)
    assert not np.allclose(data.x, autocorrelated_sources(2, 30, seed=4).x)
    late = data.take(np.arange(20, 30))
    np.testing.assert_array_equal(late.x, data.x[20:])
    np.testing.assert_array_equal(late.oracle_log_prob, data.oracle_log_prob[20:])
    assert data.u.tolist() == [0] * 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "Expected latent_dim to be an integer of at least 1; got 0"),
        ({"n_samples": 0}, "Expected n_samples to be an integer of at least 1; got 0"),
        ({"innovation": "cauchy"}, "Expected innovation to be one of .*; got 'cauchy'"),
        ({"seed": -1}, "Expected seed to be an integer of at least 0; got -1"),
        ({"n_layers": 0}, "Expected n_layers to be an integer of at least 1; got 0"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        autocorrelated_sources(**options)
