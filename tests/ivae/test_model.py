"""Laws of IdentifiableVAE for every likelihood, prior and objective, at random weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from identiflow.ivae.decoders import MLPDecoder
from identiflow.ivae.encoders import MLPEncoder
from identiflow.ivae.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    Likelihood,
    PoissonLikelihood,
)
from identiflow.ivae.model import IdentifiableVAE
from identiflow.ivae.objectives import elbo, iw_bound, weighted_elbo
from identiflow.shared.priors import (
    ExponentialFamilyPrior,
    GaussianPrior,
    LaplacePrior,
    MixturePrior,
)

D, N, N_LABELS, ROWS = 5, 3, 4, 9
DOUBLE = torch.float64
U = torch.arange(ROWS) % N_LABELS


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(module: nn.Module) -> nn.Module:
    """In double precision, with parameters away from their initial values."""
    generator = rng(3)
    for parameter in module.double().parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
        parameter.data.add_(0.2 * noise)
    return module


LIKELIHOODS: dict[str, Callable[[], Likelihood]] = {
    "gaussian": lambda: GaussianLikelihood(D, 0.5),
    "one sigma": lambda: GaussianLikelihood(D, 0.5, learn="scalar"),
    "bernoulli": lambda: BernoulliLikelihood(D),
    "poisson": lambda: PoissonLikelihood(D),
    "categorical": lambda: CategoricalLikelihood(D, 3),
}
OBJECTIVES = {
    "iw": "iw",
    "elbo": "elbo",
    "dreg": partial(iw_bound, gradient="dreg"),
    "weighted": partial(weighted_elbo, weights=(2.0, 1.0, 3.0, 0.5)),
}
PRIORS = {
    "gaussian": GaussianPrior,
    "laplace": LaplacePrior,
    "exponential family": ExponentialFamilyPrior,
    "mixture": MixturePrior,
}


def network_model(
    likelihood: str = "gaussian",
    objective: str = "iw",
    prior: str = "gaussian",
    covariance: str = "full",
) -> IdentifiableVAE:
    p_x = LIKELIHOODS[likelihood]()
    encoder = MLPEncoder(p_x.feature_dim, N, hidden=(16,), n_labels=N_LABELS, covariance=covariance)
    decoder = MLPDecoder(N, p_x.parameter_dim, hidden=(16,))
    model = IdentifiableVAE(
        encoder,
        decoder,
        p_x,
        PRIORS[prior](N, n_labels=N_LABELS),
        objective=OBJECTIVES[objective],
        n_samples=4,
    )
    return moved(model)


MODELS = {
    **{name: {"likelihood": name} for name in LIKELIHOODS},
    **{f"objective {name}": {"objective": name} for name in OBJECTIVES},
    "laplace prior": {"prior": "laplace", "objective": "elbo"},
    "exponential family": {"prior": "exponential family", "objective": "elbo"},
    "diagonal": {"covariance": "diagonal"},
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> IdentifiableVAE:
    return network_model(**MODELS[request.param])


def test_every_parameter_gets_a_finite_gradient(model: IdentifiableVAE) -> None:
    x, _ = model.sample(U, rng())
    loss = model.loss(x, U, rng())
    assert loss.shape == (ROWS,) and loss.dtype == DOUBLE
    loss.mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert (parameter.grad != 0).any(-1).all(), name


def test_randomness_comes_from_the_generator_alone(
    model: IdentifiableVAE, assert_rng_untouched: Callable
) -> None:
    with assert_rng_untouched():
        x, z = model.sample(U, rng(1))
        for call in (
            lambda g: model.loss(x, U, g),
            lambda g: model.elbo(x, U, 2, g),
            lambda g: model.log_prob(x, U, 5, g),
            lambda g: model.sample(U, g)[1],
        ):
            a, b, c = (call(rng(seed)) for seed in (1, 1, 2))
            assert torch.equal(a, b) and not torch.equal(a, c)
    assert x.shape == (ROWS, D) and z.shape == (ROWS, N)
    model.likelihood.check(x)


def test_without_a_generator_torchs_own_is_used(model: IdentifiableVAE) -> None:
    x, _ = model.sample(U)
    assert not torch.equal(model.sample(U)[1], model.sample(U)[1])
    assert not torch.equal(model.loss(x, U), model.loss(x, U))


def test_loss_is_the_negative_objective() -> None:
    for name, function in (("iw", iw_bound), ("elbo", elbo), ("weighted", OBJECTIVES["weighted"])):
        model = network_model(objective=name)
        x, _ = model.sample(U, rng())
        expected = -function(model, x, U, n_samples=4, generator=rng(1))
        torch.testing.assert_close(model.loss(x, U, rng(1)), expected, rtol=0, atol=0)


def test_encode_and_decode_a_batch_are_the_loop_over_its_rows(model: IdentifiableVAE) -> None:
    x, _ = model.sample(U, rng())
    z, mean = model.encode(x, U), model.decode(model.encode(x, U))
    assert z.shape == (ROWS, N) and mean.shape == (ROWS, D)
    for b in range(ROWS):
        row = slice(b, b + 1)
        torch.testing.assert_close(model.encode(x[row], U[row])[0], z[b])
        torch.testing.assert_close(model.decode(z[row])[0], mean[b])


def test_samples_follow_prior_and_decoder() -> None:
    """x − f(z) is the noise, and z given u has the prior's moments."""
    model, u = network_model(), torch.ones(30_000, dtype=torch.long)
    x, z = model.sample(u, rng())
    prior = model.prior(u[:1]).base_dist
    assert ((z.mean(0) - prior.loc[0]).abs() < 5 * prior.scale[0] / len(u) ** 0.5).all()
    torch.testing.assert_close(z.std(0), prior.scale[0].detach(), rtol=0.03, atol=0)
    noise = x - model.decode(z)
    noise_std = model.likelihood.noise_std.detach()
    torch.testing.assert_close(noise.std(0).detach(), noise_std, rtol=0.03, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("size", [1e2, 1e4])
def test_extreme_x_gives_finite_losses_and_gradients(
    objective: str, size: float, dtype: torch.dtype
) -> None:
    model = network_model(objective=objective).to(dtype)
    x = (size * torch.randn(ROWS, D, generator=rng(), dtype=DOUBLE)).to(dtype)
    loss = model.loss(x, U, rng())
    assert loss.isfinite().all()
    loss.mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_all_weights_one_is_the_elbo_draw_for_draw(model: IdentifiableVAE) -> None:
    x, _ = model.sample(U, rng())
    expected = elbo(model, x, U, 3, rng(2), kl="sampled")
    got = weighted_elbo(model, x, U, (1, 1, 1, 1), 3, rng(2))
    torch.testing.assert_close(got, expected)


class DecoderOfU(nn.Module):
    def forward(self, z: Tensor, u: Tensor | None = None) -> Tensor:
        return z


def build(**parts: object) -> IdentifiableVAE:
    model = network_model()
    names = ("encoder", "decoder", "likelihood", "prior")
    return IdentifiableVAE(**{**{name: getattr(model, name) for name in names}, **parts})


REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "a decoder of u": (
        lambda: build(decoder=DecoderOfU()),
        r"decoder that takes z alone; got DecoderOfU with the arguments \['z', 'u'\].*prior",
    ),
    "a bilinear decoder": (lambda: build(decoder=nn.Bilinear(N, 2, D)), "takes z alone"),
    "an encoder of another x": (
        lambda: build(encoder=MLPEncoder(D + 1, N)),
        "encoder.observed_dim = 5, which is likelihood.feature_dim; got 6",
    ),
    "an encoder of another z": (
        lambda: build(encoder=MLPEncoder(D, N + 1)),
        "encoder.latent_dim = 3, which is prior.latent_dim; got 4",
    ),
    "a decoder of another z": (
        lambda: build(decoder=MLPDecoder(N + 1, D)),
        "decoder.latent_dim = 3, which is prior.latent_dim; got 4",
    ),
    "a decoder of another x": (
        lambda: build(likelihood=CategoricalLikelihood(D, 2), encoder=MLPEncoder(2 * D, N)),
        "decoder.parameter_dim = 10, which is likelihood.parameter_dim; got 5",
    ),
    "an unknown objective": (
        lambda: build(objective="map"),
        r"objective to be one of \['elbo', 'iw'\] or a function; got 'map'",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_say_what_was_expected(case: str) -> None:
    call, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        call()
