"""Figures hold what was passed in, and are returned rather than shown."""

from __future__ import annotations

import numpy as np
import pytest

from identiflow.shared.metrics import mean_corr_coef
from identiflow.shared.plotting import (
    MAX_POINTS,
    plot_history,
    plot_latents,
    plot_modulation,
    plot_sources,
)
from identiflow.shared.training import History


@pytest.fixture
def latents():
    z = np.random.default_rng(0).normal(size=(500, 3))
    return z, -2 * z[:, [2, 0, 1]] + 1, np.arange(500) % 7


def test_sources_are_drawn_against_their_own_latents_with_the_sign_turned(latents):
    z_true, z_pred, u = latents
    for i, ax in enumerate(plot_sources(z_true, z_pred, u)):
        points = np.asarray(ax.collections[0].get_offsets())
        assert ax.get_xlabel() == f"source {i + 1}"
        assert ax.get_title() == "|r| = 1.000"
        assert np.corrcoef(points.T)[0, 1] == pytest.approx(1)


def test_a_matching_found_elsewhere_is_used(latents):
    z_true, z_pred, u = latents
    _, matching = mean_corr_coef(z_true, z_pred[:, ::-1], return_matching=True)
    axes = plot_sources(z_true, z_pred, u, matching=matching)
    drawn = np.asarray(axes[1].collections[0].get_offsets())
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.2


def test_large_data_are_thinned():
    z = np.random.default_rng(0).normal(size=(2 * MAX_POINTS, 2))
    ax = plot_latents(z, np.array(["a", "b"]).repeat(MAX_POINTS))
    assert len(ax.collections[0].get_offsets()) == MAX_POINTS


def test_history_shows_both_losses_and_the_kept_weights():
    ax = plot_history(History("nll", [10, 20], [3.0, 2.0], [3.5, 2.5], best_step=20))
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(lines["training"]) == [3.0, 2.0]
    assert list(lines["held out"]) == [3.5, 2.5]
    assert "nll" in ax.get_ylabel()


def test_modulation_is_sorted_and_labelled():
    ax = plot_modulation(np.array([0.1, 3.0, 1.0]))
    assert [bar.get_height() for bar in ax.patches] == [3.0, 1.0, 0.1]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "3", "1"]
