"""A linear-Gaussian model, whose posterior and evidence are known exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from identiflow.ivae.likelihoods import GaussianLikelihood
from identiflow.ivae.model import IdentifiableVAE
from identiflow.ivae.posteriors import FullGaussian
from identiflow.shared.compute.random import seeded
from identiflow.shared.priors import GaussianPrior

D, N, N_LABELS, ROWS = 5, 3, 4, 9
DOUBLE = torch.float64


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(module: nn.Module, seed: int, size: float) -> nn.Module:
    """In double precision, with parameters away from their initial values."""
    generator = rng(seed)
    for parameter in module.double().parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
        parameter.data.add_(size * noise)
    return module


class LinearPosterior(nn.Module):
    """The exact posterior of a linear-Gaussian model, moved and stretched by a mismatch.

    With the prior N(m, S) and x = A z + b + ε, ε ~ N(0, R): precision P = S⁻¹ + Aᵀ R⁻¹ A and mean
    P⁻¹ (S⁻¹ m + Aᵀ R⁻¹ (x − b)).
    """

    def __init__(self, parts: tuple[nn.Linear, GaussianLikelihood, GaussianPrior], by: float):
        super().__init__()
        decoder, likelihood, self.prior = parts
        self.A, self.b = decoder.weight.detach(), decoder.bias.detach()
        self.noise_precision = likelihood.noise_std.detach() ** -2
        self.shift = nn.Parameter(torch.full((N,), by, dtype=DOUBLE))
        self.stretch = nn.Parameter(torch.tensor(1.0 + by, dtype=DOUBLE))

    def forward(self, x: Tensor, u: Tensor) -> FullGaussian:
        prior = self.prior(u).base_dist
        weighted = self.A.T * self.noise_precision
        precision = torch.diag_embed(prior.scale**-2) + weighted @ self.A
        pull = prior.loc / prior.scale**2 + (x - self.b) @ weighted.T
        covariance = precision.inverse().detach()
        mean = (covariance @ pull.unsqueeze(-1)).squeeze(-1).detach()
        root = torch.linalg.cholesky(covariance)
        return FullGaussian(mean + self.shift, self.stretch * root)


def linear_gaussian(mismatch: float) -> IdentifiableVAE:
    with seeded(0):
        decoder = moved(nn.Linear(N, D), seed=1, size=1.0)
        prior = moved(GaussianPrior(N, n_labels=N_LABELS), seed=2, size=0.8)
    likelihood = GaussianLikelihood(D, [0.3, 0.5, 0.7, 0.4, 0.6], learn="fixed").double()
    encoder = LinearPosterior((decoder, likelihood, prior), mismatch)
    return IdentifiableVAE(encoder, decoder, likelihood, prior)


@pytest.fixture
def exact() -> IdentifiableVAE:
    """A model whose encoder is its true posterior."""
    return linear_gaussian(0.0)


@pytest.fixture
def loose() -> IdentifiableVAE:
    """The same model with an encoder that is off."""
    return linear_gaussian(0.2)


@pytest.fixture
def x(exact: IdentifiableVAE) -> Tensor:
    return exact.sample(torch.arange(ROWS) % N_LABELS, rng(4))[0]
