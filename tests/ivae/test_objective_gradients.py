"""Gradients of the importance-weighted bound: doubly reparameterised, and as it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from identiflow.ivae.model import IdentifiableVAE
from identiflow.ivae.objectives import iw_bound
from identiflow.ivae.posteriors import FullGaussian

N, N_LABELS, ROWS = 3, 4, 9
DOUBLE = torch.float64
U = torch.arange(ROWS) % N_LABELS


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradients(value: Tensor, module: nn.Module) -> list[Tensor]:
    parameters = [p for p in module.parameters() if p.requires_grad]
    return list(torch.autograd.grad(value.sum(), parameters, retain_graph=True))


def test_doubly_reparameterised_gradient_of_decoder_and_prior_is_the_standard_one(
    loose: IdentifiableVAE, x: Tensor
) -> None:
    values = [iw_bound(loose, x, U, 6, rng(), gradient=g) for g in ("standard", "dreg")]
    torch.testing.assert_close(*values)
    for part in (loose.decoder, loose.prior):
        # The encoder of this model shares the prior's module, but detaches what it takes from it.
        standard, dreg = (gradients(value, part) for value in values)
        torch.testing.assert_close(standard, dreg)


def test_doubly_reparameterised_gradient_of_the_encoder_has_the_same_mean(
    loose: IdentifiableVAE, x: Tensor
) -> None:
    many, times = x.repeat(4000, 1), 4000
    # A copy of the encoder's parameters for every row gives one gradient for each.
    means, spreads = [], []
    for gradient in ("standard", "dreg"):
        shift = torch.full((ROWS * times, N), 0.2, dtype=DOUBLE, requires_grad=True)
        loose.encoder.shift = nn.Parameter(shift.detach().clone())
        bound = iw_bound(loose, many, U.repeat(times), 6, rng(8), gradient=gradient)
        (each,) = torch.autograd.grad(bound.sum(), [loose.encoder.shift])
        means.append(each.reshape(times, ROWS, N).mean(0))
        spreads.append(each.reshape(times, ROWS, N).std(0))
    error = (spreads[0] ** 2 + spreads[1] ** 2).sqrt() / times**0.5
    assert ((means[0] - means[1]).abs() < 5 * error).all()
    assert (means[0].abs() > 5 * error).any()
    assert (spreads[1] < spreads[0]).all()


def test_doubly_reparameterised_gradient_vanishes_at_the_exact_posterior(
    exact: IdentifiableVAE, x: Tensor
) -> None:
    encoder = [exact.encoder.shift, exact.encoder.stretch]
    sizes = {}
    for gradient in ("standard", "dreg"):
        bound = iw_bound(exact, x, U, 6, rng(), gradient=gradient).sum()
        sizes[gradient] = max(g.abs().max() for g in torch.autograd.grad(bound, encoder))
    assert sizes["dreg"] < 1e-9 and sizes["standard"] > 0.1


class PartlyBadlyConditioned:
    """Its posterior's L is nearly singular in the first of four rows: too badly to solve with."""

    def __init__(self) -> None:
        near = torch.eye(6) * 1e-3 + torch.ones(6, 6).tril(-1)
        well = torch.eye(6) + 0.3 * torch.ones(6, 6).tril(-1)
        self.scale_tril = torch.stack([near, well, well, well]).double().requires_grad_()

    def posterior(self, x: Tensor, u: Tensor) -> FullGaussian:
        return FullGaussian(x, self.scale_tril)

    def prior(self, u: Tensor) -> Independent:
        return Independent(Normal(torch.zeros(len(u), 6), torch.ones(())), 1)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        return -(z - 0.5 * x).square().sum(-1)


def test_a_nearly_singular_posterior_changes_no_value_and_takes_the_standard_gradient() -> None:
    model, u = PartlyBadlyConditioned(), torch.zeros(4)
    x = torch.randn(4, 6, generator=rng(), dtype=DOUBLE)
    values, gradients = [], []
    for gradient in ("dreg", "standard"):
        bound = iw_bound(model, x, u, 8, rng(1), gradient=gradient)
        values.append(bound)
        gradients.append(torch.autograd.grad(bound.sum(), model.scale_tril)[0])
    torch.testing.assert_close(*values)
    dreg, standard = gradients
    torch.testing.assert_close(dreg[0], standard[0])
    assert ((dreg[1:] - standard[1:]).flatten(1).norm(dim=1) > 0.01).all()
