"""A last row in a file of text that may be no data: a total, a mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from identiflow.columns import seen

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# What stands before the sum or the mean of the rows above it.
TOTALS = re.compile(
    r"((grand|sub|sous|over)[ -]?)?(totals?|all|sums?|summe|somme|suma|means?|averages?|avg|median|"
    r"mittelwert|mittel|moyenne|media|max|maximum|min|minimum|std|std\.? ?dev\.?|sd|count|gesamt|"
    r"insgesamt|total general)\s*:?",
    re.IGNORECASE,
)


def doubts_of_last(table: DataFrame) -> list[str]:
    """What is to be said of a last row that its cell in a column of text calls a total.

    No other cell of that column is such a word, or empty as the last one is.
    """
    of_text = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "O"]
    for column in (table.iloc[:, i] for i in of_text):
        if len(column) > 2 and _is_last_alone(column):
            cell = column.iloc[-1]
            has = f"{str(cell)!r}" if isinstance(cell, str) and cell.strip() else "no cell"
            return [
                f"Row {len(column)}, the last, has {has} in the column {seen(column.name)}. If it "
                "is a total or a mean of the rows above, delete it."
            ]
    return []


def _is_last_alone(column: Series) -> bool:
    words = column.where(column.notna(), "").astype(str).str.strip()
    of_rows = (words == "") | words.map(lambda word: TOTALS.fullmatch(word) is not None)
    return bool(of_rows.iloc[-1] and not of_rows.iloc[:-1].any())
