"""Tables in files of text: one type a column, found from all of its cells, and labels as words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from identiflow.columns import seen
from identiflow.dialect import NEXT_ENCODING, dialect_of
from identiflow.header import NO_NAME, shared_names, without_empty
from identiflow.labels import as_written, beyond_floats, two_spellings, whole_as_written
from identiflow.no_data import doubts_of_rows
from identiflow.numerals import (
    NUMBER,
    are_grouped,
    has_decimal_commas,
    may_be_thousands,
    with_comma_read,
)
from identiflow.text_file import AS_TEXT, TOO_LONG, TextFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

FIRST_LINES = 10  # among which the first row of data is
WHOLE_WITH_COMMA = re.compile(r"^\s*([+-]?\d+),0+\s*$")


def read_text(
    path: Path, words: Mapping[str, Collection[str]], unless_floats: bool, header: bool
) -> DataFrame:
    """The table in a file of text in any dialect; its `attrs` have what is unusual.

    They are `note`, in words; `shared`, names that several columns have in the file, and what each
    of them is called in the table; `spelt`, columns among `words` in which a number is written in
    two ways; `doubts`, what else is to be said.

    Args:
        path: the file.
        words: columns whose cells are labels, each with those words that are labels though
            elsewhere they mean that a value is missing.
        unless_floats: leaves those of them alone that hold floats.
        header: True if the first line has the names; else columns are x0, x1, ….
    """
    file, table = _decoded(TextFile(path, dialect_of(path), header))
    _check_lengths(file, table)
    file, table = _with_decimals(file, table)
    _check_quotes(file, table)
    doubts = [
        *_doubts_of_short(file, table),
        *_doubts_of_points(file, table),
        *doubts_of_rows(table),
    ]
    table, spelt = _with_words(file, table, words, unless_floats)
    has_names = header and not file.dialect.names  # which have been looked at
    shared = shared_names(file.first_cells(), list(table.columns)) if has_names else {}
    table = without_empty(table)
    note = ", ".join(file.dialect.unlike(path))
    table.attrs |= {"note": note, "shared": shared, "spelt": spelt, "doubts": doubts}
    return table


def _decoded(file: TextFile) -> tuple[TextFile, DataFrame]:
    """The table, and the file with the encoding that all of it is in."""
    while True:
        try:
            return file, file.parsed()
        except UnicodeDecodeError:
            encoding = NEXT_ENCODING.get(file.dialect.encoding)
            if encoding is None:
                raise ValueError(
                    f"bytes that are no {file.dialect.encoding}. Save it in UTF-8"
                ) from None
            file = replace(file, dialect=replace(file.dialect, encoding=encoding))


def _with_decimals(file: TextFile, table: DataFrame) -> tuple[TextFile, DataFrame]:
    """The same with decimal commas, if that makes numbers of text and text of no numbers."""
    of_text = [column for column in _columns(table) if column.dtype.kind == "O"]
    if not any(map(has_decimal_commas, of_text)):
        return file, table
    with_commas = replace(file, dialect=replace(file.dialect, decimal=","))
    again = with_commas.parsed()
    before, after = [
        {i for i, dtype in enumerate(of.dtypes) if dtype.kind != "O"} for of in (table, again)
    ]
    if before <= after:
        return with_commas, _with_points(again)
    cells = file.parsed(usecols=sorted(before - after), dtype=str)
    if after - before and all(_may_be_grouped(cells[name]) for name in cells.columns):
        raise ValueError(
            f"points between thousands in the column {seen(cells.columns[0])}, beside decimal "
            "commas. Write numbers without separators of thousands"
        )
    return file, table


def _with_points(table: DataFrame) -> DataFrame:
    """The table with numbers in columns of decimal commas that have other cells, too.

    What is wrong with such a column is in its other cells.
    """
    of_text = [name for name in table.columns if table[name].dtype.kind == "O"]
    mixed = [name for name in of_text if has_decimal_commas(table[name])]
    return table.assign(**{name: table[name].map(with_comma_read) for name in mixed})


def _check_quotes(file: TextFile, table: DataFrame) -> None:
    """Raise for a quotation mark that takes rows below it into one cell, where they are lost."""
    of_numbers = [i for i, dtype in enumerate(table.dtypes) if dtype.kind in "iuf"]
    of_text = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "O" and of_numbers]
    for i in of_text:
        cells = table.iloc[:, i].astype(str)
        broken = cells.str.contains("\n", regex=False).to_numpy(dtype=bool)
        others = cells[~broken]
        are_numbers = 0 < len(others) < len(cells) and others.str.fullmatch(NUMBER).all()
        beside = (table.shape[1], i, of_numbers)
        for row in broken.nonzero()[0]:
            lines = cells.iloc[row].split("\n")
            parts = [line.split(file.dialect.separator) for line in lines]
            if are_numbers or _are_rows(parts, *beside):
                raise ValueError(
                    f"{len(lines)} lines in one cell, of the column {seen(table.columns[i])} in row"
                    f" {row + 1}, some of them rows. Remove the quotation mark at its beginning"
                )


def _check_lengths(file: TextFile, table: DataFrame) -> None:
    """Raise if rows have more cells than there are names, which pandas cuts off where it can.

    It takes the first row for as long as all are, and says so of longer ones below it.
    """
    names = table.shape[1]
    if NO_NAME.fullmatch(str(table.columns[-1])) and file.header:
        behind = table.iloc[:, -1].notna().to_numpy()
        if behind.any() and not behind.all():
            raise ValueError(
                f"cells behind the last name in {int(behind.sum())} rows, the first row "
                f"{int(behind.argmax()) + 1}, and none in others. Name that column; or, if a cell "
                "before it has a separator or a quotation mark in it, quote that cell"
            )
    if file.dialect.separator == " " or max(file.widths(FIRST_LINES), default=0) <= names:
        return
    widths = file.widths()
    if len(set(widths)) == 1:
        raise ValueError(TOO_LONG)
    first = next(number for number, width in enumerate(widths, 1) if width > names)
    raise ValueError(
        f"{widths[first - 1]} cells in row {first}, where there are {names} names. Quote a cell "
        "with a separator in it, and write a quotation mark in it twice"
    )


def _doubts_of_short(file: TextFile, table: DataFrame) -> list[str]:
    """What is to be said of rows with fewer cells than names, which are taken from the left.

    An error if all are so, or where an empty cell cannot be told from none.
    """
    if not table.iloc[:, -1].isna().any():
        return []
    short, width = _short(file, table), table.shape[1]
    if not short.any():
        return []
    rows = f"in {int(short.sum())} rows, the first row {int(short.argmax()) + 1}"
    if file.dialect.separator == " ":
        raise ValueError(
            f"fewer cells than the {width} names {rows}. Between spaces an empty cell is none, and "
            "those behind it take its place: write NA in it, or put commas between cells"
        )
    if short.all():
        raise ValueError(
            f"fewer cells than the {width} names in every row. Put a name with a separator in it "
            "between quotation marks, or remove the name of what is not there"
        )
    return [
        f"There are fewer cells than the {width} names {rows}. The last columns are taken to be "
        "empty there; if another cell is missing, those behind it are in the wrong columns."
    ]


def _short(file: TextFile, table: DataFrame) -> NDArray[np.bool_]:
    """The rows with fewer cells than there are columns with names."""
    import numpy as np

    if file.dialect.separator == " ":
        last = file.parsed(usecols=[table.shape[1] - 1], **AS_TEXT).iloc[:, 0]
        return (last.isna() | (last == "")).to_numpy(dtype=bool)
    named = [i for i, name in enumerate(table.columns) if not NO_NAME.fullmatch(str(name))]
    widths = np.array(file.widths())
    same = len(widths) == len(table) and named  # else a row is another thing to pandas
    return widths < named[-1] + 1 if same else np.zeros(1, dtype=bool)


def _are_rows(
    lines: Sequence[Sequence[str]], width: int, column: int, of_numbers: Sequence[int]
) -> bool:
    """True if lines in one cell have a row among them, or the end of one and the start of another.

    A row has numbers in the same places as all others.
    """
    end, start = ["0"] * column + list(lines[0]), list(lines[-1]) + ["0"] * (width - 1 - column)
    several = len(lines[0]) + len(lines[-1]) > 2
    whole = any(_is_row(line, width, of_numbers) for line in lines)
    return whole or (several and all(_is_row(line, width, of_numbers) for line in (end, start)))


def _is_row(cells: Sequence[str], width: int, of_numbers: Sequence[int]) -> bool:
    """True for as many cells as a row has, with numbers, or nothing, in the same places."""
    return len(cells) == width and all(
        NUMBER.fullmatch(cells[i]) or not cells[i] for i in of_numbers
    )


def _doubts_of_points(file: TextFile, table: DataFrame) -> list[str]:
    """What is to be said of points that may stand between thousands.

    An error between semicolons: commas are the decimal marks there.
    """
    if file.dialect.decimal == ",":
        return []
    floats = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "f"]
    between = [i for i in floats if _are_thousandths(table.iloc[:, i])]
    cells = file.parsed(usecols=between, dtype=str) if between else table.iloc[:, :0]
    mixed = [name for name in cells.columns if may_be_thousands(cells[name])]
    is_theirs = file.dialect.separator == ";"
    if mixed and is_theirs:
        raise ValueError(
            f"whole numbers with points in the column {seen(mixed[0])}, which may stand between "
            "thousands. Write numbers without separators of thousands"
        )
    all_grouped = len(between) == len(floats) and all(map(are_grouped, _columns(cells)))
    doubtful = mixed or (list(cells.columns[:1]) if is_theirs and all_grouped else [])
    return [
        f"Points are taken for decimal points, as in {_with_a_point(cells[name])} in the column "
        f"{seen(name)}. If they stand between thousands, write numbers without them."
        for name in doubtful[:1]
    ]


def _may_be_grouped(column: Series) -> bool:
    return are_grouped(column) or may_be_thousands(column)


def _are_thousandths(column: Series) -> bool:
    """True for numbers of no more than three decimals, some of them at least one."""
    thousandths = column.dropna() * 1000
    return bool(len(thousandths) and ((thousandths - thousandths.round()).abs() < 1e-4).all())


def _columns(table: DataFrame) -> list[Series]:
    return [table.iloc[:, i] for i in range(table.shape[1])]


def _with_a_point(column: Series) -> str:
    """The first cell that has one."""
    return next(cell for cell in column.dropna() if "." in cell)


def _with_words(
    file: TextFile, table: DataFrame, words: Mapping[str, Collection[str]], unless_floats: bool
) -> tuple[DataFrame, dict[str, tuple[str, str]]]:
    """The table, with the cells of these columns as they stand in the file, but those missing.

    Columns of floats are left alone if that is asked for, but integers that are too long for
    floats; then also the numbers that are written in two ways, by column.
    """
    positions = [i for i, name in enumerate(table.columns) if name in words]
    cells = file.parsed(usecols=positions, **AS_TEXT) if positions else table.iloc[:, :0]
    spelt = {}
    for position, column in zip(positions, cells.columns, strict=True):
        name = table.columns[position]
        written = cells[column].str.strip() if file.dialect.spaced else cells[column]
        if file.dialect.decimal == ",":  # 7,0 is 7 here; 7,5 may be two labels
            written = written.str.replace(WHOLE_WITH_COMMA, r"\1.0", regex=True)
        if not (unless_floats and table[name].dtype.kind == "f"):
            table[name] = as_written(written, words[name])
        elif beyond_floats(table[name]) and (whole := whole_as_written(written)) is not None:
            table[name] = whole
        elif pair := two_spellings(written, table[name]):
            spelt[str(name)] = pair
    return table, spelt
