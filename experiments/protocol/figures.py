"""Figures that several studies draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.protocol.study import RESULTS
from experiments.protocol.table import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def strips(study: str, rows: Sequence[Row], published: Mapping[str, float]) -> None:
    """One panel for each kind of data: MCC of each seed, a line of dots a method."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(row.data for row in rows))
    names = list(dict.fromkeys(row.method for row in rows))
    height = 1.2 + 0.28 * (len(names) + len(published))
    figure = Figure(figsize=(3.2 + 2.4 * len(panels), height), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    labels = [*names, *published]
    for ax, data in zip(axes, panels, strict=True):
        for y, name in enumerate(names):
            scores = [r.mcc for r in rows if (r.data, r.method) == (data, name) and r.mcc]
            ax.plot(scores, np.full(len(scores), y), "o", ms=4, alpha=0.5, color="C0")
            if scores:
                ax.plot(np.mean(scores), y, "|", ms=14, mew=2, color="black")
        if data == panels[0]:
            for y, score in enumerate(published.values(), start=len(names)):
                ax.plot(score, y, "D", ms=5, color="C1")
        ax.set(title=data, xlabel="MCC, held-out rows", xlim=(0, 1.02))
        ax.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(labels)), labels)
    axes[0].invert_yaxis()
    save(figure, RESULTS / study / "mcc.png")


def save(figure: Figure, path: Path) -> None:
    """Write a figure and say where it is."""
    figure.savefig(path, dpi=150)
    print(f"figure: {path}")
