"""What an iVAE learns of a flow before its bound, and which of its latents x says nothing of."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from identiflow.ivae import IVAE
from identiflow.ivae.decoders import MLPDecoder
from identiflow.ivae.encoders import MLPEncoder
from identiflow.ivae.likelihoods import GaussianLikelihood
from identiflow.ivae.model import IdentifiableVAE
from identiflow.ivae.posteriors import DiagonalGaussian
from identiflow.ivae.start import FlowPairs, plan_from_flow
from identiflow.shared.compute.random import seeded
from identiflow.shared.priors import GaussianPrior
from identiflow.shared.training import History


@pytest.fixture
def model() -> IdentifiableVAE:
    with seeded(0):
        networks = MLPEncoder(2, 2, hidden=(8,)), MLPDecoder(2, 2, hidden=(8,))
        return IdentifiableVAE(*networks, GaussianLikelihood(2), GaussianPrior(2, n_labels=3))


@pytest.mark.parametrize("noise_std", [0.01, 0.2])
def test_pairs_are_apart_by_the_noise(model: IdentifiableVAE, noise_std: float) -> None:
    """Without it the posterior that an encoder learns of them has no width."""
    with seeded(1):
        x, u = torch.randn(4000, 2), torch.arange(4000) % 3
    plan = plan_from_flow(model, x, u, max_steps=1, noise_std=noise_std)
    flow = next(plan).model
    pairs = plan.send(History(""))
    with torch.no_grad():
        apart = flow.decode(pairs.u) - pairs.x
    assert apart.std() == pytest.approx(noise_std, rel=0.05)
    assert abs(apart.mean()) < 0.1 * noise_std


def test_pairs_teach_both_networks_the_joint_density(model: IdentifiableVAE) -> None:
    """Of a pair, −log p(x | z) q(z | x): in z it is a density, whatever x is, but for p."""
    x = torch.tensor([[0.3, -1.2]])
    loss = FlowPairs(model).loss(x, torch.ones(1, 2)).sum()
    gradients = torch.autograd.grad(
        loss, [*model.encoder.parameters(), *model.decoder.parameters()]
    )
    assert all(gradient.abs().sum() > 0 for gradient in gradients)
    line = torch.linspace(-12, 12, 401)
    z = torch.cartesian_prod(line, line)
    with torch.no_grad():
        given_x = -FlowPairs(model).loss(x.expand(len(z), 2), z) - model.log_likelihood(x, z)
    assert given_x.exp().sum() * (line[1] - line[0]) ** 2 == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_whether_latents_collapse_does_not_depend_on_their_units(unit: float) -> None:
    """That of 0 has 1/50 of its variance in the posterior mean, that of 1 1/500."""
    with seeded(0):
        means = torch.randn(2000, 2) / torch.tensor([50.0, 500.0]).sqrt()

    def posterior(x: Tensor, u: Tensor) -> DiagonalGaussian:
        return DiagonalGaussian(unit * means, torch.full_like(means, unit))

    rows = torch.zeros(2000, 3), torch.zeros(2000)
    measured = IVAE(2)._finish(SimpleNamespace(posterior=posterior), *rows)
    assert measured == {"collapsed_latents_": (1,)}
