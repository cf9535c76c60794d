"""The mixture prior on sources that are what it is made for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from identiflow.shared.priors import GaussianPrior, MixturePrior

N, N_LABELS = 3, 4


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
