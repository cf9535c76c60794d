"""Priors whose parameters are at their bounds: still a density, with quantiles that come back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from identiflow.shared import priors
from identiflow.shared.priors import (
    ConditionalPrior,
    ExponentialFamilyPrior,
    GaussianPrior,
    LaplacePrior,
    MixturePrior,
    UnconditionalPrior,
)

DOUBLE = torch.float64
U = torch.zeros(1, dtype=torch.long)
FAMILIES: dict[str, Callable[..., ConditionalPrior]] = {
    "Gaussian": GaussianPrior,
    "Laplace": LaplacePrior,
    "mixture": MixturePrior,
    "mixture of 9": partial(MixturePrior, n_components=9),
    "k = 40, fixed": partial(ExponentialFamilyPrior, n_statistics=40),
    **{
        f"k = {k}, {kind}": partial(ExponentialFamilyPrior, n_statistics=k, statistics=kind)
        for k in (1, 2, 3, 4, 6, 10)
        for kind in ("fixed", "learned")
    },
}
# How large the raw parameters are, the places among them, and the weights of learned statistics.
SIZES = {
    "far beyond the bounds": (1e3, 3.0, 1.0),
    "about the bounds": (5.0, 1.0, 3.0),
    "steep": (5.0, 0.3, 100.0),
    "in far places": (5.0, 1e3, 30.0),
}
PLACES = ("mean", "centre")


def test_every_family_is_here() -> None:
    families = {v for v in vars(priors).values() if isinstance(v, type)}
    entered = {type(build(1)) for build in map(partial(partial, n_labels=1), FAMILIES.values())}
    concrete = {
        v for v in families if issubclass(v, ConditionalPrior) and v is not ConditionalPrior
    }
    assert concrete - {UnconditionalPrior} == entered


def at_bounds(family: str, size: str, seed: int) -> ConditionalPrior:
    """One latent under one u."""
    generator = torch.Generator().manual_seed(seed)
    raw, place, weights = SIZES[size]
    prior = FAMILIES[family](1, n_labels=1).double()
    for name, parameter in prior.named_parameters():
        by = weights if "statistics." in name else place if name.endswith(PLACES) else raw
        parameter.data = by * torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
    for column, name in enumerate(prior.modulated):
        if name in PLACES:
            prior.modulation.table.data[:, column] *= place / raw
    return prior


def line_of(prior: ConditionalPrior) -> Tensor:
    """Points that hold all of its mass: dense about its mean, and about 0 where statistics vary."""
    distribution = prior(U)
    mean, deviation = (t.detach().reshape(()) for t in (distribution.mean, distribution.stddev))
    share = torch.linspace(-8, 8, 30_001, dtype=DOUBLE).sinh()
    return torch.cat([mean + deviation * share, share, mean + share / 1e3]).unique()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
def test_it_integrates_to_one(family: str, size: str) -> None:
    for seed in range(4):
        prior = at_bounds(family, size, seed)
        z = line_of(prior)
        with torch.no_grad():
            density = prior.log_prob(z[:, None], U.expand(len(z))).exp()
        assert torch.trapezoid(density, z).item() == pytest.approx(1, abs=1e-6), seed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_finite(family: str, size: str) -> None:
    for seed in range(4):
        prior = at_bounds(family, size, seed)
        z = torch.tensor([[-1e3], [-3.0], [0.0], [0.5], [20.0]], dtype=DOUBLE, requires_grad=True)
        prior.log_prob(z, U.expand(len(z))).sum().backward()
        gradients = [z.grad, *(p.grad for p in prior.parameters() if p.grad is not None)]
        assert all(gradient.isfinite().all() for gradient in gradients), seed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
def test_quantiles_come_back(family: str, size: str) -> None:
    share = torch.tensor([[0.001], [0.1], [0.5], [0.9], [0.999]], dtype=DOUBLE)
    for seed in range(4):
        prior = at_bounds(family, size, seed)
        u = U.expand(len(share))
        back = prior.cdf(prior.icdf(share, u), u)
        torch.testing.assert_close(back, share, rtol=0, atol=1e-6)
