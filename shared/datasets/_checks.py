"""Argument checks that the data sets share."""

from __future__ import annotations

import operator
from collections.abc import Collection


def expect_count(name: str, value: int, minimum: int = 1, hint: str = "") -> int:
    """Return `value` as an int that is at least `minimum`, or raise ValueError."""
    try:
        count = operator.index(value)
    except TypeError:
        raise ValueError(
            f"Expected {name} to be an integer; got {value!r}. {hint}".rstrip()
        ) from None
    if count < minimum:
        raise ValueError(f"Expected {name} >= {minimum}; got {count}. {hint}".rstrip())
    return count


def expect_word(name: str, value: str, allowed: Collection[str]) -> str:
    """Return `value` if it is one of the allowed words, or raise ValueError that lists them."""
    if value not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise ValueError(f"Expected {name} to be one of {words}; got {value!r}. Pass one of these.")
    return value
