"""Turns a user's auxiliary variable u into tensors for the prior.

Integers, words, dates and categories are labels, floats are continuous, a data frame is split by
the type of its columns. An `Auxiliary` object says otherwise, and what u was in fit it is later on.
"""

from identiflow.shared.auxiliary.encoder import AuxiliaryEncoder
from identiflow.shared.auxiliary.kinds import (
    Continuous,
    Fourier,
    History,
    Labels,
    Mixed,
    TimeSegments,
)
from identiflow.shared.auxiliary.reading import Auxiliary, Columns, read_auxiliary

__all__ = [
    "Auxiliary",
    "AuxiliaryEncoder",
    "Columns",
    "Continuous",
    "Fourier",
    "History",
    "Labels",
    "Mixed",
    "TimeSegments",
    "read_auxiliary",
]
