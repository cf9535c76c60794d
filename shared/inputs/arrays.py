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
    if _is_name(cell):
        raise ValueError(f"could not convert string to float: {cell!r}")
    return float(cell)


def floats_of(cells: AnyArray) -> Array:
    """An array of such a kind as float64; of cells that are no numbers, errors as numpy has."""
    for cell in filter(_is_name, cells.flat):
        as_number(cell)  # which raises
    return cells.astype(np.float64)


def _is_name(cell: Any) -> bool:
    """True for text with an underscore in it, which is no number."""
    return isinstance(cell, str | bytes) and "_" in str(cell)
