"""Warnings in the name of who called the library, however deep inside it they come from.

And rows as those who read warnings and errors count them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FIRST_ROW: ContextVar[int] = ContextVar("first_row", default=0)


class InputWarning(UserWarning):
    """Rows were taken for something that their user should know of."""


def remark(message: str, category: type[Warning] = InputWarning) -> None:
    """Warn at the line outside of this library that led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def row_number(row: int) -> int:
    """The number of a row, counted from 0, as words say it."""
    return int(row) + _FIRST_ROW.get()


@contextmanager
def rows_from(number: int) -> Iterator[None]:
    """Count rows from another number than 0 in the words of a block, as tables in files do."""
    before = _FIRST_ROW.set(number)
    try:
        yield
    finally:
        _FIRST_ROW.reset(before)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "identiflow"
