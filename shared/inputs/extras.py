"""Packages that only a part of the library needs, and what to install where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed_by(extra: str) -> Iterator[None]:
    """Import what an extra of identiflow brings; if it is missing, say which extra.

    Raises:
        ModuleNotFoundError: with the package and what to install.

    >>> with needed_by("plot"):
    ...     import no_such_package
    Traceback (most recent call last):
    ModuleNotFoundError: Expected the package no_such_package, which this needs; found none. \
Run pip install "identiflow[plot]".
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Expected the package {error.name}, which this needs; found none. "
            f'Run pip install "identiflow[{extra}]".',
            name=error.name,
        ) from None
