"""The light tunnel of the causal chambers: real measurements whose sources are known."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from identiflow.shared.datasets.files import data_files, registry
from identiflow.shared.datasets.mixing import draw_mixing
from identiflow.shared.datasets.real import RealData, real_data
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.options import count, optional

_NAME = "causal_chamber_lt"
SOURCES = ("red", "green", "blue", "pol_1", "pol_2")
ANGLES = ("angle_1", "angle_2")
SENSORS = ("current", "ir_1", "ir_2", "ir_3", "vis_1", "vis_2", "vis_3", *ANGLES)
SOURCE_EXPERIMENTS = ("reference", *(f"{source}_strong" for source in SOURCES))


def load_light_tunnel(
    folder: str | os.PathLike[str] | None = None,
    *,
    experiments: str | Sequence[str] = "sources",
    rows_per_experiment: int | None = 1000,
    include_angles: bool = True,
    mixed: bool = False,
    seed: int = 0,
) -> RealData:
    """Load the light tunnel: nine sensors x, five known sources z, the experiment u.

    z = (red, green, blue, pol_1, pol_2): the brightness of three light sources and the angles of
    two polarisers. Within an experiment each is uniform and independent of the others; an
    intervention moves the range of one of them. Rows are independent draws, so that the first
    rows of the reference (10,000 rows, against 1,000 of the others) are as good as any.

    `angle_1` and `angle_2` measure pol_1 and pol_2 almost directly, so a column of x nearly is a
    source. For a test of unmixing leave them out, or ask for `mixed=True`: x is then the
    standardised sensors (over the rows loaded) times a fixed, well-conditioned random matrix.

    Args:
        folder: the data's folder or its parent; else IDENTIFLOW_DATA; else the files are fetched.
        experiments: "sources" (the reference and the strong intervention on each source), "all"
            (all 21), or a list of names such as ["reference", "red_strong"].
        rows_per_experiment: at most this many rows of each, from the first; None for all of them.
        include_angles: whether angle_1 and angle_2 are among the sensors.
        mixed: whether to mix the sensors.
        seed: of the mixing matrix.

    Returns:
        `RealData`: x (N, 9), z (N, 5), u the names of the experiments, `edges` the causal graph.

    Raises:
        ValueError: for an unknown experiment, or a file that is not the published one.

    Example:
        >>> data = load_light_tunnel(mixed=True)  # doctest: +SKIP
        >>> data.x.shape, data.z.shape, data.u[0]  # doctest: +SKIP
        ((6000, 9), (6000, 5), 'reference')
    """
    optional(count()).check("rows_per_experiment", rows_per_experiment)
    chosen = _expect_experiments(experiments)
    filenames = [f"uniform_{experiment}.csv" for experiment in chosen]
    paths = data_files(_NAME, [*filenames, "dag.csv"], folder)
    sensors = SENSORS if include_angles else tuple(s for s in SENSORS if s not in ANGLES)
    blocks = [
        _read_columns(paths[filename], (*sensors, *SOURCES))[:rows_per_experiment]
        for filename in filenames
    ]
    x, z = np.split(np.concatenate(blocks), [len(sensors)], axis=1)
    return real_data(
        _NAME,
        x=_mix(x, seed) if mixed else x,
        z=z,
        u=np.repeat(np.array(chosen), [len(block) for block in blocks]),
        feature_names=tuple(f"mix_{j + 1}" for j in range(len(sensors))) if mixed else sensors,
        source_names=SOURCES,
        edges=_read_edges(paths["dag.csv"]),
    )


def _experiment_names() -> list[str]:
    keys = (key.partition("/") for key in registry())
    stems = [Path(filename).stem for name, _, filename in keys if name == _NAME]
    return sorted(stem.removeprefix("uniform_") for stem in stems if stem.startswith("uniform_"))


def _expect_experiments(experiments: str | Sequence[str]) -> list[str]:
    known = _experiment_names()
    if isinstance(experiments, str):
        groups = {"sources": list(SOURCE_EXPERIMENTS), "all": known}
        if experiments in groups:
            return groups[experiments]
        experiments = [experiments]
    unknown = [experiment for experiment in experiments if experiment not in known]
    if unknown or not experiments:
        raise ValueError(
            f"Expected experiments to be 'sources', 'all' or a list of names; got "
            f"{unknown or 'an empty list'}. Known names: {', '.join(known)}."
        )
    return list(experiments)


def _read_columns(path: Path, names: Sequence[str]) -> Array:
    with path.open(encoding="utf-8") as file:
        header = file.readline().strip().split(",")
        return np.loadtxt(file, delimiter=",", usecols=[header.index(name) for name in names])


def _read_edges(path: Path) -> tuple[tuple[str, str], ...]:
    with path.open(encoding="utf-8", newline="") as file:
        return tuple((row["source"], row["target"]) for row in csv.DictReader(file))


def _mix(x: Array, seed: int) -> Array:
    # infra-red readings are a thousand times the others: without this they alone would be mixed
    standardised = (x - x.mean(axis=0)) / x.std(axis=0)
    rng = np.random.default_rng(seed)
    return draw_mixing(x.shape[1], x.shape[1], n_layers=1, rng=rng).forward(standardised)
