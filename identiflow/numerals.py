"""Numbers as people write them in other places: with decimal commas, in groups of thousands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import Series

# What could be a number, its decimals after a point or a comma.
NUMBER = re.compile(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*")
WITH_COMMA = re.compile(r"\s*[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?\s*")
WHOLE = re.compile(r"\s*[+-]?\d+([eE][+-]?\d+)?\s*")
# 1,234 and 1.234.567,8 and 1 234: groups of three between marks that are the same.
GROUPED = re.compile(
    r"\s*[+-]?[1-9]\d{0,2}([.,' \u00a0\u2009\u202f\u2019])\d{3}(\1\d{3})*([.,]\d*)?\s*"
)
SHORT = re.compile(r"\s*[+-]?\d{1,3}\s*")
DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d\d)|\d{1,2}:\d\d(:\d\d)?)"
    r"([ T].*)?\s*"
)


def has_decimal_commas(column: Series) -> bool:
    """True if most cells are numbers that pandas would read, were it told of decimal commas.

    1,234 alone proves nothing: it may be a thousand. 0,5 and 1,25 do.
    """
    cells = [str(cell) for cell in column.dropna().unique()]
    commas = [cell for cell in cells if WITH_COMMA.fullmatch(cell)]
    wholes = [cell for cell in cells if WHOLE.fullmatch(cell)]
    certain = any(not GROUPED.fullmatch(cell) for cell in commas)
    return certain and 2 * len(commas + wholes) > len(cells)


def with_comma_read(cell: Any) -> Any:
    """The number of a whole one, or of one with a decimal comma; any other cell as it is."""
    is_one = WITH_COMMA.fullmatch(str(cell)) or WHOLE.fullmatch(str(cell))
    return float(str(cell).replace(",", ".")) if is_one else cell


def may_be_thousands(column: Series) -> bool:
    """True if cells read as decimals are whole numbers in groups of three: 950 beside 1.234.

    Decimals of a fixed number of digits have a point in every cell, or in none.
    """
    cells = [str(cell) for cell in column.dropna().unique()]
    groups = [GROUPED.fullmatch(cell) is not None for cell in cells]
    short = [SHORT.fullmatch(cell) is not None for cell in cells]
    return any(groups) and any(short) and all(map(any, zip(groups, short, strict=True)))


def are_grouped(column: Series) -> bool:
    """True if each cell has one point and three digits behind it: 1.234, beside 20.000."""
    cells = [str(cell) for cell in column.dropna().unique()]
    return bool(cells) and all(GROUPED.fullmatch(cell) and "." in cell for cell in cells)


def is_date(cell: Any) -> bool:
    """True for a date or a time, as text or as pandas has them."""
    return hasattr(cell, "isoformat") or DATE.fullmatch(str(cell)) is not None
