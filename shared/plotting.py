"""Matplotlib figures of latents; each function draws on Axes and returns them.

matplotlib is imported inside the functions: fitting models does not need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.inputs.extras import needed_by
from identiflow.shared.metrics import Matching, match_sources
from identiflow.shared.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_POINTS = 3000


def plot_sources(
    z_true: NDArray[Any],
    z_pred: NDArray[Any],
    u: NDArray[Any],
    *,
    matching: Matching | None = None,
    names: Sequence[str] = (),
    axes: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Each true source against the latent matched to it, coloured by u; one panel a source.

    A latent that is its source up to a component-wise map shows as one curve for all colours.

    Args:
        z_true: sources, (N, n).
        z_pred: latents, (N, m).
        u: labels or values, (N,), for the colours.
        matching: which latent goes with which source; by default the best one on these rows.
        names: of the sources; numbers by default.
        axes: n Axes to draw on; a new row of panels by default.
    """
    if matching is None:
        matching = match_sources(z_true, z_pred, allow_unequal=True)
    axes = _row_of_axes(len(matching.true_index)) if axes is None else np.atleast_1d(axes)
    rows = _some_rows(len(z_true))
    colours = _colour_codes(u)[rows]
    pairs = zip(
        axes,
        matching.true_index,
        matching.pred_index,
        matching.sign,
        matching.correlation,
        strict=True,
    )
    for panel, i, j, sign, correlation in pairs:
        latent = (sign or 1) * z_pred[rows, j]
        panel.scatter(z_true[rows, i], latent, c=colours, cmap="viridis", s=4, alpha=0.6, lw=0)
        panel.set_title(f"|r| = {abs(correlation):.3f}", fontsize=10)
        panel.set_xlabel(names[i] if len(names) else f"source {i + 1}")
        panel.set_ylabel(f"{'−' if sign < 0 else ''}latent {j + 1}")
    return axes


def plot_latents(z: NDArray[Any], u: NDArray[Any], *, ax: Axes | None = None) -> Axes:
    """The first two columns of z (N, n ≥ 2) as a scatter, coloured by u."""
    ax = _row_of_axes(1)[0] if ax is None else ax
    rows = _some_rows(len(z))
    colours = _colour_codes(u)[rows]
    ax.scatter(z[rows, 0], z[rows, 1], c=colours, cmap="viridis", s=4, alpha=0.6, lw=0)
    ax.set_xlabel("latent 1")
    ax.set_ylabel("latent 2")
    return ax


def plot_history(history: History, *, ax: Axes | None = None) -> Axes:
    """Training and held-out loss in nats against the step; the kept weights are marked."""
    ax = _row_of_axes(1)[0] if ax is None else ax
    ax.plot(history.step, history.train_loss, label="training", color="0.6")
    ax.plot(history.step, history.held_out_loss, label="held out", color="C0")
    ax.axvline(history.best_step, color="C0", ls=":", lw=1, label="kept weights")
    ax.set_xlabel("gradient step")
    ax.set_ylabel(f"{history.loss_name} (nats per row)")
    ax.legend(frameon=False)
    return ax


def plot_modulation(modulation: NDArray[Any], *, ax: Axes | None = None) -> Axes:
    """A report's `modulation`: the change of each latent's prior by u (nats), strongest first."""
    ax = _row_of_axes(1)[0] if ax is None else ax
    order = np.argsort(modulation)[::-1]
    ax.bar(np.arange(len(order)), modulation[order], color="C0")
    ax.set_xticks(np.arange(len(order)), [str(i + 1) for i in order])
    ax.set_xlabel("latent")
    ax.set_ylabel("modulation by u (nats)")
    return ax


def _row_of_axes(count: int) -> NDArray[Any]:
    with needed_by("plot"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * count, 3), layout="constrained")
    return figure.subplots(1, count, squeeze=False)[0]


def _some_rows(n_rows: int) -> NDArray[np.int64]:
    """A fixed random choice of rows, few enough to be drawn."""
    return np.random.default_rng(0).permutation(n_rows)[:MAX_POINTS]


def _colour_codes(u: NDArray[Any]) -> NDArray[Any]:
    values = np.asarray(u)
    if values.ndim > 1:
        values = values[:, 0]
    return values if values.dtype.kind == "f" else np.unique(values, return_inverse=True)[1]
