"""The linear start of a flow: right for linear mixtures, left out where it would not help."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from identiflow.iflow import ARCHITECTURES, IdentifiableFlow, LULinear, Unmixing, start_from_linear
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.metrics import mean_corr_coef
from identiflow.shared.priors import GaussianPrior, LaplacePrior

D, LABELS = 4, 12


def linear_mixture(centered: bool, seed: int = 1) -> tuple[Tensor, Tensor, np.ndarray]:
    """Standardised rows in random order, their labels and their sources."""
    data = nonstationary_sources(D, LABELS, 300, n_layers=1, centered=centered, seed=seed)
    order = np.random.default_rng(0).permutation(len(data.x))
    x = torch.from_numpy((data.x - data.x.mean(0)) / data.x.std(0))[order]
    return x, torch.from_numpy(np.asarray(data.u))[order], data.z[order]


def flow_of(architecture: str = "spline", prior: GaussianPrior | None = None) -> IdentifiableFlow:
    torch.manual_seed(0)
    bijection = ARCHITECTURES[architecture](D, n_layers=1, hidden=(8,))
    return IdentifiableFlow(bijection, prior or GaussianPrior(D, n_labels=LABELS)).double()


def unmixing_of(flow: IdentifiableFlow) -> Unmixing:
    return next(part for part in flow.modules() if isinstance(part, Unmixing))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("centered", [True, False])
def test_linear_mixtures_are_undone_before_the_first_step(
    architecture: str, centered: bool
) -> None:
    x, u, z = linear_mixture(centered)
    flow = flow_of(architecture)
    start_from_linear(flow, x, u, seed=0)
    latents = unmixing_of(flow)(x)[0]
    assert mean_corr_coef(z, latents.numpy()) > 0.995
    if architecture != "volume_preserving":
        torch.testing.assert_close(latents.std(0), torch.ones(D).double(), rtol=0.05, atol=0)


@pytest.mark.parametrize(
    "prior",
    [
        GaussianPrior(D, n_labels=LABELS, modulates="scale"),
        LaplacePrior(D, n_labels=LABELS),
        GaussianPrior(D, aux_dim=1, hidden=(16,)),
    ],
    ids=["scale", "laplace", "a network of u"],
)
def test_other_priors_take_part(prior: GaussianPrior) -> None:
    x, u, z = linear_mixture(centered=True)
    codes = u if prior.n_labels else 2 * math.pi * u[:, None].double() / LABELS
    start_from_linear(flow := flow_of(prior=prior.double()), x, codes, seed=0)
    score = mean_corr_coef(z, unmixing_of(flow)(x)[0].numpy())
    assert score > (0.98 if prior.n_labels else 0.8)


def test_starts_depend_on_data_and_seed_alone(assert_rng_untouched) -> None:
    x, u, _ = linear_mixture(centered=True)
    flows = [flow_of(), flow_of(), flow_of()]
    with assert_rng_untouched():
        for flow, seed in zip(flows, (0, 0, 1), strict=True):
            start_from_linear(flow, x, u, seed)
    first, again, other = (unmixing_of(flow).matrix for flow in flows)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_rows_beyond_the_first_20000_change_only_the_prior() -> None:
    x, u, _ = linear_mixture(centered=True)
    x, u = x.repeat(6, 1), u.repeat(6)
    changed = torch.cat([x[:20_000], 5 * x[20_000:]])
    matrices = []
    for rows in (x, changed):
        start_from_linear(flow := flow_of(), rows, u, seed=0)
        matrices.append(unmixing_of(flow).matrix)
    assert torch.equal(*matrices)


def identity_of(flow: IdentifiableFlow) -> bool:
    matrix = unmixing_of(flow).matrix
    return torch.equal(matrix, torch.eye(len(matrix)).to(matrix))


def test_labels_of_few_rows_do_not_take_part() -> None:
    """Neither a mean nor a variance can be had of one row."""
    x, _, _ = linear_mixture(centered=True)
    flow = flow_of(prior=GaussianPrior(D, n_labels=len(x)).double())
    start_from_linear(flow, x, torch.arange(len(x)), seed=0)
    assert identity_of(flow)


def test_labels_of_fewer_rows_than_columns_take_part() -> None:
    """A label has to tell its mean and its variances, not a covariance."""
    data = nonstationary_sources(20, 45, 36, n_layers=1, centered=False, seed=1)
    order = np.random.default_rng(0).permutation(len(data.x))
    x = torch.from_numpy((data.x - data.x.mean(0)) / data.x.std(0))[order]
    bijection = ARCHITECTURES["affine"](20, n_layers=1, hidden=(4,))
    flow = IdentifiableFlow(bijection, GaussianPrior(20, n_labels=45)).double()
    start_from_linear(flow, x, torch.from_numpy(np.asarray(data.u))[order], seed=0)
    assert not identity_of(flow)
    assert mean_corr_coef(data.z[order], unmixing_of(flow)(x)[0].numpy()) > 0.9


def test_it_is_left_out_where_other_rows_become_less_likely() -> None:
    x, u, _ = linear_mixture(centered=True)
    x[360:, 1] = x[360:, 0] + 0.01 * x[360:, 1]  # not so in the first tenth
    flow = flow_of()
    start_from_linear(flow, x, u, seed=0)
    assert identity_of(flow)


def test_it_is_left_out_for_many_columns() -> None:
    torch.manual_seed(0)
    bijection = ARCHITECTURES["affine"](101, n_layers=1, hidden=(4,))
    flow = IdentifiableFlow(bijection, GaussianPrior(101, n_labels=2))
    start_from_linear(flow, torch.randn(500, 101), torch.arange(500) % 2, seed=0)
    assert identity_of(flow)


def test_without_an_unmixing_the_prior_is_fitted() -> None:
    x, u, _ = linear_mixture(centered=True)
    flow = IdentifiableFlow(LULinear(D), GaussianPrior(D, n_labels=LABELS)).double()
    before = flow.loss(x, u).mean()
    start_from_linear(flow, x, u, seed=0)
    assert flow.loss(x, u).mean() < before
