"""A file of text and how it is read: by pandas as a table, by csv for what pandas does not tell."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from identiflow.columns import seen
from identiflow.dialect import OPEN, Dialect

if TYPE_CHECKING:
    from pandas import DataFrame

AS_TEXT: dict[str, Any] = {"dtype": str, "keep_default_na": False, "decimal": "."}
TOO_LONG = (
    "rows with more cells than the header has names. Name every column; row names that R's "
    "write.table left have no name: write.csv(table, file, row.names = FALSE); numbers with "
    "decimal commas need other separators than commas"
)
ESCAPED = (
    "a quotation mark behind a backslash in line {}, as Spark and MySQL write it. Write it twice, "
    'as "" in "a ""b"" c"'
)


@dataclass(frozen=True)
class TextFile:
    """A file of text and how it is read."""

    path: Path
    dialect: Dialect
    header: bool

    def parsed(self, header: bool | None = None, **options: Any) -> DataFrame:
        """The table, as pandas reads it with these options."""
        import pandas as pd

        dialect, header = self.dialect, self.header if header is None else header
        with warnings.catch_warnings(), self._opened() as file:
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of cells that would be lost
            try:
                table = pd.read_csv(
                    file,
                    sep=r"\s+" if dialect.separator == " " else dialect.separator,
                    skipinitialspace=dialect.spaced,
                    skip_blank_lines=not dialect.alone,
                    header=0 if header and not dialect.names else None,
                    names=_names(dialect) if header and dialect.names else None,
                    encoding=dialect.encoding,
                    index_col=False,
                    low_memory=False,
                    **{"decimal": dialect.decimal, **_exact(pd.__version__), **options},
                )
            except (pd.errors.ParserWarning, pd.errors.ParserError) as error:
                if (line := self._escaped()) is not None:
                    raise ValueError(ESCAPED.format(line)) from None
                if isinstance(error, pd.errors.ParserError):
                    raise
                raise ValueError(TOO_LONG) from None
        if not header:
            return table.rename(columns=lambda number: f"x{number}")
        return table.rename(columns=str.strip) if dialect.spaced else table

    def _opened(self) -> AbstractContextManager[IO[Any]]:
        """The table as bytes, which pandas reads faster, or its text where lines stand above it."""
        if self.dialect.lines_before:
            return self._text()
        return cast("AbstractContextManager[IO[Any]]", OPEN[self.dialect.packing](self.path))

    @contextmanager
    def _text(self) -> Iterator[IO[str]]:
        """The text of the table, below all lines that stand above it."""
        opened = OPEN[self.dialect.packing](self.path)
        with opened, io.TextIOWrapper(opened, self.dialect.encoding, newline="") as file:
            for _ in range(self.dialect.lines_before):
                file.readline()
            yield file

    def _escaped(self) -> int | None:
        """The line of the first quotation mark behind a backslash; None if there is none."""
        before = self.dialect.lines_before
        with self._text() as file:
            lines = enumerate(file, before + 1)
            return next((number for number, line in lines if '\\"' in line), None)

    def widths(self, most: int | None = None) -> list[int]:
        """The number of cells in each row, or in no more than so many of the first lines."""
        dialect = self.dialect
        with self._text() as file:
            rows = csv.reader(
                file, delimiter=dialect.separator, skipinitialspace=dialect.spaced, strict=False
            )
            found = [len(row) for row in islice(rows, most) if row or dialect.alone]
        return found[1:] if self.header and not dialect.names else found

    def first_cells(self) -> list[str]:
        """Those of the first line of the table, as they stand."""
        first = self.parsed(header=False, nrows=1, **AS_TEXT).iloc[0]
        return [str(cell).strip() if self.dialect.spaced else str(cell) for cell in first]


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
