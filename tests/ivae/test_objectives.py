"""Laws of the bounds, held against a linear-Gaussian model whose evidence is known exactly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

from identiflow.ivae.likelihoods import GaussianLikelihood
from identiflow.ivae.model import IdentifiableVAE
from identiflow.ivae.objectives import (
    ElboTerms,
    elbo,
    elbo_terms,
    estimate_log_prob,
    iw_bound,
    weighted_elbo,
)
from identiflow.ivae.posteriors import DiagonalGaussian, FullGaussian
from identiflow.shared.priors import GaussianPrior

D, N, N_LABELS, ROWS = 5, 3, 4, 9
DOUBLE = torch.float64
U = torch.arange(ROWS) % N_LABELS


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(module: nn.Module, seed: int = 3, size: float = 0.2) -> nn.Module:
    """In double precision, with parameters away from their initial values."""
    generator = rng(seed)
    for parameter in module.double().parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
        parameter.data.add_(size * noise)
    return module


def evidence(model: IdentifiableVAE, x: Tensor) -> Tensor:
    """log p(x | u) = log N(x; A m + b, A S Aᵀ + R), row by row with scipy."""
    A, b = (p.detach().numpy() for p in (model.decoder.weight, model.decoder.bias))
    prior, R = model.prior(U).base_dist, np.diag(model.likelihood.noise_std.numpy() ** 2)
    rows = zip(x.numpy(), prior.loc.detach().numpy(), prior.scale.detach().numpy(), strict=True)
    values = [
        stats.multivariate_normal.logpdf(row, A @ m + b, A @ np.diag(s**2) @ A.T + R)
        for row, m, s in rows
    ]
    return torch.tensor(np.array(values))


def gap(model: IdentifiableVAE, exact: IdentifiableVAE, x: Tensor) -> Tensor:
    """KL(q(z | x, u) ‖ p(z | x, u)), by torch, (B,)."""
    q, p = (
        MultivariateNormal(m.posterior(x, U).mean, m.posterior(x, U).covariance_matrix)
        for m in (model, exact)
    )
    return kl_divergence(q, p).detach()


def repeated(
    estimator: Callable[..., Tensor], model: IdentifiableVAE, x: Tensor, times: int
) -> tuple[Tensor, Tensor]:
    """Mean over independent repetitions and its standard error, (B,) each, in one large batch."""
    many = x.repeat(times, 1), U.repeat(times)
    values = estimator(model, *many, generator=rng(6)).detach().reshape(times, ROWS)
    return values.mean(0), values.std(0) / times**0.5


AT_THE_POSTERIOR: dict[str, Callable[..., Tensor]] = {
    "ELBO, sampled KL": partial(elbo, n_samples=1, kl="sampled"),
    "ELBO, antithetic": partial(elbo, n_samples=4, kl="sampled", antithetic=True),
    "bound, K = 1": partial(iw_bound, n_samples=1),
    "bound, K = 7": partial(iw_bound, n_samples=7),
    "bound, doubly reparameterised": partial(iw_bound, n_samples=7, gradient="dreg"),
    "estimate": partial(estimate_log_prob, n_samples=5),
    "estimate, few rows at a time": partial(estimate_log_prob, n_samples=5, max_decoded=12),
    "estimate, few draws at a time": partial(estimate_log_prob, n_samples=5, max_decoded=2),
    "weighted, all weights 1": partial(weighted_elbo, n_samples=3),
}


@pytest.mark.parametrize("name", AT_THE_POSTERIOR)
def test_every_draw_is_the_evidence_at_the_exact_posterior(
    name: str, exact: IdentifiableVAE, x: Tensor
) -> None:
    value = AT_THE_POSTERIOR[name](exact, x, U, generator=rng())
    torch.testing.assert_close(value.detach(), evidence(exact, x), rtol=0, atol=1e-9)


ELBOS: dict[str, Callable[..., Tensor]] = {
    "analytic KL": elbo,
    "analytic KL, antithetic": partial(elbo, n_samples=2, antithetic=True),
    "sampled KL": partial(elbo, kl="sampled"),
    "sampled KL, antithetic": partial(elbo, n_samples=2, kl="sampled", antithetic=True),
    "bound, K = 1": partial(iw_bound, n_samples=1),
}


@pytest.mark.parametrize("name", ELBOS)
def test_elbo_is_the_evidence_minus_the_divergence_to_the_posterior(
    name: str, exact: IdentifiableVAE, loose: IdentifiableVAE, x: Tensor
) -> None:
    mean, error = repeated(ELBOS[name], loose, x, 4000)
    divergence = gap(loose, exact, x)
    assert (divergence > 20 * error).all()
    assert ((mean - (evidence(exact, x) - divergence)).abs() < 5 * error).all()


def test_bounds_are_ordered(exact: IdentifiableVAE, loose: IdentifiableVAE, x: Tensor) -> None:
    """ELBO ≤ bound(2) ≤ bound(16) ≤ evidence in every row, by more than the sampling error."""
    bounds = [partial(iw_bound, n_samples=k) for k in (1, 2, 16)]
    values = [repeated(bound, loose, x, 3000) for bound in bounds]
    values.append((evidence(exact, x), torch.zeros(ROWS, dtype=DOUBLE)))
    for (lower, lower_error), (upper, upper_error) in zip(values, values[1:], strict=False):
        assert (upper - lower > 3 * (lower_error + upper_error)).all()


def test_estimate_approaches_the_evidence(
    exact: IdentifiableVAE, loose: IdentifiableVAE, x: Tensor
) -> None:
    estimate = loose.log_prob(x, U, n_samples=20_000, generator=rng())
    torch.testing.assert_close(estimate, evidence(exact, x), rtol=0, atol=0.05)
    assert not estimate.requires_grad


# A nonlinear model without a noise floor ----------------------------------------------------------


class SinhMixing(nn.Module):
    """f(z) = sinh(z A), whose inverse and Jacobian are known."""

    def __init__(self) -> None:
        super().__init__()
        noise = torch.randn(N, N, generator=rng(5), dtype=DOUBLE)
        self.A = torch.eye(N, dtype=DOUBLE) + 0.5 * noise

    def forward(self, z: Tensor) -> Tensor:
        return torch.sinh(z @ self.A)


class InverseWithNoise(nn.Module):
    """q(z | x) = N(g(x), σ² J_g J_gᵀ), the posterior of f(z) + ε in the limit of small noise."""

    def __init__(self, f: SinhMixing, noise_std: float) -> None:
        super().__init__()
        self.inverse, self.noise_std = f.A.inverse(), noise_std

    def forward(self, x: Tensor, u: Tensor) -> FullGaussian:
        jacobian = self.noise_std * self.inverse.T / (1 + x**2).sqrt().unsqueeze(1)
        root = torch.linalg.cholesky(jacobian @ jacobian.mT)
        return FullGaussian(torch.asinh(x) @ self.inverse, root)


def test_antithetic_elbo_reaches_the_noise_free_likelihood_with_slope_two() -> None:
    f, prior = SinhMixing(), moved(GaussianPrior(N, n_labels=N_LABELS), seed=2, size=0.5)
    u = U.repeat(20)
    z = prior(u).mean.detach() + torch.randn(len(u), N, generator=rng(1), dtype=DOUBLE)
    x = f(z)
    log_det = torch.linalg.slogdet(f.A).logabsdet + 0.5 * torch.log1p(x**2).sum(-1)
    exact = prior(u).log_prob(z) - log_det
    gaps = []
    for noise_std in (1e-1, 1e-2, 1e-3):
        likelihood = GaussianLikelihood(N, noise_std, learn="fixed").double()
        model = IdentifiableVAE(InverseWithNoise(f, noise_std), f, likelihood, prior)
        bound = model.elbo(x, u, 32, rng(), kl="sampled", antithetic=True)
        gaps.append((bound - exact).abs().mean().log10().item())
    assert gaps[-1] < -4
    np.testing.assert_allclose(np.diff(gaps), -2, atol=0.05)


# The weighted objective -------------------------------------------------------------------------


class MeanField(nn.Module):
    """Another encoder's posterior without its correlations."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, u: Tensor) -> DiagonalGaussian:
        posterior = self.encoder(x, u)
        return DiagonalGaussian(posterior.mean, posterior.stddev)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_terms_are_those_of_a_slow_loop(covariance: str, loose: IdentifiableVAE, x: Tensor) -> None:
    model = loose
    if covariance == "diagonal":
        model.encoder = MeanField(model.encoder)
    terms = elbo_terms(model, x, U, 1, rng(3))
    q = model.posterior(x, U)
    z, _ = q.rsample_with_log_prob(1, rng(3))
    z, m, C = (t.detach().numpy() for t in (z[0], q.mean, q.covariance_matrix))
    for b in range(ROWS):
        under = [stats.multivariate_normal.logpdf(z[b], m[c], C[c]) for c in range(ROWS)]
        joint = logsumexp(under) - np.log(ROWS)
        product = sum(
            logsumexp([stats.norm.logpdf(z[b, i], m[c, i], C[c, i, i] ** 0.5) for c in range(ROWS)])
            - np.log(ROWS)
            for i in range(N)
        )
        prior = model.prior(U[b : b + 1]).log_prob(torch.tensor(z[b])).item()
        expected = (under[b] - joint, joint - product, product - prior)
        np.testing.assert_allclose([t[b].item() for t in terms[1:]], expected, rtol=1e-8)


def test_weights_weigh_the_terms(loose: IdentifiableVAE, x: Tensor) -> None:
    terms = elbo_terms(loose, x, U, 2, rng(3))
    for i, name in enumerate(ElboTerms._fields):
        weights = [float(i == j) for j in range(4)]
        sign = 1 if name == "reconstruction" else -1
        got = weighted_elbo(loose, x, U, weights, 2, rng(3))
        torch.testing.assert_close(got, sign * terms[i])


# Refusals ---------------------------------------------------------------------------------------

REFUSALS: dict[str, tuple[Callable[..., object], str]] = {
    "an unknown kl": (partial(elbo, kl="exact"), "kl to be 'auto' or 'sampled'; got 'exact'"),
    "an odd number of antithetic draws": (
        partial(elbo, n_samples=3, antithetic=True),
        "even n_samples .* got 3. Pass 4",
    ),
    "an unknown gradient": (
        partial(iw_bound, n_samples=2, gradient="none"),
        "gradient to be 'standard' or 'dreg'; got 'none'",
    ),
    "three weights": (
        partial(weighted_elbo, weights=(1.0, 1.0, 1.0)),
        "one number for each of reconstruction, mutual_information.* got 3",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_say_what_was_expected(case: str, exact: IdentifiableVAE, x: Tensor) -> None:
    call, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        call(exact, x, U)
