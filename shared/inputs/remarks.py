"""Warnings in the name of who called the library, however deep inside it they come from."""

from __future__ import annotations

import sys
import warnings


class InputWarning(UserWarning):
    """Rows were taken for something that their user should know of."""


def remark(message: str, category: type[Warning] = InputWarning) -> None:
    """Warn at the line outside of this library that led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "identiflow"
