"""Matplotlib figures of latents; each function draws on Axes and returns them.

matplotlib is imported inside the functions: fitting models does not need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from identiflow.shared.auxiliary import Auxiliary
from identiflow.shared.inputs.extras import needed_by
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.inputs.validation import as_matrix, to_numpy
from identiflow.shared.metrics import Matching, match_sources
from identiflow.shared.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_POINTS = 3000


def plot_sources(
    z_true: ArrayLike,
    z_pred: ArrayLike,
    u: Any,
    *,
    matching: Matching | None = None,
    names: Sequence[str] = (),
    axes: Any = None,
) -> NDArray[Any]:
    """Each true source against the latent matched to it, coloured by u; one panel a source.

    A latent that is its source up to a component-wise map shows as one curve for all colours.

    Args:
        z_true: sources, (N, n) or (N,), an array or a frame.
        z_pred: latents, (N, m) or (N,).
        u: labels or values, (N,), for the colours; of several columns the first.
        matching: which latent goes with which source; by default the best one on these rows.
        names: of the sources; numbers by default.
        axes: n Axes to draw on, in any grid; a new row of panels by default.

    Raises:
        ValueError: for what are no numbers, other rows, indexes that differ, or another number of
            Axes or names.
    """
    check_paired(z_true, z_pred, u, names=("z_true", "z_pred", "u"))
    z_true, z_pred = _as_latents(z_true, "z_true"), _as_latents(z_pred, "z_pred")
    _expect_rows(len(z_pred), "z_pred", len(z_true), "z_true")
    if matching is None:
        matching = match_sources(z_true, z_pred, allow_unequal=True)
    panels = _panels(axes, len(matching.true_index))
    if len(names) and len(names) < z_true.shape[1]:
        raise ValueError(
            f"Expected names of all {z_true.shape[1]} sources; got {len(names)}. Name each."
        )
    rows = _some_rows(len(z_true))
    colours = _colour_codes(u, len(z_true), "z_true")[rows]
    pairs = zip(
        panels.flat,
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
    return panels


def plot_latents(z: ArrayLike, u: Any, *, ax: Axes | None = None) -> Axes:
    """The first two columns of z (N, n ≥ 2), an array or a frame, as a scatter, coloured by u.

    Raises:
        ValueError: for what are no numbers, a single column, other rows, or indexes that differ.
    """
    check_paired(z, u, names=("z", "u"))
    z = _as_latents(z, "z")
    if z.shape[1] < 2:
        raise ValueError(
            f"Expected z with at least 2 columns, which are drawn against each other; got "
            f"{z.shape[1]}. Draw one latent as a histogram."
        )
    ax = _row_of_axes(1)[0] if ax is None else ax
    rows = _some_rows(len(z))
    colours = _colour_codes(u, len(z), "z")[rows]
    ax.scatter(z[rows, 0], z[rows, 1], c=colours, cmap="viridis", s=4, alpha=0.6, lw=0)
    ax.set_xlabel("latent 1")
    ax.set_ylabel("latent 2")
    return ax


def plot_history(history: History, *, ax: Axes | None = None) -> Axes:
    """Training and held-out loss in nats against the step; the kept weights are marked.

    Args:
        history: of a fit, or the estimator that has it.
        ax: to draw on; a new figure's by default.
    """
    history = getattr(history, "history_", history)
    ax = _row_of_axes(1)[0] if ax is None else ax
    ax.plot(history.step, history.train_loss, label="training", color="0.6")
    ax.plot(history.step, history.held_out_loss, label="held out", color="C0")
    ax.axvline(history.best_step, color="C0", ls=":", lw=1, label="kept weights")
    ax.set_xlabel("gradient step")
    ax.set_ylabel(f"{history.loss_name} (nats per row)")
    ax.legend(frameon=False)
    return ax


def plot_modulation(modulation: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """A report's `modulation`: the change of each latent's prior by u (nats), strongest first.

    Args:
        modulation: (n,), or the report that has it.
        ax: to draw on; a new figure's by default.
    """
    ax = _row_of_axes(1)[0] if ax is None else ax
    modulation = to_numpy(getattr(modulation, "modulation", modulation), "modulation")
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


def _panels(axes: Any, count: int) -> NDArray[Any]:
    """As many Axes as are drawn on, in the grid that they were given in."""
    if axes is None:
        return _row_of_axes(count)
    panels = np.array(axes, dtype=object, ndmin=1)
    if panels.size != count or not all(hasattr(panel, "scatter") for panel in panels.flat):
        raise ValueError(
            f"Expected axes as {count} matplotlib Axes, one for each source; got {panels.size} "
            f"{type(panels.flat[0]).__name__}. Pass plt.subplots(1, {count})[1]."
        )
    return panels


def _some_rows(n_rows: int) -> NDArray[np.int64]:
    """A fixed random choice of rows, few enough to be drawn."""
    return np.random.default_rng(0).permutation(n_rows)[:MAX_POINTS]


def _as_latents(values: Any, name: str) -> NDArray[np.float64]:
    """Latents in any form as finite numbers, (N, n); a vector is one column."""
    array = to_numpy(values, name)
    return as_matrix(array[:, None] if array.ndim == 1 else array, name)


def _colour_codes(u: Any, n_rows: int, name: str) -> NDArray[Any]:
    """A number for each row, (N,): u itself if it is floats, else one for each label."""
    values = _of_auxiliary(u) if isinstance(u, Auxiliary) else to_numpy(u, "u")
    _expect_rows(len(values) if values.ndim else 0, "u", n_rows, name)
    if values.ndim > 1:
        values = values[:, 0]
    if values.dtype.kind == "f":
        return values
    if values.dtype.kind == "O":  # of which some may not be compared
        values = values.astype(str)
    return np.unique(values, return_inverse=True)[1]


def _of_auxiliary(u: Auxiliary) -> NDArray[Any]:
    """The values that it is of, if they are its own and of one kind."""
    if not hasattr(u, "__array__"):
        raise ValueError(
            f"Expected u as labels or values, (N,), for the colours; got {type(u).__name__}. Pass "
            "one of its parts, u.labels, or what it makes of the rows of x: u.columns(x).labels of "
            "segments, a column of u.columns(x).continuous of a past."
        )
    return np.asarray(u)


def _expect_rows(got: int, name: str, expected: int, other: str) -> None:
    if got != expected:
        raise ValueError(
            f"Expected {name} with {expected} rows, one for each row of {other}; got {got}. Pass "
            "the same samples in the same order."
        )
