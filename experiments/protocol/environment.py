"""The versions of what results were made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("torch", "nflows", "numpy", "scipy")


def environment(*others: str) -> dict[str, str]:
    """Python's version and those of the libraries, `others` among them where they are installed."""
    found = {"python": platform.python_version()}
    for name in (*LIBRARIES, *others):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
