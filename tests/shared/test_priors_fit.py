"""Fits of single families, against what is known of their data."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from identiflow.shared.priors import GaussianPrior, MixturePrior

N, N_LABELS = 3, 4
GROUPS = torch.tensor([0] * 12 + [1] * 30 + [2] * 40 + [3] * 57)


def moments(z: np.ndarray, modulates: str) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest location and scale of each label, (n_labels, n), the slow way."""
    of_label = [z[GROUPS.numpy() == label] for label in range(N_LABELS)]
    share = np.bincount(GROUPS)[:, None] / len(GROUPS)
    own_mean = np.array([rows.mean(0) for rows in of_label])
    own_variance = np.array([rows.var(0) for rows in of_label])
    if modulates == "mean_and_scale":
        return own_mean, np.sqrt(own_variance)
    shared_variance = (share * own_variance).sum(0)
    return own_mean, np.tile(np.sqrt(shared_variance), (N_LABELS, 1))


@pytest.mark.parametrize("modulates", ["mean_and_scale", "mean"])
def test_fit_of_labels_is_numpys_moments(modulates):
    prior = GaussianPrior(N, modulates=modulates, n_labels=N_LABELS, informative=2).double()
    z = 3 + GROUPS[:, None] + torch.randn(len(GROUPS), N).double() * (1 + GROUPS[:, None])
    prior.initialize_from(z, GROUPS)
    fitted = prior(torch.arange(N_LABELS)).base_dist
    mean, scale = moments(z.numpy(), modulates)
    mean[:, 2:], scale[:, 2:] = z[:, 2:].mean(0), z[:, 2:].std(0, correction=0)
    np.testing.assert_allclose(fitted.loc.detach(), mean, rtol=1e-9)
    np.testing.assert_allclose(fitted.scale.detach(), scale, rtol=1e-9)


def test_a_mixture_finds_the_modes_of_sources_that_u_tilts():
    generator = torch.Generator().manual_seed(8)
    u = torch.arange(2000) % N_LABELS
    # Two modes, which are the likelier the higher or the lower the label is.
    upper = torch.rand(2000, N, generator=generator) < (0.2 + 0.2 * u[:, None])
    z = torch.where(upper, 2.0, -2.0) + 0.3 * torch.randn(2000, N, generator=generator)
    z = z.double()
    gaussian = GaussianPrior(N, n_labels=N_LABELS).double()
    mixture = MixturePrior(N, n_components=2, n_labels=N_LABELS).double()
    for prior in (gaussian, mixture):
        prior.initialize_from(z, u)
    # The entropy of a mode and of which it is: a Gaussian cannot come near it.
    entropy = N * (
        0.5 * np.log(2 * np.pi * np.e * 0.09)
        + stats.bernoulli([0.2, 0.4, 0.6, 0.8]).entropy().mean()
    )
    assert mixture.log_prob(z, u).mean().item() == pytest.approx(-entropy, abs=0.05)
    assert gaussian.log_prob(z, u).mean() < -entropy - 1
