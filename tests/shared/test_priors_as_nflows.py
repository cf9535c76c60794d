"""Every prior as the base distribution of an nflows Flow, with u as its context."""

from __future__ import annotations

import pytest
import torch
from nflows.flows import Flow
from nflows.transforms import PointwiseAffineTransform
from torch import Tensor

from identiflow.shared.priors import ConditionalPrior, UnconditionalPrior
from identiflow.shared.priors.by_name import PRIORS

N, N_LABELS, Q, ROWS = 3, 4, 2, 8
LABELS = torch.arange(ROWS) % N_LABELS
VALUES = torch.linspace(-1, 1, ROWS * Q).double().view(ROWS, Q)
U: dict[str, tuple[dict, Tensor]] = {
    "labels": ({"n_labels": N_LABELS}, LABELS),
    "interventions": ({"n_labels": N_LABELS, "targets": (0, None, 1, 0), "informative": 2}, LABELS),
    "continuous": ({"aux_dim": Q}, VALUES),
    "mixed": (
        {"n_labels": N_LABELS, "aux_dim": Q, "informative": 2},
        torch.cat([LABELS[:, None], VALUES], dim=1),
    ),
}


def moved(prior: ConditionalPrior) -> ConditionalPrior:
    """In double precision, with parameters away from their initial values."""
    for parameter in prior.double().parameters():
        parameter.data.add_(0.5 * torch.randn_like(parameter))
    return prior


@pytest.fixture(params=U)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def u(kind: str) -> Tensor:
    return U[kind][1]


@pytest.fixture(params=PRIORS)
def prior(request: pytest.FixtureRequest, kind: str) -> ConditionalPrior:
    return moved(PRIORS[request.param](N, hidden=(8,), **U[kind][0]))


@pytest.fixture
def z() -> Tensor:
    return 2 * torch.randn(ROWS, N, dtype=torch.float64)


def test_the_base_has_its_log_prob_and_layout(
    prior: ConditionalPrior, u: Tensor, z: Tensor
) -> None:
    base = prior.as_nflows()
    assert torch.equal(base.log_prob(z, context=u), prior.log_prob(z, u))
    draws, log_p = base.sample_and_log_prob(5, context=u)
    assert draws.shape == (ROWS, 5, N)
    for sample in range(5):
        alone = prior.log_prob(draws[:, sample], u)
        torch.testing.assert_close(log_p[:, sample], alone)


@pytest.mark.parametrize("batch_size", [None, 1500])
def test_samples_belong_to_their_context(
    prior: ConditionalPrior, u: Tensor, batch_size: int | None
) -> None:
    n_draws = 4000
    draws = prior.as_nflows().sample(n_draws, context=u, batch_size=batch_size)
    assert draws.shape == (ROWS, n_draws, N)
    error = (draws.mean(1) - prior(u).mean).abs() / prior(u).stddev
    assert error.max() < 5 / n_draws**0.5


def test_a_flow_takes_it_as_its_base(prior: ConditionalPrior, u: Tensor, z: Tensor) -> None:
    shift, scale = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.5, 2.0, 3.0]).double()
    flow = Flow(PointwiseAffineTransform(shift, scale), prior.as_nflows())
    expected = prior.log_prob(scale * z + shift, u) + scale.log().sum()
    torch.testing.assert_close(flow.log_prob(z, context=u), expected)
    assert flow.sample(5, context=u).shape == (ROWS, 5, N)


def test_an_unconditional_base_needs_no_context(z: Tensor) -> None:
    prior = moved(UnconditionalPrior(N))
    base = prior.as_nflows()
    assert torch.equal(base.log_prob(z), prior.log_prob(z, torch.zeros(ROWS)))
    assert base.sample(7).shape == base.sample(7, batch_size=3).shape == (7, N)
    assert torch.equal(base.mean(), prior(torch.zeros(1)).mean)
