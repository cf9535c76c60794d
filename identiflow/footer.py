"""First or last rows in a file of text that may be no data: totals, means, their spread."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from identiflow.columns import seen

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MOST = 8  # such rows, as many as pandas' describe has
# What stands before the sum or the mean of other rows.
TOTALS = re.compile(
    r"((grand|sub|sous|over)[ -]?)?(totals?|all|sums?|summe|somme|suma|means?|averages?|avg|median|"
    r"mittelwert|mittel|moyenne|media|max|maximum|min|minimum|std|std\.? ?dev\.?|st\.? ?dev\.?|sd|"
    r"standard (deviation|error)|stdev|sem?|variance|var|cv|rsd|range|counts?|n ?= ?\d+|"
    r"\d\d? ?%|q[123]|gesamt|insgesamt|total general)\s*(\(?%\)?)?\s*:?",
    re.IGNORECASE,
)


def doubts_of_ends(table: DataFrame) -> list[str]:
    """What is to be said of first or last rows that their cells in a column of text call totals.

    No other cell of that column is such a word, or empty as a last one is.
    """
    of_text = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "O"]
    for column in (table.iloc[:, i] for i in of_text):
        words = column.where(column.notna(), "").astype(str).str.strip()
        if len(words) > 2 and (at_end := _at_end(words)) is not None:
            return [_said(words, seen(column.name), at_end)]
    return []


def _at_end(words: Series) -> slice | None:
    """The rows at one end whose words are totals, if those are all; the last may be empty."""
    are_totals = words.map(lambda word: TOTALS.fullmatch(word) is not None)
    found = are_totals | (words == "")
    number = int(found.sum())
    if not 0 < number <= min(MOST, (len(words) - 1) // 2):
        return None
    if found.iloc[-number:].all() and (number == 1 or are_totals.any()):
        return slice(len(words) - number, len(words))
    return slice(0, number) if are_totals.iloc[:number].all() else None


def _said(words: Series, column: str, rows: slice) -> str:
    first, number = rows.start + 1, rows.stop - rows.start
    cells = ", ".join(repr(word) if word else "no cell" for word in words.iloc[rows])
    end, others = ("first", "below") if first == 1 else ("last", "above")
    if number == 1:
        return (
            f"Row {first}, the {end}, has {cells} in the column {column}. If it is a total or a "
            f"mean of the rows {others}, delete it."
        )
    return (
        f"Rows {first} to {rows.stop}, the {end}, have {cells} in the column {column}. If they are "
        f"totals or means of the rows {others}, delete them."
    )
