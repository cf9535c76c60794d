"""The theorem's conditions, on priors made by hand so that the right answer is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence

from identiflow.shared import identifiability
from identiflow.shared.compute.networks import inverse_bounded_exp
from identiflow.shared.compute.random import seeded
from identiflow.shared.identifiability import IdentifiabilityReport, check_conditions
from identiflow.shared.priors import (
    ConditionalPrior,
    ExponentialFamilyPrior,
    GaussianPrior,
    LaplacePrior,
    UnconditionalPrior,
)
from identiflow.shared.priors.gaussian import LOG_SCALE_BOUND

DOUBLE = torch.float64


def draw(n_labels: int, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A mean and a scale for each label and latent."""
    generator = torch.Generator().manual_seed(seed)
    mean, log_scale = torch.randn(2, n_labels, n, generator=generator, dtype=DOUBLE)
    return mean, (0.5 * log_scale).exp()


def gaussian(mean: Tensor, scale: Tensor, modulates: str = "mean_and_scale") -> GaussianPrior:
    """The prior with these means and scales, (n_labels, n); what is shared is read off row 0."""
    n_labels, n = scale.shape
    prior = GaussianPrior(n, n_labels=n_labels, modulates=modulates).double()
    raw = {"mean": mean, "raw_scale": inverse_bounded_exp(scale, LOG_SCALE_BOUND)}
    with torch.no_grad():
        prior.modulation.assign(torch.stack([raw[name] for name in prior.modulated], dim=-1))
        for name, value in prior.unmodulated.items():
            value.copy_(raw[name][0])
    return prior


def report(prior: ConditionalPrior, n_labels: int, **options: Any) -> IdentifiabilityReport:
    return check_conditions(prior, torch.arange(n_labels).repeat(3), **options)


def random_gaussian(n_labels: int, n: int, modulates: str = "mean_and_scale", seed: int = 0):
    return report(gaussian(*draw(n_labels, n, seed), modulates), n_labels)


def together() -> IdentifiabilityReport:
    """λ of latent 1 moves with u exactly half as much as that of latent 0."""
    mean, scale = draw(8, 3)
    scale[:, 1] = (0.3 + 0.5 * scale[:, 0] ** -2) ** -0.5
    return report(gaussian(mean, scale, "scale"), 8)


def barely_apart() -> IdentifiabilityReport:
    mean, scale = draw(8, 3)
    scale[:, 1] = scale[:, 0] * (1 + 1e-4 * torch.arange(8) % 3)
    return report(gaussian(mean, scale, "scale"), 8)


def one_latent_still() -> IdentifiabilityReport:
    mean, scale = draw(8, 3)
    mean[:, 1], scale[:, 1] = 2.0, 0.5
    return report(gaussian(mean, scale), 8)


def nuisance_latent() -> IdentifiabilityReport:
    prior = LaplacePrior(3, n_labels=8, informative=2)
    return report(prior, 8)


def far_from_zero() -> IdentifiabilityReport:
    """(z − μ)² is monotone over any range that leaves μ out."""
    mean, scale = draw(8, 3)
    return report(gaussian(mean + 50, scale, "scale"), 8)


def family(k: int, n_labels: int = 12) -> IdentifiabilityReport:
    return report(filled(ExponentialFamilyPrior(2, n_statistics=k, n_labels=n_labels)), n_labels)


def learned(change: Callable[[Tensor], object]) -> IdentifiabilityReport:
    with seeded(0):
        prior = ExponentialFamilyPrior(2, n_statistics=4, statistics="learned", n_labels=12)
    with torch.no_grad():
        change(prior.statistics.mixing)
    return report(filled(prior), 12)


def filled(prior: ConditionalPrior) -> ConditionalPrior:
    """With a table of random numbers."""
    table = prior.double().modulation.table
    generator = torch.Generator().manual_seed(0)
    table.data.copy_(0.7 * torch.randn(table.shape, generator=generator, dtype=DOUBLE))
    return prior


def interventions(targets: tuple[int | None, ...], modulates: str) -> IdentifiabilityReport:
    """Label l changes latent targets[l] alone."""
    options: dict[str, Any] = {"n_labels": len(targets), "targets": targets}
    return report(filled(GaussianPrior(3, modulates=modulates, **options)), len(targets))


REPORTS: dict[str, tuple[Callable[[], IdentifiabilityReport], dict[str, Any], list[str]]] = {
    "all conditions hold": (
        partial(random_gaussian, 8, 2),
        {"n_values": 8, "n_values_needed": 5, "rank": 4, "satisfied": True, "permutation": True},
        [r"that can be checked hold\.", "8 values, enough for the 5", "4 of the 4", "up to order"],
    ),
    "just enough values": (
        partial(random_gaussian, 5, 2),
        {"n_values_needed": 5, "rank": 4, "satisfied": True},
        ["5 values, enough for the 5"],
    ),
    "too few values": (
        partial(random_gaussian, 4, 2),
        {"n_values": 4, "rank": 3, "rank_needed": 4, "satisfied": False},
        ["do not hold", "4 values, too few for the 5", "3 of the 4"],
    ),
    "one value": (
        partial(random_gaussian, 1, 2),
        {"n_values": 1, "rank": 0, "unmodulated": (0, 1), "satisfied": False},
        ["do not hold", "1 values, too few", r"does not reach latents \[0, 1\]"],
    ),
    "scale alone": (
        partial(random_gaussian, 8, 3, "scale"),
        {"n_values_needed": 4, "rank": 3, "satisfied": True, "permutation": True},
        ["up to order and a map of each one alone"],
    ),
    "a map with kinks": (
        lambda: report(filled(GaussianPrior(2, n_labels=8)), 8, kinks=("ReLU",)),
        {"satisfied": True, "permutation": False, "kinks": ("ReLU",)},
        ["derivative of ReLU jumps", "theorems 2 and 3 ask for a continuous one", "Take 'silu'"],
    ),
    "mean alone": (
        partial(random_gaussian, 8, 3, "mean"),
        {"n_values_needed": 4, "rank": 3, "satisfied": True, "permutation": False},
        ["monotone with k = 1", "up to a linear map"],
    ),
    "two latents change together": (
        together,
        {"rank": 2, "rank_needed": 3, "unmodulated": (), "satisfied": False},
        ["2 of the 3", "change with u only together, and may be mixed"],
    ),
    "two latents change almost together": (
        barely_apart,
        {"rank": 3, "satisfied": True},
        ["3 of the 3 .*, but barely .condition number \\d{4,}", "compare several seeds"],
    ),
    "a latent that u does not reach": (
        one_latent_still,
        {"rank": 4, "rank_needed": 6, "unmodulated": (1,), "satisfied": False},
        [r"weakest latent \(1\) by 0 nats", r"does not reach latents \[1\]: not identified"],
    ),
    "a nuisance latent": (
        nuisance_latent,
        {"n_values_needed": 3, "rank_needed": 2, "n_informative": 2, "rank": 2},
        [r"weakest latent \([01]\)"],
    ),
    "scale alone, far from zero": (far_from_zero, {"permutation": True, "satisfied": True}, []),
    "k = 1": (partial(family, 1), {"rank": 2, "permutation": True, "satisfied": True}, []),
    "k = 4": (partial(family, 4), {"rank": 8, "n_values_needed": 9, "satisfied": True}, []),
    "k = 4, too few values": (partial(family, 4, 8), {"rank": 7, "satisfied": False}, ["too few"]),
    "each value changes one latent": (
        partial(interventions, (0, 1, None, 2), "mean"),
        {"n_values_needed": 4, "rank": 3, "satisfied": True, "permutation": True},
        ["conditions of single interventions that .* hold", "enough for the 4", "3 of the 3"],
    ),
    "the same, of two statistics": (
        partial(interventions, (0, 1, None, 1, 2), "mean_and_scale"),
        {"n_values_needed": 4, "rank_needed": 3, "satisfied": True, "permutation": True},
        ["5 values, enough for the 4", "3 of the 3"],
    ),
    "two values that change one latent, and none the other": (
        lambda: check_conditions(
            filled(GaussianPrior(2, n_labels=4, targets=(None, 0, 0, 1))), torch.tensor([0, 1, 2])
        ),
        {"rank": 1, "rank_needed": 2, "satisfied": False},
        ["1 of the 2 directions", "no value of u here changes the other latents alone"],
    ),
    "the same, and no baseline": (
        partial(interventions, (0, 1, 2), "mean"),
        {"rank": 2, "rank_needed": 3, "satisfied": False},
        ["3 values, too few for the 4", "2 of the 3"],
    ),
    "learned statistics": (
        partial(learned, lambda mixing: None),
        {"rank": 8, "dependent": (), "satisfied": True},
        [],
    ),
    "learned statistics, two of them the same": (
        partial(learned, lambda mixing: mixing[1, :, 1].copy_(mixing[1, :, 0])),
        {"rank": 8, "dependent": (1,), "satisfied": False},
        [r"do not hold.*statistics of latents \[1\] are linearly dependent"],
    ),
    "learned statistics that are constant": (
        partial(learned, lambda mixing: mixing.zero_()),
        {"dependent": (0, 1), "satisfied": False},
        [],
    ),
    "unconditional": (
        lambda: report(UnconditionalPrior(3), 8),
        {"rank_needed": 0, "rank": 0, "satisfied": False},
        ["do not hold", "does not depend on u, so nothing identifies"],
    ),
}


@pytest.mark.parametrize("case", REPORTS)
def test_numbers_and_words(case):
    build, numbers, words = REPORTS[case]
    found = build()
    assert {name: getattr(found, name) for name in numbers} == numbers
    for phrase in words:
        assert re.search(phrase, str(found)), str(found)
    assert "nan" not in str(found)


@pytest.mark.parametrize("n_labels, n", [(8, 2), (20, 5)])
def test_rank_and_condition_are_numpys(n_labels, n):
    mean, scale = (t.numpy() for t in draw(n_labels, n))
    lam = np.stack([mean / scale**2, -0.5 / scale**2], axis=-1).reshape(n_labels, -1)
    differences = lam[1:] - lam[0]
    unit = differences / np.linalg.norm(differences, axis=0)
    found = random_gaussian(n_labels, n)
    assert found.rank == np.linalg.matrix_rank(unit) == 2 * n
    assert found.condition_number == pytest.approx(np.linalg.cond(unit), rel=1e-6)


def test_condition_number_is_infinite_when_the_rank_is_short():
    assert together().condition_number == one_latent_still().condition_number == float("inf")
    assert json.loads(json.dumps(together().to_dict(), allow_nan=False))["condition_number"] is None


def jeffreys(prior: ConditionalPrior, n_labels: int) -> Tensor:
    """Mean over pairs of labels of KL(p ‖ q) + KL(q ‖ p), in closed form, (n,)."""
    members = [prior(torch.tensor([label])).base_dist for label in range(n_labels)]
    pairs = list(permutations(members, 2))
    return 2 * torch.stack([kl_divergence(p, q)[0] for p, q in pairs]).mean(0).detach()


def moved_laplace(n_labels: int) -> LaplacePrior:
    prior = LaplacePrior(3, n_labels=n_labels).double()
    prior.modulation.table.data.copy_(draw(n_labels, 3)[0])
    return prior


@pytest.mark.parametrize("n_labels", [2, 7])
@pytest.mark.parametrize("modulates", ["mean_and_scale", "scale", "mean", "Laplace"])
def test_modulation_is_the_jeffreys_divergence(modulates, n_labels):
    is_laplace = modulates == "Laplace"
    prior = moved_laplace(n_labels) if is_laplace else gaussian(*draw(n_labels, 3, 1), modulates)
    found = report(prior, n_labels).modulation
    np.testing.assert_allclose(found, jeffreys(prior, n_labels), rtol=0.1, atol=0.02)


def test_only_values_of_u_that_occur_count():
    prior = gaussian(*draw(8, 2))
    assert check_conditions(prior, torch.tensor([5, 5, 2, 2, 2, 7])).n_values == 3


@pytest.mark.parametrize("max_values", [3, 40])
def test_many_values_are_thinned_but_not_below_what_is_needed(monkeypatch, max_values):
    monkeypatch.setattr(identifiability, "MAX_VALUES", max_values)
    u = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))
    found = check_conditions(GaussianPrior(3, aux_dim=2), u)
    assert found.n_values == 5000 and found.rank == 6
    assert found.modulation.shape == (3,) and (found.modulation > 0).all()


def test_collapsed_latents_and_round_trip_are_reported():
    prior = gaussian(*draw(8, 3))
    found = report(prior, 8, round_trip_error=3e-9, collapsed=(1,))
    assert not found.satisfied and replace(found, collapsed=()).satisfied
    assert "Latents [1] carry no information on x" in str(found)
    assert "changes x by at most 3.0e-09" in str(found)
    assert "changes x" not in str(report(prior, 8))


def test_a_check_changes_nothing_and_repeats_itself(assert_rng_untouched):
    prior = gaussian(*draw(8, 3))
    with assert_rng_untouched():
        first, second = report(prior, 8), report(prior, 8)
    np.testing.assert_array_equal(first.modulation, second.modulation)
    assert str(first) == str(second)
    assert all(parameter.grad is None for parameter in prior.parameters())
