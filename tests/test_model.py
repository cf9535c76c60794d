"""The one model p(x, z | u) and its two kinds: laws that hold for both."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from identiflow.iflow import IdentifiableFlow, spline_coupling_flow
from identiflow.ivae import (
    GaussianLikelihood,
    IdentifiableVAE,
    MLPDecoder,
    MLPEncoder,
    PoissonLikelihood,
    noise_free,
    noisy_model,
)
from identiflow.shared.model import IdentifiableModel
from identiflow.shared.priors import GaussianPrior

D, N_LABELS = 3, 4


def prior(n: int) -> GaussianPrior:
    made = GaussianPrior(n, n_labels=N_LABELS)
    return made.requires_grad_(False)


def flow() -> IdentifiableFlow:
    return IdentifiableFlow(spline_coupling_flow(D, n_layers=2, hidden=(8,)), prior(D))


def vae(likelihood: Callable[[int], GaussianLikelihood | PoissonLikelihood]) -> IdentifiableVAE:
    parts = MLPEncoder(D, 2, hidden=(8,)), MLPDecoder(2, D, hidden=(8,)), likelihood(D)
    return IdentifiableVAE(*parts, prior(2))


MODELS: dict[str, Callable[[], IdentifiableModel]] = {
    "a flow": flow,
    "a flow with noise": lambda: noisy_model(flow(), 0.3),
    "a VAE": lambda: vae(GaussianLikelihood),
    "a VAE of counts": lambda: vae(PoissonLikelihood),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> IdentifiableModel:
    return MODELS[request.param]().double()


@pytest.fixture
def u() -> Tensor:
    return torch.arange(6) % N_LABELS


def test_what_is_drawn_can_be_encoded_decoded_and_scored(
    model: IdentifiableModel, u: Tensor
) -> None:
    x, z = model.draw(u, seed=1)
    assert (x.shape, z.shape) == ((6, D), (6, model.latent_dim))
    assert model.encode(x).shape == z.shape and model.decode(z).shape == x.shape
    assert model.log_density(x, u).shape == model.loss(x, u).shape == (6,)
    assert model.log_density(x, u).isfinite().all()


def test_a_draw_is_that_of_its_seed(
    model: IdentifiableModel, u: Tensor, assert_rng_untouched: Callable
) -> None:
    with assert_rng_untouched():
        first, again, other = (model.draw(u, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_only_the_prior_sees_u(model: IdentifiableModel, u: Tensor) -> None:
    x, z = model.draw(u, seed=1)
    assert torch.equal(model.encode(x, u), model.encode(x, (u + 1) % N_LABELS))
    by_prior = model.prior.log_prob(z, u) - model.prior.log_prob(z, (u + 1) % N_LABELS)
    assert by_prior.abs().min() > 0


def test_exact_is_said_of_those_whose_loss_is_the_density(
    model: IdentifiableModel, u: Tensor
) -> None:
    x, z = model.draw(u, seed=1)
    density = model.log_density(x, u)
    assert model.exact == isinstance(model, IdentifiableFlow)
    if model.exact:
        torch.testing.assert_close(density, -model.loss(x, u))
        torch.testing.assert_close(model.decode(model.encode(x)), x)
        torch.testing.assert_close(model.encode(x), z)
    else:
        noise = torch.Generator().manual_seed(0)
        many = torch.stack([model.loss(x, u, noise) for _ in range(200)]).mean()
        assert density.mean() > -many


def test_the_noise_free_model_of_a_flow_with_noise_is_the_flow(u: Tensor) -> None:
    around = flow().double()
    again = noise_free(noisy_model(around, 0.3))
    x, _ = around.draw(u)
    assert torch.equal(again.log_density(x, u), around.log_density(x, u))
    with pytest.raises(ValueError, match="decoder is the inverse of a flow; got .* MLPDecoder"):
        noise_free(vae(GaussianLikelihood))


def test_a_kind_of_it_has_to_say_all_that_is_asked() -> None:
    with pytest.raises(TypeError, match="abstract"):
        IdentifiableModel()  # type: ignore[abstract]
