"""Fitted models in the hands of others: torch distributions, exported programs, xarray."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch

from identiflow.iflow import ARCHITECTURES, IFlow
from identiflow.ivae import IVAE
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.estimators.export import WAYS, export_program

Array = np.ndarray
DATA = nonstationary_sources(2, n_segments=10, samples_per_segment=30, seed=1)
X, U = DATA.x, DATA.u
TINY = {"hidden": (8,), "max_steps": 5}
PRIORS = ["mean_and_scale", "laplace", "exponential_family", "mixture"]


# A flow as a torch distribution ------------------------------------------------------------------


@pytest.fixture(scope="module", params=PRIORS)
def flow(request: pytest.FixtureRequest) -> IFlow:
    return IFlow(n_layers=2, prior=request.param, **TINY).fit(X, U)


def test_the_distribution_has_the_density_of_the_flow(flow: IFlow) -> None:
    family, x = flow(U), torch.from_numpy(X)
    assert (family.batch_shape, family.event_shape) == ((300,), (2,))
    np.testing.assert_allclose(family.log_prob(x), flow.log_prob(X, U), rtol=1e-12)
    both = family.log_prob(torch.stack([x, x.flip(0)]))
    np.testing.assert_allclose(both[1], flow.log_prob(X[::-1], U), rtol=1e-12)
    one_row = family.log_prob(x[:1])  # under every u
    np.testing.assert_allclose(one_row, flow.log_prob(np.repeat(X[:1], 300, 0), U), rtol=1e-12)


def test_the_density_can_be_differentiated(flow: IFlow) -> None:
    x = torch.from_numpy(X[:3]).requires_grad_()
    flow(U[:3]).log_prob(x).sum().backward()
    step = 1e-5 * np.eye(2)[0]
    up, down = (flow.log_prob(X[:3] + s, U[:3]) for s in (step, -step))
    np.testing.assert_allclose(x.grad[:, 0], (up - down) / 2e-5, rtol=1e-4, atol=1e-6)


def test_draws_have_the_moments_of_the_flows_own(flow: IFlow) -> None:
    family = flow([0, 3])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = family.sample((4000,))
    assert drawn.shape == (4000, 2, 2)
    for column, label in enumerate((0, 3)):
        own = flow.sample([label] * 4000, seed=1)
        error = own.std(0) / np.sqrt(4000)
        assert (np.abs(drawn[:, column].numpy().mean(0) - own.mean(0)) < 6 * error).all()
    with torch.random.fork_rng():
        if family.has_rsample:
            assert family.rsample((2,)).shape == (2, 2, 2)
        else:
            with pytest.raises(NotImplementedError):
                family.rsample()


def test_a_batch_is_as_large_as_its_u(flow: IFlow) -> None:
    with pytest.raises(NotImplementedError, match="as many rows of u"):
        flow([0]).expand((3,))


# Programs ----------------------------------------------------------------------------------------

EXPORTED: dict[str, Callable[[], Estimator]] = {
    **{
        name: lambda name=name: IFlow(architecture=name, n_layers=1 + (name == "affine"), **TINY)
        for name in ARCHITECTURES
    },
    "IVAE": lambda: IVAE(1, **TINY),
    "IVAE, diagonal": lambda: IVAE(1, covariance="diagonal", likelihood="poisson", **TINY),
}


@pytest.mark.parametrize("case", EXPORTED)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_programs_compute_what_the_estimator_does(case: str) -> None:
    x = np.abs(X).round() if "diagonal" in case else X
    estimator = EXPORTED[case]().fit(x, U)
    z = estimator.transform(x)
    for method, rows, expected in zip(
        WAYS, (x, z), (z, estimator.inverse_transform(z)), strict=True
    ):
        file = io.BytesIO()
        torch.export.save(export_program(estimator, method), file)
        file.seek(0)
        program = torch.export.load(file).module()
        np.testing.assert_allclose(program(torch.from_numpy(rows)), expected, rtol=1e-12)


def test_what_cannot_be_exported_is_said() -> None:
    vae = IVAE(1, encoder_sees_u=True, **TINY).fit(X, U)
    with pytest.raises(ValueError, match="function of x alone; got an encoder that sees u"):
        export_program(vae)
    assert export_program(vae, "inverse_transform") is not None
    with pytest.raises(ValueError, match="method to be one of .*; got 'sample'"):
        export_program(vae, "sample")
    with pytest.raises(ValueError, match="Call fit"):
        export_program(IFlow())


# Posterior samples -------------------------------------------------------------------------------


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_posterior_samples_are_around_the_mean(covariance: str) -> None:
    vae = IVAE(2, warm_steps=0, covariance=covariance, **TINY).fit(X, U)
    z = vae.sample_posterior(X, n_samples=2000, seed=1)
    assert z.shape == (2000, 300, 2)
    error = z.std(0) / np.sqrt(2000)
    assert (np.abs(z.mean(0) - vae.transform(X)) < 6 * error).all()
    np.testing.assert_array_equal(z[:3], vae.sample_posterior(X, n_samples=2000, seed=1)[:3])
    with pytest.raises(ValueError, match="n_samples to be an integer of at least 1; got 0"):
        vae.sample_posterior(X, n_samples=0)


def test_posterior_samples_go_to_xarray() -> None:
    pytest.importorskip("xarray", reason="xarray is an extra")
    vae = IVAE(2, warm_steps=0, **TINY).fit(X, U)
    data = vae.posterior_dataset(X[:7], n_samples=5, seed=1)
    assert dict(data.sizes) == {"chain": 1, "draw": 5, "row": 7, "latent": 2}
    np.testing.assert_array_equal(data["z"][0], vae.sample_posterior(X[:7], n_samples=5, seed=1))
    assert data["latent"].values.tolist() == ["z0", "z1"]
