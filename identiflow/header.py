"""The names of columns in a file of text: which line has them, and what is not a name."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from identiflow.numerals import NUMBER

if TYPE_CHECKING:
    from pandas import DataFrame

MARKS = "(#|%|!|//)"  # of a line that is a comment, as numpy, Matlab, GEO and Igor write it
BEHIND = re.compile(rf"{MARKS}+\s+")  # the names; one may begin with a mark itself
MOST_TITLE = 10  # lines above a table
WIDE = re.compile(r"\s{2,}|\t")
DRAWN = re.compile(r"(-+[,;|\t+ ]+)*-{2,}([,;|\t+ ]+-+)*")
BOX = re.compile(r"\+(-+\+)+")
NO_NAME = re.compile(r"Unnamed: \d+|")

Rows = Sequence[Sequence[str]]


def behind_comment(comments: str, rows: Rows, separator: str) -> list[str]:
    """The names in the last line of comments above these rows; none if it has no names.

    It has as many cells as the first row, and that is like the second: it is no header itself.
    """
    line = BEHIND.sub("", comments.rstrip().splitlines()[-1])
    if len(rows) < 2 or len(rows[0]) < 2 or not are_alike(*rows[:2]):
        return []
    found = [line.split(), WIDE.split(line.strip())]  # T (K) is one name between wide spaces
    if separator != " ":
        found = [next(csv.reader([line], delimiter=separator), [])]
    cells = next((cells for cells in found if len(cells) == len(rows[0])), [])
    return [cell.strip() for cell in cells]


def is_above(rows: Rows) -> bool:
    """True if the first row has no number where the second has some."""
    return len(rows) > 1 and not _numbers(rows[0]) and bool(_numbers(rows[1]))


def longer_by_one(rows: Rows) -> list[str]:
    """The names in the first row and one more, if all others end in a separator; else none."""
    if len(rows) < 2 or not rows[0][-1]:  # the header ends in one itself
        return []
    if not all(len(row) == len(rows[0]) + 1 and not row[-1] for row in rows[1:]):
        return []
    return [*rows[0], ""]


def is_drawn(line: str) -> bool:
    """True for a line between names and rows, as psql and sqlcmd draw it."""
    return DRAWN.fullmatch(line.strip()) is not None


def is_box(line: str) -> bool:
    """True for the upper or the lower side of a box, as mysql draws it."""
    return BOX.fullmatch(line.strip()) is not None


def is_title(rows: Rows) -> bool:
    """True if the first row is a title or a setting, or an empty line, as a spreadsheet pads it."""
    if not rows or len(rows[0]) < 3:
        return False
    return sum(map(bool, rows[0])) < 2 or (not rows[0][-1] and _has_names_below(rows[1:MOST_TITLE]))


def _has_names_below(rows: Rows) -> bool:
    """True if the first of these rows without an empty cell is a header."""
    whole = next((number for number, row in enumerate(rows) if all(row)), None)
    return whole is not None and is_above(rows[whole:])


def are_sizes(rows: Rows) -> bool:
    """True for a first row of a few numbers above the names, as a GCT file counts rows there."""
    is_shorter = len(rows) > 2 and len(rows[0]) < len(rows[1])
    return is_shorter and len(_numbers(rows[0])) == len(rows[0]) and is_above(rows[1:])


def is_spaced(line: str, separator: str) -> bool:
    """True if a space stands beside each separator of a line."""
    beside = re.findall(rf"{re.escape(separator)} | {re.escape(separator)}", line)
    return separator != " " and len(beside) == line.count(separator) > 0


def without_empty(table: DataFrame) -> DataFrame:
    """The table without columns that have neither a name nor a cell, left by a last separator."""
    nameless = [i for i, name in enumerate(table.columns) if NO_NAME.fullmatch(str(name))]
    empty = [i for i in nameless if table.iloc[:, i].isna().all()]
    return table.iloc[:, [i for i in range(table.shape[1]) if i not in empty]] if empty else table


def shared_names(written: Sequence[str], columns: Sequence[str]) -> dict[str, list[str]]:
    """Names that several columns have in a file, each with what these are called in the table."""
    groups: dict[str, list[str]] = {}
    for name, column in zip(written, columns, strict=False):
        groups.setdefault(name, []).append(column)
    return {name: group for name, group in groups.items() if name and len(group) > 1}


def are_alike(row: Sequence[str], other: Sequence[str]) -> bool:
    """True if both have numbers in the same places, and in some."""
    filled = {i for i, pair in enumerate(zip(row, other, strict=False)) if all(pair)}
    return bool(_numbers(row)) and _numbers(row) & filled == _numbers(other) & filled


def _numbers(row: Sequence[str]) -> set[int]:
    """The places of numbers."""
    return {i for i, cell in enumerate(row) if NUMBER.fullmatch(cell)}
