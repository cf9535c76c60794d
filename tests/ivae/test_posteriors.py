"""Laws of the Gaussian posteriors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    StudentT,
    kl_divergence,
)

from identiflow.ivae.posteriors import (
    DiagonalGaussian,
    FullGaussian,
    GaussianPosterior,
    closed_form_kl,
)

B = 6
DOUBLE = torch.float64


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def full(n: int) -> FullGaussian:
    scales = (0.7 * normal(B, n, seed=2)).exp()
    scale_tril = normal(B, n, n, seed=1).tril(-1) + torch.diag_embed(scales)
    return FullGaussian(normal(B, n), scale_tril)


def diagonal(n: int) -> DiagonalGaussian:
    return DiagonalGaussian(normal(B, n), (0.7 * normal(B, n, seed=2)).exp())


POSTERIORS: dict[str, Callable[[], GaussianPosterior]] = {
    "full, n = 4": lambda: full(4),
    "full, n = 1": lambda: full(1),
    "diagonal, n = 4": lambda: diagonal(4),
}


@pytest.fixture(params=POSTERIORS)
def posterior(request: pytest.FixtureRequest) -> GaussianPosterior:
    return POSTERIORS[request.param]()


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def as_torch(posterior: GaussianPosterior) -> MultivariateNormal:
    return MultivariateNormal(posterior.mean, posterior.covariance_matrix)


def test_density_is_that_of_a_multivariate_normal(posterior: GaussianPosterior) -> None:
    reference = as_torch(posterior)
    z = normal(3, 2, *posterior.mean.shape, seed=3)
    torch.testing.assert_close(posterior.log_prob(z), reference.log_prob(z))
    torch.testing.assert_close(posterior.entropy(), reference.entropy())
    torch.testing.assert_close(posterior.variance, reference.variance)
    each = Normal(posterior.mean, reference.variance.sqrt())
    torch.testing.assert_close(posterior.marginal_log_prob(z), each.log_prob(z))


def test_a_draw_knows_its_density(posterior: GaussianPosterior, generator: torch.Generator) -> None:
    z, log_q = posterior.rsample_with_log_prob(7, generator)
    assert z.shape == (7, *posterior.mean.shape)
    torch.testing.assert_close(log_q, posterior.log_prob(z))


def test_a_draw_knows_its_score(posterior: GaussianPosterior, generator: torch.Generator) -> None:
    z, log_q, score, scored = posterior.rsample_with_score(3, generator)
    here = z.detach().requires_grad_()
    (expected,) = torch.autograd.grad(posterior.log_prob(here).sum(), here)
    assert scored.all() and not score.requires_grad
    torch.testing.assert_close(score, expected)
    torch.testing.assert_close(log_q, posterior.log_prob(z))


def test_condition_is_skeels_in_any_units_of_z() -> None:
    scale_tril = np.array([[2.0, 0.0, 0.0], [-3.0, 0.5, 0.0], [1.0, 4.0, 0.1]])
    expected = (np.abs(np.linalg.inv(scale_tril)) @ np.abs(scale_tril)).sum(1).max()
    for units in ([1, 1, 1], [1e-4, 1e4, 1]):
        rescaled = torch.tensor(np.diag(units) @ scale_tril)[None]
        got = FullGaussian(torch.zeros(1, 3, dtype=rescaled.dtype), rescaled).condition
        np.testing.assert_allclose(got, [expected])


def test_rows_that_cannot_be_solved_have_no_score(generator: torch.Generator) -> None:
    near = torch.eye(6) * 1e-30 + 1e30 * torch.ones(6, 6).tril(-1)
    posterior = FullGaussian(torch.zeros(2, 6), torch.stack([torch.eye(6), near]))
    score, scored = posterior.rsample_with_score(4, generator)[2:]
    assert scored.tolist() == [True, False]
    assert (score[:, 0] != 0).all() and (score[:, 1] == 0).all()


def test_draws_have_the_mean_and_covariance(
    posterior: GaussianPosterior, generator: torch.Generator
) -> None:
    n = 40_000
    z = posterior.rsample((n,), generator) - posterior.mean
    variance = posterior.variance
    assert (z.mean(0).abs() < 5 * (variance / n).sqrt()).all()
    covariance = torch.einsum("sbi,sbj->bij", z, z) / n
    error = (variance.unsqueeze(-1) * variance.unsqueeze(-2) * 2 / n).sqrt()
    assert ((covariance - posterior.covariance_matrix).abs() < 5 * error).all()


def test_antithetic_draws_are_centred(
    posterior: GaussianPosterior, generator: torch.Generator
) -> None:
    z, log_q = posterior.rsample_with_log_prob(8, generator, antithetic=True)
    torch.testing.assert_close(z.mean(0), posterior.mean)
    torch.testing.assert_close(log_q, posterior.log_prob(z))
    assert len(z.unique(dim=0)) == 8
    with pytest.raises(ValueError, match="even n_samples .* got 7. Pass 8"):
        posterior.rsample_with_log_prob(7, generator, antithetic=True)


def test_draws_come_from_the_generator_alone(
    posterior: GaussianPosterior, assert_rng_untouched: Callable
) -> None:
    seeds = (7, 7, 8)
    with assert_rng_untouched():
        a, b, c = (posterior.rsample((2, 3), torch.Generator().manual_seed(s)) for s in seeds)
    assert a.shape == (2, 3, *posterior.mean.shape)
    assert torch.equal(a, b) and not torch.equal(a, c)


def gaussian_prior(n: int) -> Independent:
    return Independent(Normal(normal(B, n, seed=8), normal(B, n, seed=9).exp()), 1)


def laplace_prior(n: int) -> Independent:
    return Independent(Laplace(normal(B, n, seed=8), normal(B, n, seed=9).exp()), 1)


def test_kl_to_a_gaussian_is_torchs(posterior: GaussianPosterior) -> None:
    prior = gaussian_prior(posterior.mean.shape[-1])
    reference = MultivariateNormal(prior.mean, torch.diag_embed(prior.variance))
    expected = kl_divergence(as_torch(posterior), reference)
    torch.testing.assert_close(closed_form_kl(posterior, prior), expected)


def test_kl_of_a_prior_to_itself_is_zero() -> None:
    prior = gaussian_prior(3)
    loc, scale = prior.base_dist.loc, prior.base_dist.scale
    for same in (DiagonalGaussian(loc, scale), FullGaussian(loc, torch.diag_embed(scale))):
        kl = closed_form_kl(same, prior)
        torch.testing.assert_close(kl, torch.zeros_like(kl), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make_prior", [gaussian_prior, laplace_prior])
def test_kl_is_its_monte_carlo_estimate(
    posterior: GaussianPosterior,
    make_prior: Callable[[int], Independent],
    generator: torch.Generator,
) -> None:
    prior, n = make_prior(posterior.mean.shape[-1]), 40_000
    z, log_q = posterior.rsample_with_log_prob(n, generator)
    draws = log_q - prior.log_prob(z)
    error = draws.std(0) / n**0.5
    assert ((closed_form_kl(posterior, prior) - draws.mean(0)).abs() < 5 * error).all()


def test_without_a_formula_there_is_no_closed_form() -> None:
    loc = torch.zeros(B, 2, dtype=DOUBLE)
    components = Independent(Normal(loc.unsqueeze(-2).expand(B, 3, 2), 1.0), 1)
    for prior in (
        Independent(StudentT(3.0, loc, 1.0), 1),
        MixtureSameFamily(Categorical(torch.ones(B, 3)), components),
        MultivariateNormal(loc, torch.eye(2, dtype=DOUBLE)),
    ):
        assert closed_form_kl(full(2), prior) is None
