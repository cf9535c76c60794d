"""The record that every loader of real data returns, and what is known about each data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from identiflow.shared.datasets.base import Dataset


@dataclass(frozen=True, kw_only=True, eq=False)
class RealData(Dataset):
    """Measured data: x, u, and what is known of its truth.

    Attributes:
        licence: under which terms the measurements are published.
        citation: whom to cite when using them.
        edges: the known causal graph as (cause, effect) pairs of names, empty where none is known.
    """

    licence: str
    citation: str
    edges: tuple[tuple[str, str], ...] = ()


ABOUT: dict[str, dict[str, str]] = {
    "causal_chamber_lt": {
        "aux_name": "experiment",
        "description": "Light tunnel, standard configuration: physical measurements of three "
        "light sources and two polarisers, whose settings are known, through nine sensors.",
        "licence": "CC BY 4.0",
        "citation": "Gamella, Peters, Buehlmann, Causal chambers as a real-world physical testbed "
        "for AI methodology, Nature Machine Intelligence 2025, doi 10.1038/s42256-024-00964-x",
    },
    "sachs": {
        "aux_name": "condition",
        "description": "Flow cytometry of 11 phosphorylated proteins and phospholipids in human "
        "T cells under nine combinations of reagents, one row for each cell.",
        "licence": "CC0 1.0 (the collection it is taken from)",
        "citation": "Sachs, Perez, Pe'er, Lauffenburger, Nolan, Causal protein-signaling networks "
        "derived from multiparameter single-cell data, Science 308:523, 2005",
    },
    "mtlnet_fmri": {
        "aux_name": "subject",
        "description": "7T resting-state fMRI of medial temporal lobe subfields: low-pass filtered "
        "residual time courses, so neighbouring rows are strongly correlated (about .95).",
        "licence": "GPL 3.0 (the repository; no separate data licence)",
        "citation": "Shah et al., Mapping the structural and functional network architecture of "
        "the medial temporal lobe using 7T MRI, Human Brain Mapping 2018, doi 10.1002/hbm.23887",
    },
    "fmri_9var": {
        "aux_name": "subject",
        "description": "Task fMRI (rhyming judgments) of 9 subjects, 160 scans, 8 regions, and the "
        "block-design task input I, which is exogenous.",
        "licence": "CC0 1.0 (the collection it is taken from)",
        "citation": "Ramsey et al., Six problems for causal inference from fMRI, NeuroImage 49, "
        "2010; raw data OpenfMRI ds000003",
    },
    "mnist_t10k": {
        "aux_name": "digit",
        "description": "The 10,000 test images of MNIST, 28 x 28 grey values from 0 to 255.",
        "licence": "CC BY-SA 3.0 (as usually given)",
        "citation": "LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document "
        "recognition, Proceedings of the IEEE 86, 1998",
    },
    "japanese_vowels": {
        "aux_name": "speaker",
        "description": "12 LPC cepstrum coefficients of 640 utterances by nine male speakers, one "
        "row for each frame.",
        "licence": "CC BY 4.0",
        "citation": "Kudo, Toyama, Shimbo, Multidimensional curve classification using "
        "passing-through regions, Pattern Recognition Letters 20, 1999 (UCI)",
    },
    "pendigits": {
        "aux_name": "digit",
        "description": "Handwritten digits as eight pen positions, resampled in space, 0 to 100.",
        "licence": "CC BY 4.0",
        "citation": "Alpaydin, Alimoglu, Pen-Based Recognition of Handwritten Digits, UCI 1998",
    },
    "digits": {
        "aux_name": "digit",
        "description": "Handwritten digits of 8 x 8 grey values from 0 to 16, bundled with "
        "scikit-learn.",
        "licence": "CC BY 4.0",
        "citation": "Alpaydin, Kaynak, Optical Recognition of Handwritten Digits, UCI 1998",
    },
}


def real_data(name: str, **fields: Any) -> RealData:  # noqa: ANN401 - the fields of RealData
    """A `RealData` with what `ABOUT` says of the data set; a field given here wins."""
    return RealData(**{"name": name, **ABOUT[name], **fields})
