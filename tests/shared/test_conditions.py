"""The theorem's conditions on priors of one's own, and on numbers at the limit of rounding."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from identiflow.shared.compute.random import seeded
from identiflow.shared.identifiability import IdentifiabilityReport, check_conditions
from identiflow.shared.priors import GaussianPrior


class Falling(GaussianPrior):
    """The mean is modulated, with T(z) = −z and λ = −μ/σ²."""

    def sufficient_statistics(self, z: Tensor) -> Tensor:
        return -super().sufficient_statistics(z)

    def natural_parameters(self, u: Tensor) -> Tensor:
        return -super().natural_parameters(u)


class Learned(GaussianPrior):
    """T(z) = (z, 1 + 2 z), as if it had been learned: no line through 0, but a line."""

    learns_statistics = True

    def sufficient_statistics(self, z: Tensor) -> Tensor:
        return torch.stack([z, 1 + 2 * z], dim=-1)


def report(prior: GaussianPrior) -> IdentifiabilityReport:
    return check_conditions(prior.double(), torch.arange(prior.n_labels))


def drawn(kind: type[GaussianPrior], n_labels: int = 8, **options: object) -> GaussianPrior:
    with seeded(0):
        prior = kind(3, n_labels=n_labels, **options)
        prior.modulation.table.data.normal_()
    return prior


@pytest.mark.parametrize("kind", [GaussianPrior, Falling])
def test_statistics_that_rise_or_fall_identify_up_to_a_linear_map(kind) -> None:
    found = report(drawn(kind, modulates="mean"))
    assert found.satisfied and not found.permutation


def test_statistics_depend_on_each_other_up_to_a_constant() -> None:
    assert report(drawn(Learned)).dependent == (0, 1, 2)
    assert report(drawn(GaussianPrior)).dependent == ()


@pytest.mark.parametrize("scale", [1e-3, 0.3, 30.0])
def test_a_latent_that_differs_by_rounding_does_not_depend_on_u(scale: float) -> None:
    """Whatever its λ are in size, here up to a million and down to a thousandth."""
    prior = drawn(GaussianPrior, modulates="scale").double()
    table = prior.modulation.table.data
    units = torch.tensor([0, 1, 2, 0, 2, 1, 1, 0], dtype=torch.float64)
    table[:, 1] = math.log(scale) * (1 + torch.finfo(torch.float64).eps * units)
    found = report(prior)
    assert (found.rank, found.unmodulated) == (2, (1,))
    table[:, 1] += 0.5 * table[:, 0] * torch.arange(8).cos()
    assert report(prior).rank == 3


def test_conditioning_is_that_of_as_many_directions_as_are_needed() -> None:
    """One value for each latent is enough; a second one for the last cannot make it worse.

    Columns of unit length are (±1, ±1) for latents of one value, whose singular value is √2. For
    that of two values they are at an angle with the cosine c, and these are √(1 ± |c|).
    """
    prior = drawn(GaussianPrior, n_labels=5, targets=(None, 0, 1, 2, 2))
    of_last = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, -0.5]])
    prior.modulation.table.data[[2, 5, 6]] = of_last
    lam = prior.double().natural_parameters(torch.arange(5)).detach()
    two = lam[3:, 2] - lam[0, 2]
    c = (two[:, 0] @ two[:, 1]) / (two[:, 0].norm() * two[:, 1].norm())
    assert 0.1 < c.abs() < 0.9
    expected = (2 / (1 + c.abs())).sqrt().item()
    assert report(prior).condition_number == pytest.approx(expected)
