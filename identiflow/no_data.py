"""Rows in a file of text that may be no data: totals, means and their spread, comments."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from identiflow.columns import seen, some
from identiflow.numerals import NUMBER, is_date

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

MOST = 8  # rows of totals at an end, as many as pandas' describe has
RARE = 4  # times fewer rows than a label has, of each word for a total
FEWEST = 5  # rows whose sum or mean the next one may be
ENOUGH = 200  # rows that tell a first one from others
ROUNDED, CLOSE = 1e-3, 5e-3  # of a sum; of a standard deviation: a sum and a mean as printed
COMMENT = re.compile(r"\s*#")
# What stands before the sum or the mean of other rows.
_SUMS = (
    "totals?|sums?|summe|somme|suma|gesamt|insgesamt|total general|gesamtergebnis|ergebnis|"
    "totale( complessivo)?|total (result|g[ée]n[ée]ral)|(eind)?totaal|totalsumma|totalt|hovedtotal|"
    "suma końcowa|celkový součet|"
    "genel toplam|toplam|общий итог|итого|总计|合计|総計|合計"
)
_OTHERS = (
    r"all|((geometric|harmonic|weighted) )?means?|averages?|avg\.?|median|mittelwert|mittel|"
    r"moyenne|media|max|maximum|min|minimum|std|stabw\.?|"
    r"(std|st)\.? ?(dev|error)\.?|sd|stdev|standard (deviation|error)|sem?|variance|var|cv|rsd|"
    r"stdabw\.?|standardabweichung|anzahl|[ée]cart[ -]type|minimo|massimo|"
    r"range|counts?|n ?= ?\d+|\d\d? ?%|q[123]"
)
_OF = r"(%\s*)?((grand|sub|sous|over)[ -]?)?({})\s*(%|\([^)]*\))?\s*:?"
_ANY = _OF.format(f"{_SUMS}|{_OTHERS}")
SUMS = re.compile(_OF.format(_SUMS), re.IGNORECASE)
TOTALS = re.compile(rf"{_ANY}(\s*([±+/&,-]|and)\s*{_ANY})*", re.IGNORECASE)
# What such a word may be of: ctrl Total, Mean of all, Total 2024.
OF_SOME = re.compile(
    rf"(?P<first>.+?)[\s:_-]+{_ANY}|({_ANY})([\s:_-]+of)?[\s:_-]+(?P<last>.+)", re.IGNORECASE
)


def doubts_of_rows(table: DataFrame) -> list[str]:
    """What is to be said of rows that may be none of the data, by their cells of text."""
    doubts = doubts_of_totals(table) or _doubts_of_gaps(table) or _doubts_of_sums(table)
    return [*doubts, *_doubts_of_units(table), *_doubts_of_comments(table)]


def _doubts_of_gaps(table: DataFrame) -> list[str]:
    """What is to be said of a first or a last row that alone misses a cell of some column."""
    missing = table.isna().to_numpy()
    for row in (0, len(missing) - 1) if len(missing) > FEWEST else ():
        alone = missing[row] & (missing.sum(0) == 1)
        if alone.any():
            names = some(list(table.columns[alone]), seen)
            return [
                f"Row {row + 1}{', the last,' if row else ''} alone has no cell in {names}. If it "
                "is no row of the data, but units, counts or a total, delete it."
            ]
    return []


def doubts_of_totals(table: DataFrame) -> list[str]:
    """What is to be said of rows that their cells in a column of text call totals."""
    of_text = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "O"]
    columns = [table.iloc[:, i] for i in of_text] if len(table) > 2 else []
    words = [column.where(column.notna(), "").astype(str).str.strip() for column in columns]
    groups = {word.casefold() for column in words for word in _repeated(column)}
    for column in words:
        rows = _totals(column, groups)
        if rows is not None:
            return [_said(column, seen(column.name), rows)]
    return []


def _repeated(words: Series) -> set[str]:
    """Words that several rows have."""
    return set(words[words.duplicated()]) - {""}


def _totals(words: Series, groups: set[str]) -> NDArray[np.intp] | None:
    """The rows whose words are totals, if it is plain that they are.

    All are at one end, or rare among labels, or all others are names of rows. One empty word at the
    end is such a word, and so are those beside totals. A word for a sum, or for what is of a group,
    is one wherever it stands: a table of groups has rows of their sums.
    """
    different = list(words.unique())
    sums = _are(different, words, lambda word: _is_of_group(word, groups))
    totals = sums | _are(different, words, TOTALS.fullmatch)
    parts = totals | _are(different, words, OF_SOME.fullmatch)
    empty = (words == "").to_numpy(dtype=bool)
    if not parts.any():
        return empty.nonzero()[0] if empty.sum() == 1 and (empty[-1] or empty[0]) else None
    for found in (totals | empty, totals, sums, parts):
        rows = found.nonzero()[0]
        number = len(rows)
        if not 0 < 2 * number < len(words):
            continue
        at_an_end = number <= MOST and (rows[0] == len(words) - number or rows[-1] == number - 1)
        others = words[~(found | empty)]
        if at_an_end or found is sums or others.is_unique or _are_rare(words[found], others):
            return rows
    return None


def _is_of_group(word: str, groups: set[str]) -> bool:
    """True for a word for a sum, and for one for sums, means and others beside that of a group."""
    parts = OF_SOME.fullmatch(word)
    rest = (parts["first"] or parts["last"]) if parts else ""
    return SUMS.fullmatch(word) is not None or rest.casefold() in groups


def _are_rare(words: Series, others: Series) -> bool:
    """True if each of these words has far fewer rows than a label has on average."""
    return bool(RARE * words.value_counts().max() < len(others) / max(1, others.nunique()))


def _are(
    different: Sequence[str], words: Series, is_one: Callable[[str], object]
) -> NDArray[np.bool_]:
    """Where a word is one of those that are."""
    return words.isin([word for word in different if is_one(word)]).to_numpy()


def _said(words: Series, column: str, rows: NDArray[np.intp]) -> str:
    cells = some(
        list(dict.fromkeys(words.iloc[rows])), lambda word: repr(word) if word else "no cell"
    )
    where = some([int(row) + 1 for row in rows])
    if len(rows) == 1:
        last = ", the last," if rows[0] == len(words) - 1 else ""
        units = "a line of units, or " if rows[0] == 0 else ""
        return (
            f"Row {where}{last} has {cells} in the column {column}. If it is {units}a total or a "
            "mean of other rows, delete it."
        )
    return (
        f"Rows {where} have {cells} in the column {column}. If they are totals or means of other "
        "rows, delete them."
    )


def _doubts_of_sums(table: DataFrame) -> list[str]:
    """What is to be said of a last row whose numbers are sums, or means, of those above them."""
    of_numbers = [i for i, dtype in enumerate(table.dtypes) if dtype.kind in "iuf"]
    values = table.iloc[:, of_numbers].to_numpy(float)
    if len(values) < FEWEST + 1 or len(of_numbers) < 2:
        return []
    above, last = values[:-1], values[-1]
    with np.errstate(all="ignore"):  # of infinite numbers, which are refused where they are used
        sums, means, spread = above.sum(0), above.mean(0), above.std(0)
        are_sums = (np.abs(last - sums) <= ROUNDED * np.abs(sums)) & (
            np.abs(last) > np.abs(above).max(0)
        )
        are_means = (np.abs(last - means) < CLOSE * spread) & (spread > 0)
    for are, what in ((are_sums, "sum"), (are_means, "mean")):
        if are.sum() >= 2 and 2 * are.sum() > len(of_numbers):
            return [
                f"Row {len(values)}, the last, has the {what} of the rows above in {are.sum()} "
                "columns. If it is no row of the data, delete it."
            ]
    return []


def _doubts_of_units(table: DataFrame) -> list[str]:
    """What is to be said of a first row of units, going by columns that no one need read."""
    if len(table) < FEWEST + 1:
        return []
    for column in (table.iloc[:, i] for i, dtype in enumerate(table.dtypes) if dtype.kind == "O"):
        first, *others = map(str, column.iloc[:ENOUGH])
        if not _is_value(first) and all(map(_is_value, others)):
            return [
                f"Row 1 has {first!r} in the column {seen(column.name)}, where others have numbers "
                "or dates. If it is a line of units, delete it."
            ]
    of_numbers = all(dtype.kind in "iuf" for dtype in table.dtypes) and table.shape[1] > 2
    places = np.arange(1, table.shape[1] + 1)
    if of_numbers and (table.iloc[0].to_numpy() == places).all():
        return [f"Row 1 has the numbers 1 to {len(places)}. If they number columns, delete it."]
    return []


def _is_value(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None or is_date(cell)


def _doubts_of_comments(table: DataFrame) -> list[str]:
    """What is to be said of rows that begin with a #, which says nothing here."""
    if table.dtypes.iloc[0].kind != "O":
        return []
    first = table.iloc[:, 0].astype(str)
    are_comments = first.str.match(COMMENT).to_numpy(dtype=bool)
    number = int(are_comments.sum())
    if not 0 < 2 * number < len(first):
        return []
    row = int(are_comments.argmax())
    return [
        f"{number} rows begin with #, the first row {row + 1} with {first.iloc[row]!r}, and are "
        "taken as all others. If they are comments, delete them."
    ]
