"""Columns of a table by their names: chosen, checked, and named in errors."""

from __future__ import annotations

import csv
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from identiflow.advice import about_cell
from identiflow.numerals import NUMBER, is_date

if TYPE_CHECKING:
    from pandas import DataFrame, Series

OF_TEXT = "All of its cells are numbers that are stored as text: store them as numbers."
OF_MARKS = "Write all numbers with a decimal point, or all with a decimal comma."
MANY = 12  # names or rows that an error lists
LEAVE_OUT = "Leave the column out with --drop, or name it with --aux if it is u."
NO_HEADER = "If its first line is data and no header, pass --no-header."
POSITIONAL = re.compile(r"x\d+")  # names of columns without a header


def select(table: DataFrame, names: Sequence[str], advice: str = "") -> DataFrame:
    """Columns that are there by name, none of which may miss a cell."""
    chosen = table[list(names)]
    missing = chosen.isna()
    empty = table.isna().all(axis=1) & missing.any(axis=1)
    if table.shape[1] > 1 and empty.any():
        raise ValueError(
            f"Expected a value in every row; got {int(empty.sum())} empty, {_rows(empty)}. Delete "
            "those lines."
        )
    for name in missing.columns[missing.to_numpy().any(axis=0)]:
        cells = missing[name]
        at_end = len(cells) > 2 and cells.sum() == 1 and bool(cells.iloc[0] or cells.iloc[-1])
        hint = "If that line is no data, delete it." if at_end else ""
        raise ValueError(
            f"Expected a value in every cell; got {int(cells.sum())} missing in the column "
            f"{seen(name)}, {_rows(cells)}. Fill those cells, or drop the rows."
            f"{hint and ' '}{hint}{advice and ' '}{advice}"
        )
    return chosen


def numbers(x: DataFrame, advice: str = "") -> DataFrame:
    """The columns, if all are numbers and there are any."""
    for name, dtype in select(x, list(x.columns), advice).dtypes.items():
        if dtype.kind not in "fiub":
            cell, row, found = _no_number(x[name])
            hint = about_cell(cell, x[name], row) if found else _about_types(x[name])
            raise ValueError(
                f"Expected numbers in every column of x; got {_described(cell)} in the column "
                f"{seen(name)}, row {row}. {hint or advice or 'Remove what is no number.'}"
            )
        check_finite(x[name], "x")
    return x


def _about_types(column: Series) -> str:
    """What to do about objects that all are numbers: text, or text beside numbers; "" of others."""
    is_text = column.map(lambda cell: isinstance(cell, str))
    return "" if not is_text.any() else OF_TEXT if is_text.all() else OF_MARKS


def check_finite(column: Series, of: str) -> None:
    """Raise for infinite numbers in a column of x or of u, naming it and their rows."""
    infinite = column.abs() == float("inf")
    if infinite.any():
        raise ValueError(
            f"Expected finite numbers in {of}; got {int(infinite.sum())} infinite in the column "
            f"{seen(column.name)}, {_rows(infinite)}. Drop those rows."
        )


def reals(u: DataFrame, names: Sequence[str], advice: str = "") -> DataFrame:
    """The table with these columns, of continuous u, as floats or moments, which text may say.

    Args:
        u: the table.
        names: those columns.
        advice: about what is neither.
    """
    return u.assign(**{name: _real(u[name], advice) for name in names})


def is_of_moments(column: Series) -> bool:
    """True for dates, times or durations, as text or as pandas has them."""
    cell, _, found = _no_number(column)
    return column.dtype.kind in "mM" or (found and is_date(cell))


def _real(column: Series, advice: str) -> Series:
    cell, row, found = _no_number(column)
    if not found and column.dtype.kind not in "mM":
        numbers = column.astype(float)
        check_finite(numbers, "u")
        return numbers
    import pandas as pd

    if column.dtype.kind != "m":
        if column.dtype.kind == "O":
            column = column.astype(str).str.replace(r" UTC$", "Z", regex=True)  # as BigQuery has it
        dates = partial(pd.to_datetime, column, format="ISO8601", utc=True)
        try:
            column = dates().dt.tz_localize(None)
        except (TypeError, ValueError):
            others = dates(errors="coerce").isna().to_numpy()
            if others.mean() < 0.5:  # most are dates
                row = int(others.argmax()) + 1
                cell = column.iloc[row - 1]
            hint = "" if is_date(cell) else about_cell(cell, column, row) or advice
            raise ValueError(
                f"Expected numbers, or dates as 2024-01-31, in the column {seen(column.name)} of "
                f"continuous u; got {_described(cell)} in row {row}.{hint and ' '}{hint}"
            ) from None
    select(column.to_frame(), [column.name])  # nan is read as a date that is missing
    return column


def check_present(table: DataFrame, names: Sequence[str], headless: str = NO_HEADER) -> None:
    """Raise unless the table has all these columns.

    Args:
        table: the table.
        names: of the columns.
        headless: what to do if the file has no header.
    """
    for name in names:
        if name not in table.columns:
            # Columns that are called x0 have been read without a header already.
            is_no_name = _is_number if headless == NO_HEADER else _is_no_name
            is_data = any(map(is_no_name, table.columns))
            hint = _near(str(name), table.columns) or (f" {headless}" if is_data else "")
            raise ValueError(
                f"Expected the column {seen(name)}; got a table with {_listed(table.columns)}."
                f"{hint}"
            )


def check_own_names(table: DataFrame, named: Sequence[str], used: Sequence[str]) -> None:
    """Refuse, or warn of, columns that share their name with others in the file.

    Args:
        table: `attrs["shared"]` has such names, and the columns of each.
        named: columns that are named one by one, which says which of them is meant.
        used: columns that are treated alike.

    Raises:
        ValueError: if one of them is named and another is not.
    """
    for name, columns in table.attrs.get("shared", {}).items():
        unnamed = [column for column in columns if column not in named]
        if unnamed and len(unnamed) < len(columns):
            raise ValueError(
                f"Expected one column called {seen(name)}; got {len(columns)}. They are "
                f"{some(columns, seen)} here: say of each what it is, or --drop it."
            )
        if unnamed and set(unnamed) & set(used):
            remark_shared(name, columns, columns)


def remark_shared(name: str, columns: Sequence[str], taken: Sequence[str]) -> None:
    """Warn of columns that share their name, of which some are taken."""
    warnings.warn(
        f"{len(columns)} columns are called {seen(name)}, here {some(columns, seen)}; taken: "
        f"{some(taken, seen)}.",
        stacklevel=3,
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
    folded = {_folded(other): other for other in names}
    near = get_close_matches(_folded(name), list(folded), n=1, cutoff=0.6)
    return f" Is it {seen(folded[near[0]])}?" if near else ""


def _folded(name: Any) -> str:
    """A name without what one does not see of it: case, spaces, how accents are stored."""
    return unicodedata.normalize("NFKC", str(name)).strip().casefold()


def _is_number(name: Any) -> bool:
    return NUMBER.fullmatch(str(name)) is not None


def _is_no_name(name: Any) -> bool:
    """True for a number, and for the name that a column without a header has."""
    return _is_number(name) or POSITIONAL.fullmatch(str(name)) is not None


def _rows(empty: Series) -> str:
    rows = [int(row) + 1 for row in empty.to_numpy().nonzero()[0]]
    return f"in row{'s' if len(rows) > 1 else ''} {some(rows)}"


def _described(cell: Any) -> str:
    return f"{'the date ' if is_date(cell) else ''}{str(cell)!r}"


def _no_number(column: Series) -> tuple[Any, int, bool]:
    """The first cell that is no number, its row, and True; or that is text of one, and False."""
    import pandas as pd

    is_none = pd.to_numeric(column.astype(object), errors="coerce").isna()
    is_text = column.map(lambda cell: isinstance(cell, str))
    row = int((is_none if is_none.any() else is_text).to_numpy().argmax())
    return column.iloc[row], row + 1, bool(is_none.any())
