"""Laws of every conditional prior: normalised, sampled, differentiated and fitted as it says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.distributions import Distribution

from identiflow.shared.priors import (
    ConditionalPrior,
    ExponentialFamilyPrior,
    GaussianPrior,
    LaplacePrior,
    MixturePrior,
    Quantiles,
)

N, N_LABELS, Q, ROWS = 3, 4, 2, 8
DOUBLE = torch.float64

# A new family is one entry here: every law then holds for it with each kind of u.
PRIORS: dict[str, Callable[..., ConditionalPrior]] = {
    "Gaussian": GaussianPrior,
    "Gaussian, scale": partial(GaussianPrior, modulates="scale"),
    "Gaussian, mean": partial(GaussianPrior, modulates="mean"),
    "Laplace": LaplacePrior,
    "k = 1": partial(ExponentialFamilyPrior, n_statistics=1),
    "k = 2": partial(ExponentialFamilyPrior, n_statistics=2),
    "k = 3": partial(ExponentialFamilyPrior, n_statistics=3),
    "k = 5": partial(ExponentialFamilyPrior, n_statistics=5),
    "k = 3, learned": partial(ExponentialFamilyPrior, n_statistics=3, statistics="learned"),
    "mixture": MixturePrior,
    "mixture of 2": partial(MixturePrior, n_components=2),
    "k = 5, learned": partial(ExponentialFamilyPrior, n_statistics=5, statistics="learned"),
}
KINDS: dict[str, dict[str, Any]] = {
    "labels": {"n_labels": N_LABELS},
    "interventions": {"n_labels": N_LABELS, "targets": (0, None, 1, 0)},
    "continuous": {"aux_dim": Q},
    "mixed": {"n_labels": N_LABELS, "aux_dim": Q},
}
# Family, kind of u, and m, the number of latents that u reaches.
CASES = [
    *product(PRIORS, ["labels"], [N, 2]),
    *product(PRIORS, ["interventions"], [2]),
    *product(PRIORS, ["continuous"], [N]),
    *product(PRIORS, ["mixed"], [2]),
    ("Gaussian", "labels", 0),
    ("k = 5", "labels", 0),
]
LABELLED = [case for case in CASES if case[1] in ("labels", "interventions")]


def cases(which: list[tuple[str, str, int]]) -> pytest.MarkDecorator:
    names = [f"{family}; {kind}; m = {m}" for family, kind, m in which]
    return pytest.mark.parametrize("case", which, ids=names)


def build(case: tuple[str, str, int], seed: int | None = None, size: float = 0.5):
    """The prior of a case in double precision; with a seed, moved away from its initial values."""
    family, kind, m = case
    prior = PRIORS[family](N, informative=m, hidden=(8,), **KINDS[kind]).double()
    return prior if seed is None else move(prior, seed, size)


CLOSED_FORM = [case for case in LABELLED if build(case).closed_form]
ITERATIVE = [*product(PRIORS, ["continuous"], [N]), ("Gaussian", "mixed", 2)]
ITERATIVE += [case for case in CASES if case[1:] == ("labels", 2) and case not in CLOSED_FORM]


def move(module: nn.Module, seed: int, size: float) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
        parameter.data.add_(size * noise)
    return module


def rows_of_u(kind: str, n_rows: int = ROWS) -> Tensor:
    labels = torch.arange(n_rows) % N_LABELS
    continuous = torch.randn(n_rows, Q, generator=torch.Generator().manual_seed(5), dtype=DOUBLE)
    mixed = torch.cat([labels[:, None], continuous], dim=1)
    return {"continuous": continuous, "mixed": mixed}.get(kind, labels)


def some_z(n_rows: int = ROWS, seed: int = 6) -> Tensor:
    return 2 * torch.randn(n_rows, N, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def along_each_axis(family: Distribution) -> tuple[Tensor, Tensor, Tensor]:
    """log p along each axis through the mean c: z_i (T, B, n), log p(z_i, c_-i), and log p(c)."""
    centre, width = family.mean.detach(), family.stddev.detach()
    # To 40 deviations from the mean, densely around it.
    half = torch.linspace(0, 4.4, 2001, dtype=DOUBLE).sinh()
    z = centre + width * torch.cat([-half.flip(0), half[1:]])[:, None, None]
    lines = []
    for i in range(z.shape[-1]):
        line = centre.expand_as(z).clone()
        line[..., i] = z[..., i]
        lines.append(family.log_prob(line))
    return z, torch.stack(lines, dim=-1), family.log_prob(centre)


@cases(CASES)
def test_shapes(case):
    prior, u, z = build(case, seed=1), rows_of_u(case[1]), some_z()
    family = prior(u)
    assert family.batch_shape == (ROWS,) and family.event_shape == (N,)
    assert family.sample((5,)).shape == (5, ROWS, N) and family.sample().shape == (ROWS, N)
    assert family.log_prob(z).shape == prior.log_prob(z, u).shape == (ROWS,)
    assert prior.natural_parameters(u).shape == (ROWS, N, prior.n_statistics)
    assert prior.sufficient_statistics(z).shape == (ROWS, N, prior.n_statistics)
    assert prior.log_base_measure(z).shape == (ROWS, N)


@cases(CASES)
def test_density_integrates_to_one_and_its_gradient_to_zero(case):
    prior = build(case, seed=1)
    z, log_p, at_centre = along_each_axis(prior(rows_of_u(case[1], 4)))
    # p factorises, so the n line integrals multiply to p(c)^(n − 1) · ∫ p.
    log_integrals = torch.trapezoid(log_p.exp(), z, dim=0).log().sum(-1)
    log_total = log_integrals - (N - 1) * at_centre
    torch.testing.assert_close(log_total, torch.zeros(4, dtype=DOUBLE), rtol=0, atol=1e-5)
    log_total.sum().backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad.abs().max() < 3e-5, name


@cases(CASES)
def test_mean_and_variance_are_those_of_the_density(case):
    family = build(case, seed=2)(rows_of_u(case[1], 4))
    z, log_p, _ = along_each_axis(family)
    p = log_p.exp() / torch.trapezoid(log_p.exp(), z, dim=0)
    mean = torch.trapezoid(p * z, z, dim=0)
    torch.testing.assert_close(family.mean, mean, rtol=1e-5, atol=1e-5)
    variance = torch.trapezoid(p * (z - mean) ** 2, z, dim=0)
    torch.testing.assert_close(family.variance, variance, rtol=3e-5, atol=0)


@cases(CASES)
def test_samples_follow_the_density(case):
    family = build(case, seed=1)(rows_of_u(case[1], 1))
    z, log_p, _ = along_each_axis(family)
    draws = family.sample((20_000,))
    for i in range(N):
        grid, density = z[:, 0, i].numpy(), log_p[:, 0, i].detach().exp().numpy()
        cumulative = np.r_[0.0, np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))]
        uniform = np.interp(draws[:, 0, i].numpy(), grid, cumulative / cumulative[-1])
        assert stats.kstest(uniform, "uniform").pvalue > 1e-4
    correlation = np.corrcoef(draws[:, 0].numpy().T)
    assert np.abs(correlation - np.eye(N)).max() < 0.04


@cases(CASES)
def test_natural_parameters_and_statistics_reproduce_log_prob(case):
    prior, u = build(case, seed=1), rows_of_u(case[1])
    lam = prior.natural_parameters(u)
    z = some_z(20)
    every_u, every_z = u.repeat(len(z), *[1] * (u.ndim - 1)), z.repeat_interleave(ROWS, dim=0)
    log_p = prior.log_prob(every_z, every_u).unflatten(0, (len(z), ROWS))
    exponent = torch.einsum("bij,sij->sb", lam, prior.sufficient_statistics(z))
    rest = log_p - exponent - prior.log_base_measure(z).sum(-1, keepdim=True)
    # What is left is −log Z(u): it may depend on u, and not on z.
    torch.testing.assert_close(rest, rest[:1].expand_as(rest), rtol=0, atol=1e-9)


@cases(CASES)
def test_a_batch_is_the_loop_over_its_rows(case):
    prior, u, z = build(case, seed=1), rows_of_u(case[1]), some_z()
    for law in (lambda z, u: prior.log_prob(z, u), lambda _, u: prior.natural_parameters(u)):
        alone = torch.cat([law(z[[b]], u[[b]]) for b in range(ROWS)])
        torch.testing.assert_close(law(z, u), alone, rtol=1e-12, atol=1e-12)


@cases(CASES)
def test_every_parameter_gets_a_finite_gradient(case):
    prior, u, z = build(case, seed=1), rows_of_u(case[1]), some_z()
    prior.log_prob(z, u).sum().backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 1e-9, name


@cases(CASES)
def test_state_round_trip_is_exact(case):
    prior, other = build(case, seed=1), build(case, seed=2)
    u, z = rows_of_u(case[1]), some_z()
    assert not torch.equal(prior.log_prob(z, u), other.log_prob(z, u))
    other.load_state_dict(prior.state_dict())
    assert torch.equal(prior.log_prob(z, u), other.log_prob(z, u))


@cases(CASES)
def test_u_moves_the_informative_latents_and_no_other(case):
    prior, u, m = build(case, seed=1), rows_of_u(case[1]), case[2]
    lam = prior.natural_parameters(u)
    torch.testing.assert_close(lam[:, m:], lam[:1, m:].expand_as(lam[:, m:]))
    for i in range(N):
        z = some_z(1).expand(ROWS, -1).clone()
        before = prior.log_prob(z, u)
        z[:, i] += 1.0
        change = prior.log_prob(z, u) - before
        spread = (change - change[0]).abs().max()
        assert spread > 1e-2 if i < m else spread < 1e-12


@cases(CASES)
def test_single_precision_agrees_with_double(case):
    prior, u, z = build(case, seed=1), rows_of_u(case[1]), some_z()
    exact = prior.log_prob(z, u)
    prior, u, z = prior.float(), u.float() if u.is_floating_point() else u, z.float()
    rough = prior.log_prob(z, u)
    assert rough.dtype == prior(u).sample().dtype == torch.float32
    torch.testing.assert_close(rough.double(), exact, rtol=1e-4, atol=1e-4)


@cases(CASES)
def test_quantiles_are_those_of_the_density(case):
    prior, u = build(case, seed=1), rows_of_u(case[1], 4)
    assert isinstance(prior.quantiles(u), Quantiles)
    z, log_p, _ = along_each_axis(prior(u))
    p = log_p.exp() / torch.trapezoid(log_p.exp(), z, dim=0)
    cumulative = torch.cumulative_trapezoid(p, z, dim=0)[::40]
    for at, expected in zip(z[1::40], cumulative, strict=True):
        torch.testing.assert_close(prior.cdf(at, u), expected, rtol=0, atol=5e-4)
    share = torch.linspace(0.01, 0.99, 4 * N, dtype=DOUBLE).view(4, N)
    torch.testing.assert_close(prior.cdf(prior.icdf(share, u), u), share, rtol=1e-9, atol=1e-9)


@cases(CASES)
def test_transport_keeps_quantiles_and_comes_back(case):
    prior, u, m = build(case, seed=1), rows_of_u(case[1]), case[2]
    new, z = u.roll(1, 0), 0.5 * some_z()
    carried = prior.transport(z, u, new)
    torch.testing.assert_close(prior.cdf(carried, new), prior.cdf(z, u), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(carried[:, m:], z[:, m:])
    for far in (z, z + 40, z - 40):
        torch.testing.assert_close(prior.transport(prior.transport(far, u, new), new, u), far)


# The maximum-likelihood fit ---------------------------------------------------------------------

GROUPS = torch.tensor([0] * 12 + [1] * 30 + [2] * 40 + [3] * 57)


def grouped_z(seed: int = 7) -> Tensor:
    """Rows whose location and spread differ between labels and latents."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(GROUPS), N, generator=generator, dtype=DOUBLE)
    centre, width = torch.randn(2, N_LABELS, N, generator=generator, dtype=DOUBLE)
    return 3 + centre[GROUPS] + width[GROUPS].exp() * noise


def log_likelihood(prior: ConditionalPrior, z: Tensor, u: Tensor) -> float:
    with torch.no_grad():
        return prior.log_prob(z, u).mean().item()


@cases(CLOSED_FORM)
def test_no_other_parameters_are_more_likely(case):
    prior, z = build(case, seed=1), grouped_z()
    prior.initialize_from(z, GROUPS)
    best = log_likelihood(prior, z, GROUPS)
    for parameter in prior.parameters():
        for index, step in product(range(parameter.numel()), (-3e-3, 3e-3)):
            entry = parameter.data.view(-1)[index]
            before = entry.clone()
            entry += step
            assert log_likelihood(prior, z, GROUPS) < best
            entry.copy_(before)


@cases(ITERATIVE)
def test_fit_is_as_likely_as_the_truth(case, assert_rng_untouched):
    truth, fitted, u = build(case, seed=3, size=0.3), build(case), rows_of_u(case[1], 60)
    z = truth(u).sample()
    with assert_rng_untouched():
        fitted.initialize_from(z, u)
    assert log_likelihood(fitted, z, u) > log_likelihood(truth, z, u) - 0.02


@cases(LABELLED)
@pytest.mark.parametrize("labels", [[0] * 30 + [1] + [3] * 2, [0, 1, 2, 3]])
def test_labels_with_few_rows_or_none_get_a_sensible_spread(case, labels):
    prior, u = build(case), torch.tensor(labels)
    z = 3 + some_z(len(u))
    prior.initialize_from(z, u)
    family = prior(torch.arange(N_LABELS))
    assert (family.stddev > 0.05).all() and (family.stddev < 50).all()
    assert (family.mean.abs() < 50).all()
