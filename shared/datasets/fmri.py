"""Brain recordings with u = subject."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from identiflow.shared.datasets.files import data_files
from identiflow.shared.datasets.real import RealData, real_data
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.options import one_of

_MTL_REGIONS = ("CA1", "CA2", "DG", "CA3", "TAIL", "SUB", "ERC", "BA35", "BA36", "PHC")
# the six regions of the iVAE paper's hippocampal data, from the subfields above
_MTL_COMBINED: dict[str, tuple[str, ...]] = {
    "PRC": ("BA35", "BA36"),
    "PHC": ("PHC",),
    "ERC": ("ERC",),
    "SUB": ("SUB",),
    "CA1": ("CA1",),
    "CA2/3+DG": ("CA2", "CA3", "DG"),
}
_MTL_GROUPINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "separate": {region: (region,) for region in _MTL_REGIONS},
    "combined": _MTL_COMBINED,
}
_TASK_SUBJECTS = (1, 4, 5, 9, 10, 13, 14, 16, 17)


def load_mtlnet_fmri(
    folder: str | os.PathLike[str] | None = None,
    *,
    hemisphere: str = "L",
    regions: str = "separate",
) -> RealData:
    """Load the medial temporal lobe recordings: 24 subjects, 303 or 420 scans each.

    The rows HEAD, BG and MISC of the files (empty, background, leftovers) are dropped. Values are
    as published; they are not standardised for each subject, because the differences in scale
    between subjects are what u has to offer.

    Args:
        folder: the data's folder or its parent; else IDENTIFLOW_DATA; else the files are fetched.
        hemisphere: "L", "R", or "both", which stacks the rows of the two.
        regions: "separate" for the ten subfields, or "combined" for the six regions of the iVAE
            paper (means over subfields: PRC = BA35, BA36; CA2/3+DG = CA2, CA3, DG; no TAIL).

    Returns:
        `RealData`: x (9963, 10) for one hemisphere, u the subject's number, covariates "scan"
        (time index) and "hemisphere".

    Example:
        >>> data = load_mtlnet_fmri(regions="combined")  # doctest: +SKIP
        >>> data.x.shape  # doctest: +SKIP
        (9963, 6)
    """
    one_of(("L", "R", "both")).check("hemisphere", hemisphere)
    one_of(_MTL_GROUPINGS).check("regions", regions)
    grouping = _MTL_GROUPINGS[regions]
    sides = ("L", "R") if hemisphere == "both" else (hemisphere,)
    labels = [(subject, side) for side in sides for subject in range(1, 25)]
    filenames = [f"S{subject}_res_tcourse_{side}.txt" for subject, side in labels]
    paths = data_files("mtlnet_fmri", filenames, folder)
    courses = [_read_time_courses(paths[filename]) for filename in filenames]
    blocks = [
        np.stack([np.mean([c[part] for part in parts], axis=0) for parts in grouping.values()], 1)
        for c in courses
    ]
    lengths = [len(block) for block in blocks]
    return real_data(
        "mtlnet_fmri",
        x=np.concatenate(blocks),
        u=np.repeat([subject for subject, _ in labels], lengths),
        covariates={
            "scan": np.concatenate([np.arange(length) for length in lengths]),
            "hemisphere": np.repeat([side for _, side in labels], lengths),
        },
        feature_names=tuple(grouping),
    )


def load_fmri_9var(folder: str | os.PathLike[str] | None = None) -> RealData:
    """Load the rhyming-task recordings: 9 subjects, 160 scans, 8 regions.

    Args:
        folder: the data's folder or its parent; else IDENTIFLOW_DATA; else the files are fetched.

    Returns:
        `RealData`: x (1440, 8) as published, u the subject's number, covariates "I" (the task
        input, exogenous: an alternative u) and "scan" (time index).

    Example:
        >>> data = load_fmri_9var()  # doctest: +SKIP
        >>> data.x.shape, data.covariates["I"].shape  # doctest: +SKIP
        ((1440, 8), (1440,))
    """
    filenames = [f"sub{subject:03d}.cent-table.9.continuous.txt" for subject in _TASK_SUBJECTS]
    paths = data_files("fmri_9var", filenames, folder)
    tables = [np.loadtxt(paths[filename], skiprows=1) for filename in filenames]
    names = paths[filenames[0]].read_text(encoding="ascii").split("\n", 1)[0].split()
    lengths = [len(table) for table in tables]
    stacked = np.concatenate(tables)
    return real_data(
        "fmri_9var",
        x=stacked[:, :-1],
        u=np.repeat(_TASK_SUBJECTS, lengths),
        covariates={
            names[-1]: stacked[:, -1],
            "scan": np.concatenate([np.arange(length) for length in lengths]),
        },
        feature_names=tuple(names[:-1]),
    )


def _read_time_courses(path: Path) -> dict[str, Array]:
    """Region -> time course; a line is "hipp_sf_0001_CA1" and its values."""
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()[1:]]
    return {line[0].split("_")[-1]: np.array(line[1:], dtype=np.float64) for line in lines if line}
