"""Columns of a table by their names: chosen, checked, and named in errors."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from identiflow.numerals import NUMBER, advice_about, is_date

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MANY = 12  # names or rows that an error lists
LEAVE_OUT = "Leave the column out with --drop, or name it with --aux if it is u."


def select(table: DataFrame, names: Sequence[str], advice: str = "") -> DataFrame:
    """Columns by name, none of which may be missing, nor a cell of theirs."""
    check_present(table, names)
    chosen = table[list(names)]
    missing = chosen.isna()
    for name in missing.columns[missing.to_numpy().any(axis=0)]:
        raise ValueError(
            f"Expected a value in every cell; got {int(missing[name].sum())} missing in the column "
            f"{seen(name)}, {_rows(missing[name])}. Fill those cells, or drop the rows."
            f"{advice and ' '}{advice}"
        )
    return chosen


def numbers(x: DataFrame, advice: str = "") -> DataFrame:
    """The columns, if all are numbers and there are any."""
    for name, dtype in select(x, list(x.columns), advice).dtypes.items():
        if dtype.kind not in "fiub":
            cell, row, _ = _no_number(x[name])
            hints = [advice_about(cell), advice or "Remove what is no number."]
            raise ValueError(
                f"Expected numbers in every column of x; got {_described(cell)} in the column "
                f"{seen(name)}, row {row}. {' '.join(filter(None, hints))}"
            )
        infinite = x[name].abs() == float("inf")
        if infinite.any():
            raise ValueError(
                f"Expected finite numbers in x; got {int(infinite.sum())} infinite in the column "
                f"{seen(name)}, {_rows(infinite)}. Drop those rows."
            )
    return x


def reals(u: DataFrame, names: Sequence[str]) -> DataFrame:
    """The table with these columns, of continuous u, as floats; text may say numbers, or times.

    Dates and times are nanoseconds since 1970, as `Continuous` has them.
    """
    return u.assign(**{name: _real(u[name]) for name in names})


def _real(column: Series) -> Series:
    cell, row, found = _no_number(column)
    if not found and column.dtype.kind not in "mM":
        return column.astype(float)
    import pandas as pd

    from identiflow.shared.inputs.moments import as_numbers

    if column.dtype.kind != "m":
        try:
            column = pd.to_datetime(column, format="ISO8601", utc=True).dt.tz_localize(None)
        except (TypeError, ValueError):
            advice = "" if is_date(cell) else " Name it with --aux if these are labels."
            raise ValueError(
                f"Expected numbers, or dates as 2024-01-31, in the column {seen(column.name)} of "
                f"continuous u; got {_described(cell)} in row {row}.{advice}"
            ) from None
    select(column.to_frame(), [column.name])  # nan is read as a date that is missing
    return pd.Series(as_numbers(column.to_numpy()), index=column.index)


def check_present(table: DataFrame, names: Sequence[str]) -> None:
    """Raise unless the table has all these columns."""
    for name in names:
        if name not in table.columns:
            raise ValueError(
                f"Expected the column {seen(name)}; got a table with "
                f"{_listed(table.columns)}.{_near(str(name), table.columns)}"
                f"{_of_data(table.columns)}"
            )


def chosen_by(options: Iterable[str], table: DataFrame) -> tuple[list[str], list[str]]:
    """The columns that `--drop` or `--columns` name: one by one, and by a pattern or a range.

    `a,b` names two columns unless there is one called so; `gene*` is a pattern; `gene1:gene9` are
    the columns from the one to the other.

    Raises:
        ValueError: for what names no column.
    """
    exact: list[str] = []
    others: list[str] = []
    for part in (part for option in options for part in _parts(option, table)):
        found = [part] if part in table.columns else _spanned(part, list(table.columns))
        (exact if found == [part] else others).extend(found)
        if not found:
            check_present(table, [part])
    return exact, list(dict.fromkeys(others))


def _parts(option: str, table: DataFrame) -> list[str]:
    if option in table.columns:
        return [option]
    return [part for part in next(csv.reader([option], skipinitialspace=True), []) if part]


def _spanned(part: str, names: list[str]) -> list[str]:
    first, colon, last = part.partition(":")
    if colon and first in names and last in names:
        start, end = sorted(map(names.index, (first, last)))
        return names[start : end + 1]
    return [name for name in names if fnmatchcase(name, part)] if set(part) & set("*?[") else []


def check_header(table: DataFrame, asked: Sequence[str]) -> None:
    """Raise if the names of columns may be the first row of a file without a header.

    Names that are numbers may be either. A column asked for by a word decides it, if it is there
    and the word is not among its own cells, as that of a row would be.

    Raises:
        ValueError: if it is not decided.
    """
    found = [name for name in table.columns if NUMBER.fullmatch(_undoubled(name))]
    words = [name for name in asked if name in table.columns and name not in found]
    if found and not any(name not in set(table[name].astype(str)) for name in words):
        raise ValueError(
            f"Expected names of columns in the first line; got numbers, such as {seen(found[0])}. "
            "If the file has no header, pass --no-header: its columns are then x0, x1, …. If these "
            "are names, pass --header."
        )


def seen(name: Any) -> str:
    """A column's name, in quotes where one would not see where it begins and ends."""
    text = str(name)
    plain = text.isprintable() and text == text.strip() and "," not in text
    return text if plain and text else repr(text)


def some(items: Sequence[Any], show: Callable[[Any], str] = str) -> str:
    """A list in words, of which only the first are given if there are many."""
    more = len(items) - MANY
    return ", ".join(map(show, items[:MANY])) + (f" and {more} more" if more > 0 else "")


def _undoubled(name: str) -> str:
    """The cell of a header before pandas made 1.5, 1.5 two names: 1.5 and 1.5.1."""
    return re.sub(r"^(.*\..*)\.\d+$", r"\1", name)


def _listed(names: Sequence[str]) -> str:
    return f"{'the columns' if len(names) != 1 else 'one column'} {some(list(names), seen)}"


def _near(name: str, names: Sequence[str]) -> str:
    if {part.strip() for part in name.split(",")} <= set(names):
        return " Name these columns one by one, each with its own option."
    folded = {str(other).strip().casefold(): other for other in names}
    near = get_close_matches(name.strip().casefold(), list(folded), n=1, cutoff=0.6)
    return f" Is it {seen(folded[near[0]])}?" if near else ""


def _of_data(names: Sequence[str]) -> str:
    is_data = any(NUMBER.fullmatch(str(name)) for name in names)
    return " If its first line is data and no header, pass --no-header." if is_data else ""


def _rows(empty: Series) -> str:
    rows = [int(row) + 1 for row in empty.to_numpy().nonzero()[0]]
    return f"in row{'s' if len(rows) > 1 else ''} {some(rows)}"


def _described(cell: Any) -> str:
    return f"{'the date ' if is_date(cell) else ''}{str(cell)!r}"


def _no_number(column: Series) -> tuple[Any, int, bool]:
    """The first cell that is no number, its row, and True; if each is one, the first, and False."""
    import pandas as pd

    is_none = pd.to_numeric(column.astype(object), errors="coerce").isna()
    row = int(is_none.to_numpy().argmax())
    return column.iloc[row], row + 1, bool(is_none.any())
