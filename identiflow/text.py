"""Tables in files of text: one type a column, found from all of its cells, and labels as words."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from identiflow.columns import seen
from identiflow.dialect import NEXT_ENCODING, OPEN, Dialect, dialect_of
from identiflow.footer import doubts_of_ends
from identiflow.header import shared_names, without_empty
from identiflow.labels import as_written, beyond_floats, two_spellings, whole_as_written
from identiflow.numerals import NUMBER, are_grouped, has_decimal_commas, may_be_thousands

if TYPE_CHECKING:
    from pandas import DataFrame

WHOLE_WITH_COMMA = re.compile(r"^\s*([+-]?\d+),0+\s*$")
AS_TEXT: dict[str, Any] = {"dtype": str, "keep_default_na": False, "decimal": "."}


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
    file, table = _decoded(_File(path, dialect_of(path), header))
    file, table = _with_decimals(file, table)
    _check_quotes(file, table)
    _check_short(file, table)
    doubts = [*_doubts_of_points(file, table), *doubts_of_ends(table)]
    table, spelt = _with_words(file, table, words, unless_floats)
    shared = shared_names(file.first_cells(), list(table.columns)) if header else {}
    table = without_empty(table)
    note = ", ".join(file.dialect.unlike(path))
    table.attrs |= {"note": note, "shared": shared, "spelt": spelt, "doubts": doubts}
    return table


@dataclass(frozen=True)
class _File:
    """A file of text and how it is read."""

    path: Path
    dialect: Dialect
    header: bool

    def parsed(self, header: bool | None = None, **options: Any) -> DataFrame:
        """The table, as pandas reads it with these options."""
        import pandas as pd

        dialect, header = self.dialect, self.header if header is None else header
        with warnings.catch_warnings(), OPEN[dialect.packing](self.path) as file:
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of cells that would be lost
            try:
                table = pd.read_csv(
                    file,
                    sep=r"\s+" if dialect.separator == " " else dialect.separator,
                    encoding=dialect.encoding,
                    skiprows=dialect.lines_before,
                    skipinitialspace=dialect.spaced,
                    skip_blank_lines=not dialect.alone,
                    header=0 if header and not dialect.names else None,
                    names=_names(dialect) if header and dialect.names else None,
                    index_col=False,
                    low_memory=False,
                    **{"decimal": dialect.decimal, **_exact(pd.__version__), **options},
                )
            except pd.errors.ParserWarning:
                raise ValueError(TOO_LONG) from None
        if not header:
            return table.rename(columns=lambda number: f"x{number}")
        return table.rename(columns=str.strip) if dialect.spaced else table

    def first_cells(self) -> list[str]:
        """Those of the first line of the table, as they stand."""
        first = self.parsed(header=False, nrows=1, **AS_TEXT).iloc[0]
        return [str(cell).strip() if self.dialect.spaced else str(cell) for cell in first]


TOO_LONG = (
    "rows with more cells than the header has names. Name every column; row names that R's "
    "write.table left have no name: write.csv(table, file, row.names = FALSE); numbers with "
    "decimal commas need other separators than commas"
)


def _names(dialect: Dialect) -> list[str]:
    """The names that no header of pandas has; each must be one alone."""
    for name in dialect.names:
        if dialect.names.count(name) > 1:
            raise ValueError(f"several columns of one name, {seen(name)}. Rename them")
    return list(dialect.names)


def _exact(pandas: str) -> dict[str, Any]:
    """The option that reads a number to its last bit, which pandas from 3.1 on does unasked."""
    older = tuple(map(int, pandas.split(".")[:2])) < (3, 1)
    return {"float_precision": "round_trip"} if older else {}


def _decoded(file: _File) -> tuple[_File, DataFrame]:
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


def _with_decimals(file: _File, table: DataFrame) -> tuple[_File, DataFrame]:
    """The same with decimal commas, if that makes numbers of text and text of no numbers."""
    of_text = [table.iloc[:, i] for i, dtype in enumerate(table.dtypes) if dtype.kind == "O"]
    if not any(map(has_decimal_commas, of_text)):
        return file, table
    with_commas = replace(file, dialect=replace(file.dialect, decimal=","))
    again = with_commas.parsed()
    before, after = [
        {i for i, dtype in enumerate(of.dtypes) if dtype.kind != "O"} for of in (table, again)
    ]
    if before <= after:
        return with_commas, again
    cells = file.parsed(usecols=sorted(before - after), dtype=str)
    if after - before and all(are_grouped(cells[name]) for name in cells.columns):
        raise ValueError(
            f"points between thousands in the column {seen(cells.columns[0])}, beside decimal "
            "commas. Write numbers without separators of thousands"
        )
    return file, table


def _check_quotes(file: _File, table: DataFrame) -> None:
    """Raise for a quotation mark that takes rows below it into one cell, where they are lost."""
    of_numbers = [i for i, dtype in enumerate(table.dtypes) if dtype.kind in "iuf"]
    of_text = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "O" and of_numbers]
    for i in of_text:
        cells = table.iloc[:, i].astype(str)
        for row in cells.str.contains("\n", regex=False).to_numpy().nonzero()[0]:
            lines = cells.iloc[row].split("\n")
            parts = [line.split(file.dialect.separator) for line in lines]
            if any(_is_row(cells_of, table.shape[1], of_numbers) for cells_of in parts):
                raise ValueError(
                    f"{len(lines)} lines in one cell, of the column {seen(table.columns[i])} in row"
                    f" {row + 1}, some of them rows. Remove the quotation mark at its beginning"
                )


def _check_short(file: _File, table: DataFrame) -> None:
    """Raise for a row with fewer cells than names, where those behind an empty one move up."""
    if file.dialect.separator != " " or not table.iloc[:, -1].isna().any():
        return
    last = file.parsed(usecols=[table.shape[1] - 1], **AS_TEXT).iloc[:, 0]
    short = (last.isna() | (last == "")).to_numpy()
    if short.any():
        raise ValueError(
            f"fewer cells than the {table.shape[1]} names in {int(short.sum())} rows, the first "
            f"row {int(short.argmax()) + 1}. Between spaces an empty cell is none, and those "
            "behind it take its place: write NA in it, or put commas between cells"
        )


def _is_row(cells: Sequence[str], width: int, of_numbers: Sequence[int]) -> bool:
    """True for as many cells as a row has, with numbers in the same places."""
    return len(cells) == width and all(NUMBER.fullmatch(cells[i]) for i in of_numbers)


def _doubts_of_points(file: _File, table: DataFrame) -> list[str]:
    """What is to be said of points that may stand between thousands; an error if they do.

    Between semicolons they may: commas are the decimal marks there.
    """
    floats = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "f"]
    if not floats or (file.dialect.separator, file.dialect.decimal) != (";", "."):
        return []
    cells = file.parsed(usecols=floats, dtype=str)
    for name in cells.columns:
        if may_be_thousands(cells[name]):
            raise ValueError(
                f"whole numbers with points in the column {seen(name)}, which may stand between "
                "thousands. Write numbers without separators of thousands"
            )
    first = cells.columns[0]
    if not all(are_grouped(cells[name]) for name in cells.columns):
        return []
    return [
        f"Points are taken for decimal points, as in {cells[first].dropna().iloc[0]} in the column "
        f"{seen(first)}. If they stand between thousands, write numbers without them."
    ]


def _with_words(
    file: _File, table: DataFrame, words: Mapping[str, Collection[str]], unless_floats: bool
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
