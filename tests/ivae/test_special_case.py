"""The flow as the noise-free limit of an iVAE: from_flow(flow, σ).elbo → flow.log_prob as σ²."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal
from torch.func import jacrev, vmap

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE, from_flow
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.datasets.generated import SourceData
from identiflow.shared.training import fit_ensemble

SIGMAS = np.logspace(-1, -3, 7)
ROWS = slice(None, None, 10)
# Small steps, because the asymptotic rate begins where σ is small against the bends of g.
SMOOTH: dict[str, Any] = {"n_layers": 4, "hidden": (32,), "max_steps": 300, "learning_rate": 5e-3}

TRAINED: dict[str, tuple[int, str]] = {
    "2-D, splines": (2, "spline"),
    "3-D, splines": (3, "spline"),
    "2-D, affine": (2, "affine"),
}


def draw(d: int) -> SourceData:
    # σ = 0.1 should still be small against the curvature of f, hence a mild mixing.
    return nonstationary_sources(d, 10, 200, n_layers=2, slope=0.5, seed=1)


@pytest.fixture(scope="module")
def trained() -> Callable[[str], tuple[IFlow, SourceData]]:
    """Flows after a few hundred steps, each trained once."""
    fitted: dict[str, tuple[IFlow, SourceData]] = {}

    def get(name: str) -> tuple[IFlow, SourceData]:
        if name not in fitted:
            d, architecture = TRAINED[name]
            data = draw(d)
            flow = IFlow(architecture=architecture, **SMOOTH)
            fitted[name] = flow.fit(data.x, data.u), data
        return fitted[name]

    return get


@pytest.fixture(scope="module")
def flow(trained: Callable) -> IFlow:
    return trained("2-D, splines")[0]


@pytest.fixture(scope="module")
def data(trained: Callable) -> SourceData:
    return trained("2-D, splines")[1]


def slope(gaps: np.ndarray) -> float:
    return float(np.polyfit(np.log(SIGMAS), np.log(gaps), deg=1)[0])


@pytest.mark.parametrize("name", TRAINED)
def test_elbo_tends_to_the_flows_log_prob_as_sigma_squared(name: str, trained: Callable) -> None:
    flow, data = trained(name)
    x, u = data.x[ROWS], data.u[ROWS]
    exact = flow.log_prob(x, u)
    gaps = np.array([from_flow(flow, s).elbo(x, u, n_samples=32) - exact for s in SIGMAS])
    assert gaps.dtype == np.float64
    assert slope(np.abs(gaps).mean(axis=1)) == pytest.approx(2, abs=0.1)
    assert slope(np.abs(gaps.mean(axis=1))) == pytest.approx(2, abs=0.1)
    assert np.abs(gaps[-1]).max() < 1e-3


@pytest.mark.parametrize("name", TRAINED)
def test_posterior_is_gaussian_with_the_autodiff_jacobian_as_sigma_vanishes(
    name: str, trained: Callable
) -> None:
    flow, data = trained(name)
    rows = torch.from_numpy((data.x[:20] - flow.x_mean_) / flow.x_scale_)
    sigma = 1e-6
    posterior = from_flow(flow, sigma).model_.posterior(rows)
    g = flow.model_.bijection
    jacobian = vmap(jacrev(lambda row: g(row[None])[0][0]))(rows)
    expected = MultivariateNormal(g(rows)[0], sigma**2 * jacobian @ jacobian.mT)
    torch.testing.assert_close(posterior.mean, expected.mean)
    z, log_q = posterior.rsample_with_log_prob(5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_q, expected.log_prob(z), rtol=0, atol=1e-3)
    torch.testing.assert_close(posterior.log_prob(z), log_q, rtol=0, atol=1e-6)


def test_draws_and_densities_of_a_wide_posterior_agree(flow: IFlow, data: SourceData) -> None:
    """E_q[p(z) / q(z)] = 1 for any density p: here the posterior of a nearby x."""
    rows = torch.from_numpy((data.x[:10] - flow.x_mean_) / flow.x_scale_)
    model = from_flow(flow, 0.3).model_
    posterior, other = model.posterior(rows), model.posterior(rows + 0.1)
    z, log_q = posterior.rsample_with_log_prob(20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(posterior.log_prob(z), log_q)
    ratio = (other.log_prob(z) - log_q).exp().mean(0)
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=0.03)


def test_bounds_stay_below_the_evidence(flow: IFlow, data: SourceData) -> None:
    """log p(x | u) of the noisy model, E[p_flow(x + σ ε | u)], by Gauss-Hermite quadrature."""
    x, u, sigma = data.x[:40], data.u[:40], 0.05
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    density = np.zeros(len(x))
    for i, j in np.ndindex(24, 24):
        moved = x + sigma * nodes[[i, j]] * flow.x_scale_
        density += weights[i] * weights[j] / (2 * np.pi) * np.exp(flow.log_prob(moved, u))
    evidence = np.log(density)
    near = from_flow(flow, sigma)
    elbo = near.elbo(x, u, n_samples=512)
    tight = near.log_prob(x, u, n_samples=512)
    assert (elbo <= evidence + 0.01).all()
    np.testing.assert_allclose(tight, evidence, atol=0.05)
    assert np.abs(tight - evidence).mean() < np.abs(elbo - evidence).mean()


def test_its_parts_are_the_flows(flow: IFlow, data: SourceData) -> None:
    near = from_flow(flow, 0.1)
    assert isinstance(near, IVAE) and near.prior_ is flow.prior_
    z = flow.transform(data.x)
    np.testing.assert_array_equal(near.transform(data.x), z)
    np.testing.assert_array_equal(near.inverse_transform(z), flow.inverse_transform(z))
    report, of_flow = near.check_identifiability(data.u), flow.check_identifiability(data.u)
    assert report.rank == of_flow.rank and report.collapsed == ()


def test_it_says_its_noise_and_that_it_was_not_trained(flow: IFlow, data: SourceData) -> None:
    near, far = (from_flow(flow, sigma) for sigma in (0.05, 3.0))
    assert (near.noise_std, far.noise_std) == (0.05, 3.0)
    assert np.isnan([near.held_out_nats_, far.held_out_loss_]).all()
    assert near.score(data.x, data.u) > far.score(data.x, data.u) + 0.5


def test_samples_are_the_flows_with_noise(flow: IFlow, data: SourceData) -> None:
    x, z = from_flow(flow, 0.05).sample(data.u, return_latents=True, seed=3)
    noise = (x - flow.inverse_transform(z)) / flow.x_scale_
    np.testing.assert_allclose(noise.std(axis=0), 0.05, rtol=0.1)
    np.testing.assert_array_less(np.abs(noise.mean(axis=0)), 0.005)


def test_the_flow_stays_as_it_was(flow: IFlow, data: SourceData) -> None:
    before = flow.log_prob(data.x, data.u)
    from_flow(flow, 0.3).elbo(data.x[:10], data.u[:10])
    np.testing.assert_array_equal(flow.log_prob(data.x, data.u), before)
    assert not any(parameter.requires_grad for parameter in flow.model_.parameters())


@pytest.mark.parametrize("sigma", [1e-5, 1e-8, 1e-11, 1e-12, 1e-14, 1e-16, 5e-324])
def test_a_sigma_that_is_lost_in_rounding_is_refused(flow: IFlow, data: SourceData, sigma) -> None:
    """Its gap would grow again."""
    if sigma < 100 * max(flow.round_trip_error_, 1e-14):
        with pytest.raises(ValueError, match="Expected noise_std of at least .* as good as none"):
            from_flow(flow, sigma)
    else:
        near = from_flow(flow, sigma).elbo(data.x[ROWS], data.u[ROWS])
        assert np.abs(near - flow.log_prob(data.x[ROWS], data.u[ROWS])).max() < 0.02


@pytest.mark.parametrize("sigma", [0.0, -0.1, float("nan"), float("inf")])
def test_a_sigma_that_is_none_is_refused(sigma: float, flow: IFlow) -> None:
    with pytest.raises(ValueError, match=f"positive noise_std.*got {sigma}"):
        from_flow(flow, sigma)


REFUSED: dict[str, tuple[Callable[[IFlow], object], str]] = {
    "a flow before fit": (lambda _: from_flow(IFlow(), 0.1), "fitted IFlow; got one before fit"),
    "fitting it": (lambda flow: from_flow(flow, 0.1).fit(None), "IVAE of your own to fit"),
    "an ensemble of it": (
        lambda flow: fit_ensemble(from_flow(flow, 0.1), [[0.0]], [0], seeds=[0, 1]),
        "IVAE of your own to fit",
    ),
    "saving it": (lambda flow: from_flow(flow, 0.1).save("x"), "IVAE of your own to save"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(case: str, flow: IFlow) -> None:
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call(flow)
