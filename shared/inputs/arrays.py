"""Names for the types of arrays, and the numbers in those that hold text."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
AnyArray: TypeAlias = NDArray[Any]  # labels, indices, and numbers of any type and precision

OF_CELLS = "OUST"  # kinds of arrays whose cells may be text


def as_number(cell: Any) -> float:
    """A cell as a number: 4_9 is none, though Python reads it as 49.

    Raises:
        TypeError, ValueError, OverflowError: as `float` does.
    """
    if isinstance(cell, str | bytes) and "_" in str(cell):
        raise ValueError(f"could not convert string to float: {cell!r}")
    return float(cell)


def floats_of(cells: AnyArray) -> Array:
    """An array of such a kind as float64; of cells that are no numbers, errors as numpy has."""
    for cell in cells.flat:
        if isinstance(cell, str | bytes) and "_" in str(cell):
            as_number(cell)
    return cells.astype(np.float64)
