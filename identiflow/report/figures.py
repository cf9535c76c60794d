"""The figures of the page, as SVG that takes the page's colours."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.extras import needed_by
from identiflow.shared.plotting import plot_history, plot_latents
from identiflow.shared.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Stands for whatever colour the page's text has, in light and in dark.
INK = "#010203"
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "identiflow",
    "text.parse_math": False,  # names of columns are not formulas
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
}
MOST_NAMES = 40  # more ticks than this could not be read
N_BINS = 20
MOST_TRAVERSED, MOST_CURVES = 6, 4


def learning_curves(history: History, oracle: float | None) -> str:
    """Training and held-out loss against the step; the true model's, where it is known."""
    with _one_panel() as (figure, ax):
        plot_history(history, ax=ax)
        if oracle is not None:
            ax.axhline(-oracle, color="C2", ls="--", lw=1, label="the true model")
            ax.legend(frameon=False)
        top = np.quantile(history.held_out_loss, 0.9)
        low = min(history.best_loss, *history.train_loss, top if oracle is None else -oracle)
        ax.set_ylim(low - 0.05 * (top - low + 1e-9), top + 0.2 * (top - low) + 1e-9)
        return _svg(figure)


def latents(z: Array, u: NDArray[Any]) -> str:
    """Pairs of neighbouring latents coloured by u, at most three; one latent as a histogram."""
    pairs = [(i, i + 1) for i in range(0, min(z.shape[1] - 1, 6), 2)]
    with _panels(max(1, len(pairs)), (3.0, 2.8)) as (figure, axes):
        for ax, (i, j) in zip(axes, pairs, strict=False):
            plot_latents(z[:, [i, j]], u, ax=ax)
            ax.collections[0].set_rasterized(True)
            ax.set(xlabel=f"z{i}", ylabel=f"z{j}")
        if not pairs:
            axes[0].hist(z[:, 0], bins=40, color="C0")
            axes[0].set(xlabel="z0", ylabel="rows")
        return _svg(figure)


def heat_map(
    values: Array, rows: Sequence[str], columns: Sequence[str], label: str, diverging: bool = True
) -> str:
    """A matrix in colours, (len(rows), len(columns)), around 0 or from 0 to 1; names if legible."""
    width = min(9.0, 2.2 + 0.28 * len(columns))
    height = min(9.0, 1.3 + 0.24 * len(rows))
    with _one_panel((width, height)) as (figure, ax):
        most = float(np.abs(values).max()) or 1.0
        colours = ("RdBu_r", -most, most) if diverging else ("viridis", 0.0, 1.0)
        options: Any = dict(zip(("cmap", "vmin", "vmax"), colours, strict=True))
        image = ax.imshow(values, aspect="auto", interpolation="nearest", **options)
        _names(ax.set_xticks, columns, rotation=90)
        _names(ax.set_yticks, rows)
        bar = figure.colorbar(image, ax=ax, shrink=0.9)
        bar.set_label(label)
        return _svg(figure)


def traversals(ways: Array, share: Array, names: Sequence[str]) -> str:
    """x (n, T, d) along each latent, the columns that change most; six latents at most."""
    ways = ways[:MOST_TRAVERSED]
    with _panels(len(ways), (3.0, 2.4)) as (figure, axes):
        for i, (ax, way) in enumerate(zip(axes, ways, strict=True)):
            most = np.argsort(-np.ptp(way, axis=0))[:MOST_CURVES]
            for j in most:
                ax.plot(100 * share, way[:, j], lw=1.5, label=_short(names[j]))
            ax.set(title=f"z{i}", xlabel=f"quantile of z{i}, %", ylabel="x, deviations")
            ax.legend(frameon=False, fontsize=7)
        return _svg(figure)


def calibration(quantiles: Array) -> str:
    """Histograms of P(Z ≤ z | u) of each latent, which are flat if the density is right."""
    n = quantiles.shape[1]
    with _panels(min(n, 10), (1.7, 1.6), per_row=5) as (figure, axes):
        for i, ax in enumerate(axes):
            ax.hist(quantiles[:, i], bins=N_BINS, range=(0, 1), density=True, color="C0")
            ax.axhline(1, color=INK, lw=0.8)
            ax.set(title=f"z{i}", xticks=[0, 1], ylim=(0, None))
        return _svg(figure)


def _names(set_ticks: Callable[..., Any], names: Sequence[str], **options: Any) -> None:
    step = -(-len(names) // MOST_NAMES)
    shown = [_short(name) for name in names[::step]]
    set_ticks(range(0, len(names), step), shown, **options)


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


@contextmanager
def _one_panel(size: tuple[float, float] = (5.2, 2.9)) -> Iterator[tuple[Figure, Axes]]:
    with _panels(1, size) as (figure, axes):
        yield figure, axes[0]


@contextmanager
def _panels(
    count: int, size: tuple[float, float], per_row: int = 3
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of so many panels of this size in inches."""
    with needed_by("plot"):
        import matplotlib as mpl
        from matplotlib.figure import Figure

    columns = min(count, per_row)
    rows = -(-count // columns)
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # Text stays text in the SVG: the browser has fonts for it.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for unused in axes[count:]:
            unused.set_axis_off()
        yield figure, axes[:count]


def _svg(figure: Figure) -> str:
    """The figure as an SVG element whose text and lines have the page's colour."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    width = f'style="width:{figure.get_figwidth():.2f}in"'  # the page makes it narrower, if need be
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', width, text, count=1)
