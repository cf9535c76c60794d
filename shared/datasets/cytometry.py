"""Protein signalling in single cells, with u = experimental condition."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from identiflow.shared.datasets.files import data_files
from identiflow.shared.datasets.real import RealData, real_data

_RAW = "sachs.2005.continuous.txt"
_WITH_CONDITIONS = "sachs.2005.continuous.discrete.experimental.mixed.maximum.2.txt"
_GRAPH = "sachs.2005.ground.truth.graph.txt"


def load_sachs(folder: str | os.PathLike[str] | None = None, *, log: bool = False) -> RealData:
    """Load the Sachs data: 11 signalling molecules in 7,466 cells under 9 conditions.

    Args:
        folder: the data's folder or its parent; else IDENTIFLOW_DATA; else the files are fetched.
        log: whether to return log(x + 10), which tames the long tails; else raw intensities.

    Returns:
        `RealData`: x (7466, 11), u the reagents of the condition joined by "+" (such as
        "cd3_cd28+icam2"), `edges` the 20 edges of the consensus graph.

    Example:
        >>> data = load_sachs(log=True)  # doctest: +SKIP
        >>> data.x.shape, len(set(data.u)), len(data.edges)  # doctest: +SKIP
        ((7466, 11), 9, 20)
    """
    paths = data_files("sachs", [_RAW, _WITH_CONDITIONS, _GRAPH], folder)
    x = np.loadtxt(paths[_RAW], skiprows=1)
    n_features = x.shape[1]
    names = _header(paths[_WITH_CONDITIONS])
    reagents = np.array(names[n_features:])
    given = np.loadtxt(
        paths[_WITH_CONDITIONS], skiprows=1, usecols=range(n_features, len(names)), dtype=int
    )
    edges = re.findall(r"\d+\. (\w+) --> (\w+)", paths[_GRAPH].read_text(encoding="utf-8"))
    return real_data(
        "sachs",
        x=np.log(x + 10) if log else x,
        u=np.array(["+".join(reagents[row]) for row in given.astype(bool)]),
        feature_names=tuple(names[:n_features]),
        edges=tuple(edges),
    )


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return file.readline().split()
