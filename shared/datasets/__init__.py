"""Data with known sources, generated, and loaders of the real data sets of the field."""

from __future__ import annotations

from identiflow.shared.datasets.base import Dataset
from identiflow.shared.datasets.cytometry import load_sachs
from identiflow.shared.datasets.digits import load_digits, load_mnist_t10k, load_pendigits
from identiflow.shared.datasets.files import find_folder
from identiflow.shared.datasets.fmri import load_fmri_9var, load_mtlnet_fmri
from identiflow.shared.datasets.generated import SourceData, nonstationary_sources
from identiflow.shared.datasets.importance import ImportanceEstimate, oracle_importance_log_prob
from identiflow.shared.datasets.light_tunnel import load_light_tunnel
from identiflow.shared.datasets.real import RealData
from identiflow.shared.datasets.speech import load_japanese_vowels
from identiflow.shared.datasets.temporal import TemporalData, autocorrelated_sources

__all__ = [
    "Dataset",
    "ImportanceEstimate",
    "RealData",
    "SourceData",
    "TemporalData",
    "autocorrelated_sources",
    "find_folder",
    "load_digits",
    "load_fmri_9var",
    "load_japanese_vowels",
    "load_light_tunnel",
    "load_mnist_t10k",
    "load_mtlnet_fmri",
    "load_pendigits",
    "load_sachs",
    "nonstationary_sources",
    "oracle_importance_log_prob",
]
