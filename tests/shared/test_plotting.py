"""Figures hold what was passed in, and are returned rather than shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import xarray as xr

from identiflow.iflow import IFlow
from identiflow.shared.auxiliary import History as Lags
from identiflow.shared.auxiliary import Labels, Mixed, TimeSegments
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


def drawn(ax):
    points = ax.collections[0]
    return np.asarray(points.get_offsets()), np.asarray(points.get_array())


ROWS = np.arange(500) * 7 % 500
HOLDERS = {
    "frame": lambda v: pd.DataFrame(v),
    "frame with an index": lambda v: pd.DataFrame(v, index=[f"row {i}" for i in ROWS]),
    "nullable frame": lambda v: pd.DataFrame(v).convert_dtypes(),
    "pyarrow": lambda v: pa.Table.from_pandas(pd.DataFrame(v).rename(columns=str)),
    "xarray": lambda v: xr.DataArray(v),
    "tensor": torch.as_tensor,
    "list": np.ndarray.tolist,
}


@pytest.mark.parametrize("of_u", HOLDERS)
@pytest.mark.parametrize("of_z", HOLDERS)
def test_figures_are_the_same_whatever_holds_their_rows(latents, of_z, of_u):
    z_true, z_pred, u = latents
    hold, u_held = HOLDERS[of_z], HOLDERS[of_u](u[:, None])
    expected, got = plot_latents(z_true, u), plot_latents(hold(z_true), u_held)
    for part, other in zip(drawn(expected), drawn(got), strict=True):
        np.testing.assert_array_equal(part, other)
    panels = plot_sources(z_true, z_pred, u), plot_sources(hold(z_true), hold(z_pred), u_held)
    for ax, another in zip(*panels, strict=True):
        np.testing.assert_array_equal(drawn(ax)[0], drawn(another)[0])


@pytest.mark.parametrize("form", ["pandas", "default"])
def test_what_transform_returns_is_drawn(form):
    u = np.arange(300) % 5
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2)) * (u + 1)[:, None])
    x.index = ROWS[:300]
    flow = IFlow(n_layers=1, hidden=(4,), max_steps=2).set_output(transform=form).fit(x, u)
    z = flow.transform(x)
    points = drawn(plot_latents(z, pd.Series(u, x.index)))[0]
    assert set(map(tuple, points)) == set(map(tuple, np.asarray(z)))
    assert len(plot_sources(z, z, Labels(u))) == 2


COLOURS = {
    "words": ["a", "b"],
    "words and numbers": ["a", 1],
    "flags": [True, False],
    "dates": [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")],
}


@pytest.mark.parametrize("case", COLOURS)
def test_labels_of_any_type_have_a_colour_each(latents, case):
    colours = drawn(plot_latents(latents[0], COLOURS[case] * 250))[1]
    assert np.unique(colours, return_counts=True)[1].tolist() == [250, 250]


LOSSES = History("ELBO", step=[1, 2], train_loss=[3.0, 2.0], held_out_loss=[3.0, 2.5])


def test_panels_may_be_in_any_grid(latents):
    z = np.c_[latents[0], latents[0][:, 0]]
    grid = np.array([plot_history(LOSSES) for _ in range(4)]).reshape(2, 2)
    assert plot_sources(z, z, latents[2], axes=grid).shape == (2, 2)
    assert [ax.get_xlabel() for ax in grid.flat] == [f"source {i}" for i in (1, 2, 3, 4)]


def test_what_holds_a_history_or_modulation_is_drawn_as_it_is():
    u = np.arange(300) % 5
    x = np.random.default_rng(0).normal(size=(300, 2)) * (u + 1)[:, None]
    flow = IFlow(n_layers=1, hidden=(4,), max_steps=2, compile=False).fit(x, u)
    lines = [ax.lines[1].get_ydata() for ax in map(plot_history, (flow, flow.history_))]
    np.testing.assert_array_equal(*lines)
    report = flow.check_identifiability(u)
    bars = [plot_modulation(of).patches for of in (report, report.modulation)]
    assert [bar.get_height() for bar in bars[0]] == [bar.get_height() for bar in bars[1]]


Z = np.random.default_rng(1).normal(size=(500, 3))
WRONG = {
    "one column": (lambda: plot_latents(Z[:, :1], ROWS), "z with at least 2 columns.*got 1"),
    "a vector": (lambda: plot_latents(Z[:, 0], ROWS), "z with at least 2 columns.*got 1"),
    "words": (lambda: plot_latents([["a", "b"]] * 500, ROWS), "Expected z to be numeric"),
    "NaN": (lambda: plot_sources(Z, Z * np.nan, ROWS), "finite values in z_pred"),
    "rows of u": (lambda: plot_latents(Z, ROWS[1:]), "u with 500 rows, .* of z; got 499"),
    "no u": (lambda: plot_latents(Z, None), "u with 500 rows, .* of z; got 0"),
    "u of x": (lambda: plot_latents(Z, TimeSegments(3)), "colours; got TimeSegments.* segments"),
    "a past": (lambda: plot_latents(Z, Lags(2)), r"colours; got History\. Pass .* of a past"),
    "labels and values": (
        lambda: plot_latents(Z, Mixed(ROWS, Z[:, 0])),
        r"u as labels or values, \(N,\), for the colours; got Mixed\. Pass one of its parts, u.lab",
    ),
    "labels beside sources": (lambda: plot_sources(Z, Z, Mixed(ROWS, Z[:, 0])), "got Mixed"),
    "rows": (lambda: plot_sources(Z, Z[1:], ROWS), "z_pred with 500 rows, .* of z_true; got 499"),
    "u of another index": (
        lambda: plot_latents(pd.DataFrame(Z, ROWS), pd.Series(ROWS)),
        "u with the index of z",
    ),
    "fewer axes": (
        lambda: plot_sources(Z, Z, ROWS, axes=[plot_history(LOSSES)]),
        r"axes as 3 matplotlib Axes, .*got 1 Axes. Pass plt.subplots\(1, 3\)\[1\]",
    ),
    "no axes": (lambda: plot_sources(Z, Z, ROWS, axes=list("abc")), "matplotlib Axes, .*got 3 str"),
    "fewer names": (lambda: plot_sources(Z, Z, ROWS, names="ab"), "names of all 3 sources; got 2"),
    "latents of another index": (
        lambda: plot_sources(pd.DataFrame(Z), pd.DataFrame(Z, ROWS), ROWS),
        "z_pred with the index of z_true",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_drawn_is_refused_by_name(case):
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        call()


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
