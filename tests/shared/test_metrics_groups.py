"""Within-group MCC: what the means of the groups of u cannot carry."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from identiflow.shared.metrics import chance_level, mean_corr_coef, within_group_mean_corr_coef

D = 4


def draw(seed=0, *, n, d=D):
    return np.random.default_rng(seed).laplace(size=(n, d))


def environments(n_groups=20, rows=300, signal=0.0):
    """Sources and latents that share the means of their groups, and `signal` inside of them."""
    rng = np.random.default_rng(0)
    u = np.repeat(np.arange(n_groups), rows)
    means = rng.normal(scale=5, size=(n_groups, D))[u]
    z, noise = rng.normal(size=(2, len(u), D))
    return means + z, means + signal * z + (1 - signal) * noise, u


def test_means_of_environments_carry_the_pooled_score_but_not_the_one_within():
    z, latents, u = environments()
    assert mean_corr_coef(z, latents) > 0.9
    chance = chance_level(z, latents, score=lambda a, b: within_group_mean_corr_coef(a, b, u))
    assert within_group_mean_corr_coef(z, latents, u) < chance.upper + 0.01
    assert chance.mean == pytest.approx(np.sqrt(2 / (np.pi * 300)), abs=0.01)


def test_one_matching_holds_for_all_groups():
    z, u = draw(n=1000, d=2), np.arange(1000) % 2
    swapped = np.where(u[:, None] == 0, z, z[:, ::-1])  # each group alone would score 1
    assert within_group_mean_corr_coef(z, swapped, u) == pytest.approx(0.5, abs=0.05)


def test_groups_weigh_the_same_whatever_their_size():
    z, u = draw(n=10_000), np.repeat([0, 1], [9000, 1000])
    latents = np.where(u[:, None] == 0, z, draw(1, n=10_000))
    assert within_group_mean_corr_coef(z, latents, u) == pytest.approx(0.5, abs=0.02)


LABELS = {
    "strings": lambda u: np.array([f"experiment {i}" for i in u]),
    "a column": lambda u: u[:, None],
    "tensor": torch.tensor,
    "categorical series": lambda u: pd.Series(u).astype("category"),
    "series of strings": lambda u: pd.Series([f"subject {i}" for i in u]),
    "renamed": lambda u: 100 - 7 * u,
}


@pytest.mark.parametrize("relabel", LABELS.values(), ids=LABELS)
def test_labels_are_names_only(relabel):
    z, latents, u = environments(n_groups=4, signal=0.4)
    value = within_group_mean_corr_coef(z, latents, u)
    assert within_group_mean_corr_coef(z, latents, relabel(u)) == pytest.approx(value, abs=1e-12)


def test_the_order_of_rows_does_not_matter():
    z, latents, u = environments(n_groups=4, signal=0.4)
    order = np.random.default_rng(5).permutation(len(u))
    value = within_group_mean_corr_coef(z[order], latents[order], u[order])
    assert value == pytest.approx(within_group_mean_corr_coef(z, latents, u), abs=1e-12)
