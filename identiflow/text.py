"""Tables in files of text: one type a column, found from all of its cells, and labels as words."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from identiflow.columns import seen
from identiflow.dialect import NEXT_ENCODING, OPEN, Dialect, dialect_of
from identiflow.header import shared_names, without_empty
from identiflow.labels import as_written, beyond_floats, whole_as_written
from identiflow.numerals import are_grouped, has_decimal_commas, may_be_thousands

if TYPE_CHECKING:
    from pandas import DataFrame


def read_text(
    path: Path, words: Mapping[str, Collection[str]], unless_floats: bool, header: bool
) -> DataFrame:
    """The table in a file of text in any dialect; `attrs["note"]` says in words what is unusual.

    `attrs["shared"]` has the names that several columns have in the file, and what each of them is
    called in the table; `attrs["spelt"]` those of numbers that are written in two ways, among the
    columns of `words`; `attrs["doubts"]` what else is to be said.

    Args:
        path: the file.
        words: columns whose cells are labels, each with those words that are labels though
            elsewhere they mean that a value is missing.
        unless_floats: leaves those of them alone that hold floats.
        header: True if the first line has the names; else columns are x0, x1, ….
    """
    dialect = dialect_of(path)
    table, dialect = _decoded(path, dialect, header)
    table, dialect = _with_decimals(table, path, dialect, header)
    doubts = []
    if dialect.separator == ";" and dialect.decimal == ".":  # where a point may be of thousands
        doubts = _doubts_of_points(table, path, dialect, header)
    floats = {name for name in table.columns if table[name].dtype.kind == "f"}
    chosen = {name for name in words if not (unless_floats and name in floats)}
    long = {name for name in floats - chosen if name in words and beyond_floats(table[name])}
    known = {name: words[name] for name in chosen}
    spelt = _spellings(table, path, dialect, header, floats & set(words) - long)
    table = _with_words(table, path, dialect, header, known, long)
    shared = shared_names(_first_cells(path, dialect), list(table.columns)) if header else {}
    table = without_empty(table)
    note = ", ".join(dialect.unlike(path))
    table.attrs |= {"note": note, "shared": shared, "doubts": doubts, "spelt": spelt}
    return table


def _spellings(
    table: DataFrame, path: Path, dialect: Dialect, header: bool, names: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Of these columns of numbers, two ways in which a cell writes the same: 250.1 and 250.10."""
    positions = [i for i, name in enumerate(table.columns) if name in names]
    if not positions:
        return {}
    cells = _parsed(path, dialect, header, usecols=positions, dtype=str)
    found = {}
    for i, column in zip(positions, cells.columns, strict=True):
        different = cells[column].str.strip().to_frame("as").assign(number=table.iloc[:, i])
        different = different.drop_duplicates("as").dropna()
        twice = different[different.duplicated("number", keep=False)]
        if len(twice):
            same = twice[twice.number == twice.number.iloc[0]]
            found[str(table.columns[i])] = (same["as"].iloc[0], same["as"].iloc[1])
    return found


def _decoded(path: Path, dialect: Dialect, header: bool) -> tuple[DataFrame, Dialect]:
    """The table, and the dialect with the encoding that all of the file is in."""
    while True:
        try:
            return _parsed(path, dialect, header), dialect
        except UnicodeDecodeError:
            encoding = NEXT_ENCODING.get(dialect.encoding)
            if encoding is None:
                raise ValueError(
                    f"bytes that are no {dialect.encoding}. Save it in UTF-8"
                ) from None
            dialect = replace(dialect, encoding=encoding)


def _with_decimals(
    table: DataFrame, path: Path, dialect: Dialect, header: bool
) -> tuple[DataFrame, Dialect]:
    """The same with decimal commas, if that makes numbers of text and text of no numbers."""
    if not any(map(has_decimal_commas, _columns(table, of_text=True))):
        return table, dialect
    with_commas = replace(dialect, decimal=",")
    again = _parsed(path, with_commas, header)
    numeric = [set(of.columns[of.dtypes.map(lambda d: d.kind) != "O"]) for of in (table, again)]
    return (again, with_commas) if numeric[0] <= numeric[1] else (table, dialect)


def _doubts_of_points(table: DataFrame, path: Path, dialect: Dialect, header: bool) -> list[str]:
    """What is to be said of points that may stand between thousands; an error if they do."""
    floats = [i for i, dtype in enumerate(table.dtypes) if dtype.kind == "f"]
    if not floats:
        return []
    cells = _parsed(path, dialect, header, usecols=floats, dtype=str)
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


def _columns(table: DataFrame, of_text: bool) -> list[Any]:
    columns = [table.iloc[:, i] for i in range(table.shape[1])]
    return [column for column in columns if (column.dtype.kind == "O") == of_text]


def _parsed(path: Path, dialect: Dialect, header: bool, **options: Any) -> DataFrame:
    import pandas as pd

    with warnings.catch_warnings(), OPEN[dialect.packing](path) as file:
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
            raise ValueError(
                "rows with more cells than the header has names. Name every column; row names "
                "that R's write.table left have no name: write.csv(table, file, row.names = FALSE);"
                " numbers with decimal commas need other separators than commas"
            ) from None
    if not header:
        return table.rename(columns=lambda number: f"x{number}")
    return table.rename(columns=str.strip) if dialect.spaced else table


def _names(dialect: Dialect) -> list[str]:
    """The names that no header of pandas has; each must be one alone."""
    for name in dialect.names:
        if dialect.names.count(name) > 1:
            raise ValueError(f"several columns of one name, {seen(name)}. Rename them")
    return list(dialect.names)


def _first_cells(path: Path, dialect: Dialect) -> list[str]:
    """The first line of the table as it stands."""
    first = _parsed(path, dialect, False, nrows=1, dtype=str, keep_default_na=False)
    return [str(cell).strip() if dialect.spaced else str(cell) for cell in first.iloc[0]]


def _exact(pandas: str) -> dict[str, Any]:
    """The option that reads a number to its last bit, which pandas from 3.1 on does unasked."""
    older = tuple(map(int, pandas.split(".")[:2])) < (3, 1)
    return {"float_precision": "round_trip"} if older else {}


def _with_words(
    table: DataFrame,
    path: Path,
    dialect: Dialect,
    header: bool,
    words: Mapping[str, Collection[str]],
    long: Collection[str],
) -> DataFrame:
    """The table, with the cells of these columns as they stand in the file, but those missing.

    Args:
        table, path, dialect, header: that table.
        words: columns of words.
        long: columns of numbers, of which floats cannot hold all digits: integers, if they are.
    """
    positions = [i for i, name in enumerate(table.columns) if name in words or name in long]
    if not positions:
        return table
    as_text = {"dtype": str, "keep_default_na": False, "decimal": "."}
    cells = _parsed(path, dialect, header, usecols=positions, **as_text)
    cells.columns = table.columns[positions]
    for name in cells.columns:
        column = cells[name].str.strip() if dialect.spaced else cells[name]
        if name in words:
            table[name] = as_written(column, words[name])
        elif (whole := whole_as_written(column)) is not None:
            table[name] = whole
    return table
