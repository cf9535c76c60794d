"""The fit of a prior where rows are few, or where it goes wrong."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from identiflow.shared.compute.random import seeded
from identiflow.shared.priors import GaussianPrior
from identiflow.shared.priors.fitting import MIN_ROWS_PER_LABEL, refine


def scales(prior: GaussianPrior, n_labels: int) -> Tensor:
    return prior(torch.arange(n_labels)).base_dist.scale.detach()


def test_a_label_of_just_enough_rows_has_a_spread_of_its_own() -> None:
    """One of fewer takes that of the rows of all labels which have enough."""
    counts = torch.tensor([100, MIN_ROWS_PER_LABEL, MIN_ROWS_PER_LABEL - 1])
    u = torch.repeat_interleave(torch.arange(3), counts)
    with seeded(0):
        z = torch.randn(len(u), 2) * torch.tensor([1.0, 7.0, 0.1])[u][:, None]
    prior = GaussianPrior(2, n_labels=3)
    prior.initialize_from(z, u)
    own = torch.stack([z[u == label].std(0, correction=0) for label in range(3)])
    found = scales(prior, 3)
    torch.testing.assert_close(found[:2], own[:2])
    shared = (own[:2].square() * counts[:2, None]).sum(0) / counts[:2].sum()
    torch.testing.assert_close(found[2], shared.sqrt())


@pytest.mark.parametrize("judged", [math.nan, -math.inf, -1.0])
def test_a_fit_that_is_no_better_on_other_rows_is_undone(judged: float) -> None:
    """NaN is no better than any number."""
    with seeded(0):
        z, u = 3 + torch.randn(60, 1), torch.arange(60) % 2
        prior = GaussianPrior(1, n_labels=2)
    start = {name: tensor.clone() for name, tensor in prior.state_dict().items()}

    def log_prob(z: Tensor, u: Tensor) -> Tensor:
        moved = not all(torch.equal(t, start[name]) for name, t in prior.state_dict().items())
        log_p = prior.log_prob(z, u)
        return log_p if torch.is_grad_enabled() or not moved else judged + 0 * log_p - 1e6

    with torch.no_grad():
        refine(prior, log_prob, z, u, max_rows=100)
        assert all(torch.equal(t, start[name]) for name, t in prior.state_dict().items())
        refine(prior, prior.log_prob, z, u, max_rows=100)
    assert prior(u[:2]).mean.min() > 2
