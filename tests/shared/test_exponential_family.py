"""Exponential families of free order: their statistics and their quadrature."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from identiflow.shared.compute.random import seeded
from identiflow.shared.priors import ExponentialFamilyPrior, GaussianPrior
from identiflow.shared.priors.gaussian import LOG_SCALE_BOUND
from identiflow.shared.priors.quadrature import (
    ExponentialFamily,
    FixedStatistics,
    LearnedStatistics,
)

DOUBLE = torch.float64


@pytest.mark.parametrize("lam", [(1.0, 1.0, 1.0), (6.0, -4.0, 4.0), (-7.0, 7.0, -7.0)])
@pytest.mark.parametrize("width", [0.05, 1.0, 8.0, 40.0])
@pytest.mark.parametrize("centre", [0.4, 30.0])
@pytest.mark.parametrize("statistics", [FixedStatistics(3), partial(LearnedStatistics, 1, 3)])
def test_quadrature_holds_for_narrow_and_wide_densities(statistics, centre, width, lam):
    statistics = statistics.double() if isinstance(statistics, nn.Module) else statistics().double()
    shape = {"dtype": DOUBLE, "requires_grad": True}
    parameters = [torch.tensor(v, **shape) for v in ([[centre]], [[width]], [[lam]])]
    family = ExponentialFamily(*parameters, statistics)
    z = centre + width * torch.linspace(-20, 20, 100_001, dtype=DOUBLE)[:, None, None]
    total = torch.trapezoid(family.log_prob(z).exp()[:, 0], z[:, 0, 0])
    assert abs(total.item() - 1) < 1e-9
    for gradient in torch.autograd.grad(total, parameters):
        assert gradient.abs().max() < 1e-8


def test_bounded_statistics_stay_bounded():
    with seeded(0):
        learned = LearnedStatistics(1, 6)
    learned.mixing.data.mul_(4)
    z = torch.linspace(-1e4, 1e4, 100_001, dtype=DOUBLE)[:, None]
    for statistics in (FixedStatistics(6), learned):
        values = statistics.double()(z)
        assert values.isfinite().all() and values.abs().max() <= 1 + 1e-6


def test_fixed_statistics_are_orthogonal_as_hermite_functions_are() -> None:
    z = torch.linspace(-40, 40, 8001, dtype=DOUBLE)[:, None]
    functions = FixedStatistics(7).double()(z)[:, 0]
    inner = functions.T @ functions * 0.01
    lengths = inner.diagonal().sqrt()
    angles = inner / torch.outer(lengths, lengths)
    torch.testing.assert_close(angles, torch.eye(7, dtype=DOUBLE), atol=1e-5, rtol=0)


@pytest.mark.parametrize("k, bound", [(3, 8.0), (6, 8.0), (18, 2.0)])
def test_parameters_of_bounded_statistics_reach_their_bounds_and_no_further(k, bound):
    """8 each and 32 in sum: a density may then be bent by so much."""
    prior = ExponentialFamilyPrior(1, n_statistics=k, n_labels=3).double()
    table = prior.modulation.table.data
    table.zero_()
    names = prior.parameter_names
    table[0, names.index("raw_lambda_3")], table[1, names.index("raw_lambda_3")] = 1e3, -1e3
    table[2, names.index("raw_lambda_3")] = bound
    lam = prior.natural_parameters(torch.arange(3))[:, 0, 2]
    assert lam[:2].tolist() == pytest.approx([bound, -bound])
    assert 0.7 * bound < lam[2] < bound


@pytest.mark.parametrize("k", [4, 8, 12, 20])
def test_priors_of_many_statistics_at_their_bounds_are_normalised(k: int) -> None:
    prior = ExponentialFamilyPrior(1, n_statistics=k, n_labels=2).double()
    table = prior.modulation.table.data
    table.copy_(1e3 * torch.randn(table.shape, generator=torch.Generator().manual_seed(k)))
    table[..., prior.parameter_names.index("raw_width")] = -1.6
    table[..., prior.parameter_names.index("centre")] = 3.0
    family = prior(torch.tensor([0, 1]))
    z = (
        family.centre
        + 60 * family.width * torch.linspace(-1, 1, 400_001, dtype=DOUBLE)[:, None, None]
    )
    total = torch.trapezoid(family.log_prob(z).exp(), z[..., 0], dim=0)
    torch.testing.assert_close(total, torch.ones(2, dtype=DOUBLE), rtol=0, atol=1e-6)


def test_many_statistics_are_finite_in_single_precision():
    z = torch.linspace(-100, 100, 2001)[:, None]
    got, expected = FixedStatistics(38)(z), FixedStatistics(38).double()(z.double())
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-3)


def test_a_uniform_draw_of_zero_is_a_finite_sample(monkeypatch):
    family = ExponentialFamilyPrior(1, n_statistics=4, n_labels=2)(torch.tensor([0]))
    monkeypatch.setattr(torch, "rand", torch.zeros)
    assert family.sample((3,)).isfinite().all()


def test_a_refined_start_is_no_worse_than_the_pooled_fit(monkeypatch):
    """Rows with heavy tails, of which the refinement sees a few."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(3000, 2, generator=generator) / torch.rand(3000, 2, generator=generator)
    z, u = (z - z.mean(0)) / z.std(0), torch.randn(3000, 1, generator=generator)
    with seeded(0):
        prior = ExponentialFamilyPrior(2, aux_dim=1)
    with monkeypatch.context() as patch:
        patch.setattr("identiflow.shared.priors.base.refine", lambda *_: None)
        prior.initialize_from(z, u)
    before = prior.log_prob(z, u).mean()
    prior.initialize_from(z, u)
    assert prior.log_prob(z, u).mean() >= before - 1e-5


def test_two_statistics_are_the_gaussian_prior():
    with seeded(1):
        family = ExponentialFamilyPrior(3, n_statistics=2, n_labels=4, informative=2).double()
        gaussian = GaussianPrior(3, n_labels=4, informative=2).double()
    for value in family.unmodulated.values():
        value.data.fill_(0.3)
    every = torch.arange(4)
    raw, scale = family.raw_parameters(every), family(every).width
    with torch.no_grad():
        # The two bound the width differently; the same width has other raw values.
        raw_scale = LOG_SCALE_BOUND * torch.atanh(scale.log() / LOG_SCALE_BOUND)
        gaussian.modulation.assign(torch.stack([raw["centre"], raw_scale], dim=-1)[:, :2])
        gaussian.unmodulated["mean"].copy_(raw["centre"][0, 2:])
        gaussian.unmodulated["raw_scale"].copy_(raw_scale[0, 2:])
    u = torch.arange(8) % 4
    z = torch.randn(8, 3, generator=torch.Generator().manual_seed(6), dtype=DOUBLE)
    torch.testing.assert_close(family.log_prob(z, u), gaussian.log_prob(z, u))
    torch.testing.assert_close(family(u).mean, gaussian(u).mean)
    torch.testing.assert_close(family(u).variance, gaussian(u).variance)
