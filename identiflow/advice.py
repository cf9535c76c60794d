"""What to do about a cell that is no number, by what it looks like and where it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from identiflow.numerals import GROUPED, WITH_COMMA, is_date

if TYPE_CHECKING:
    from pandas import Series

# A number with a sign or a unit beside it: $5, <0.1, 8.9 %, (1.2), 5 mV.
MARKED = re.compile(r"\s*[^\w\s]{0,2}\s*[+-]?\d+([.,]\d+)*([eEdD][+-]?\d+)?\s*\S{0,3}\s*")
# What stands in the place of a number where none could be measured.
FOR_NOTHING = frozenset(
    {
        "na",
        "nd",
        "n.d.",
        "nan",
        "null",
        "bdl",
        "bql",
        "lod",
        "loq",
        "over",
        "overflow",
        "undetermined",
    }
)
MOST_LINES = 3  # above or below the data, that are none


def about_cell(cell: Any, column: Series, row: int) -> str:
    """What to do about a cell that is no number."""
    text = str(cell).strip()
    if text == column.name:
        return "If that line repeats the names, delete it."
    if row == 1:
        if text in ("-" * max(2, len(text)), "=" * max(2, len(text))):
            return "If that line is drawn between names and rows, delete it."
        return _about_line(column, row) or about_text(cell)
    return about_text(cell) or _about_line(column, row)


def _about_line(column: Series, row: int) -> str:
    """What to do about cells that are no numbers in the first or the last rows alone."""
    import pandas as pd

    bad = pd.to_numeric(column.astype(object), errors="coerce").isna().to_numpy()
    bad = bad & ~column.map(is_date).to_numpy(dtype=bool)
    number = int(bad.sum())
    if (
        not 0 < number <= MOST_LINES
        or len(bad) - number < 2
        or not (bad[:number].all() or bad[-number:].all())
    ):
        return ""
    what = "units below the names" if row == 1 else "a total or a comment below the rows"
    if number == 1:
        return f"If that line is {what}, delete it."
    return f"If the {'first' if row == 1 else 'last'} {number} lines are no data, delete them."


def about_text(cell: Any) -> str:
    """What a cell that is no number may be, and what to do about it; "" if it is just text."""
    text = str(cell)
    if GROUPED.fullmatch(text):
        return f"Write numbers without separators of thousands{_or_decimal(text.strip())}."
    if WITH_COMMA.fullmatch(text):
        return "Write all numbers with a decimal point, or all with a decimal comma."
    if "\u2212" in text:
        return "Write the minus sign as -."
    from identiflow.shared.auxiliary.labels import says_nothing

    if says_nothing(text) or text.strip().casefold() in FOR_NOTHING:
        return "If that says that nothing was measured, leave those rows out, or fill the cells in."
    if MARKED.fullmatch(text) and not is_date(cell):
        return (
            "Write the number alone, without a unit or a sign, or leave the column out with --drop."
        )
    return ""


def _or_decimal(text: str) -> str:
    """What to write for 1,234, which is one of two numbers."""
    if not re.fullmatch(r"[+-]?\d+,\d{3}", text):
        return ""
    return f": {text.replace(',', '')}; or {text.replace(',', '.')}, if that is a decimal comma"
