"""Exponential families of free order: their statistics and their quadrature."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from shared.priors.exponential_family import ExponentialFamily, FixedStatistics, LearnedStatistics
from shared.random import seeded

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
