"""The dialect of a file of text, told from its first bytes: packing, encoding, separator.

Python unpacks, the module csv splits rows and pandas reads them; what none of them tells by itself
is here.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import errno
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from identiflow import header
from identiflow.endings import promised_packing, usual_separator
from identiflow.header import MOST_TITLE
from identiflow.numerals import NUMBER

BEGINNING = 1 << 16  # so many bytes tell the dialect
ENOUGH = 3  # lines that make a table
NEARLY_ALL = 0.9  # of the rows are as long as their header, which others are not


def _unzipped(path: Path) -> IO[bytes]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not OF_SYSTEMS.search(name)]
        if any(name.endswith((".npy", "[Content_Types].xml")) for name in names):
            raise ValueError(_foreign("an Excel workbook or an NPZ file", "Rename or export it"))
        if len(names) != 1:
            raise ValueError(f"{len(names)} files packed in one. Pack one table, or unpack it")
        return archive.open(names[0])


def _foreign(kind: str, advice: str) -> str:
    return f"{kind}, by its first bytes. {advice}"


# How packed files begin, whatever their names end in.
PACKED: dict[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    **{b"BZh%d1AY" % level: "bz2" for level in range(1, 10)},
}
OPEN: dict[str | None, Callable[[Path], Any]] = {
    None: lambda path: path.open("rb"),
    "gzip": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
    "zip": _unzipped,
}
# What unpacking raises for a damaged file, beside errors of systems that have no number.
OF_DAMAGE = (EOFError, NotImplementedError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
# What is no text, though its name may say so, and what to do.
FOREIGN = {
    b"PAR1": ("a Parquet file", "Let its name end in .parquet"),
    b"\x93NUMPY": ("an NPY file", "Let its name end in .npy"),
    b"\x28\xb5\x2f\xfd": ("a file packed by zstd", "Unpack it, or pack it by gzip"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "Save its sheet as CSV"),
    b"\x89HDF": ("an HDF5 file", "Write its table as CSV or Parquet"),
}
# Marks at the beginning of text; those of 32 bits begin with one of 16.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Bytes that are no text in the one are taken for the other; in the last all bytes are text.
NEXT_ENCODING = {"utf-8": "cp1252", "utf-8-sig": "cp1252", "cp1252": "latin-1"}
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
MARK = re.compile(r"[,;\t|]")  # a separator, wherever it stands
COMMENTS = re.compile(rf"({header.MARKS}[^\n]*\n([ \t\r]*\n)*)+")
OF_SYSTEMS = re.compile(r"/$|^__MACOSX/|(^|/)\.")  # folders, and what systems put beside a file
FROM_EXCEL = re.compile(r'"?sep=(.)"?\r?\n')  # a first line that names the separator


def is_of_damage(error: Exception) -> bool:
    """True for what unpacking raises where a file is damaged."""
    if isinstance(error, OSError) and error.errno in (None, errno.EINVAL):
        return True
    return isinstance(error, OF_DAMAGE)


@dataclass(frozen=True)
class Dialect:
    """How the cells of a table stand in a file of text."""

    separator: str = ","
    encoding: str = "utf-8"
    packing: str | None = None
    decimal: str = "."
    lines_before: int = 0  # the header
    names: tuple[str, ...] = ()  # of the columns, if the last of those lines has them
    spaced: bool = False  # beside the separators
    alone: bool = False  # of one column, in which an empty line is a cell

    def unlike(self, path: Path) -> list[str]:
        """What in it is not as the name of the file promises, in words."""
        skipped = self.lines_before - bool(self.names)
        found = {
            f"cells between {SEPARATORS[self.separator]}": self.separator != usual_separator(path),
            "decimal commas": self.decimal == ",",
            f"text in {self.encoding}": not self.encoding.startswith("utf-8"),
            f"what follows line {skipped}": skipped > 0,
            f"a file packed by {self.packing or 'nothing'}": self.packing != promised_packing(path),
        }
        return [words for words, is_so in found.items() if is_so]


def dialect_of(path: Path) -> Dialect:
    """The dialect of a file, told from its beginning; decimals are told from all cells, later.

    Raises:
        ValueError: for what is no text.
    """
    with path.open("rb") as file:
        packing = _named_by(file.read(8), PACKED)
    with OPEN[packing](path) as file:
        beginning = file.read(BEGINNING)
    kind = _named_by(beginning, FOREIGN)
    if kind and b"\0" in beginning:  # a column may be called PAR1
        raise ValueError(_foreign(*kind))
    encoding = _encoding(beginning)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(beginning)
    _check_drawn(text.split("\n", MOST_TITLE)[:MOST_TITLE])
    told = FROM_EXCEL.match(text)
    if told and told[1] in SEPARATORS:
        return Dialect(told[1], encoding, packing, lines_before=1)
    layout = _layout(text, len(beginning) < BEGINNING, usual_separator(path))
    return replace(layout, encoding=encoding, packing=packing)


def _check_drawn(lines: Sequence[str]) -> None:
    """Raise for lines that are drawn for the eye."""
    for number, line in enumerate(lines, 1):
        if header.is_box(line):
            raise ValueError("a box drawn around cells. Write it without, as mysql --batch does")
        if number > 1 and header.is_drawn(line):
            raise ValueError(f"a line drawn between names and rows, line {number}. Delete it")


def _layout(text: str, whole: bool, usual: str) -> Dialect:
    """Where the table is in a text, and what is between its cells."""
    separator, lines, names = _start(text, whole, usual)
    table = "".join(_lines(text)[lines:]) if lines else text
    rows = _rows(table, whole, separator)
    if not names:
        names = header.longer_by_one(rows)
        lines += bool(names)
    spaced = any(header.is_spaced(line, separator) for line in table.split("\n", 2)[:2])
    alone = [len(row) for row in rows[:1]] == [1] and not (names or table.startswith(("\n", "\r")))
    return Dialect(separator, lines_before=lines, names=tuple(names), spaced=spaced, alone=alone)


def _start(text: str, whole: bool, usual: str) -> tuple[str, int, list[str]]:
    """The separator, how many lines are above the table, and names that the last of them has."""
    fit, separator = _separator(text, whole, usual)
    comments = COMMENTS.match(text)
    if comments:  # or a header that begins with a #, which fits the rows below it
        rest, number = text[comments.end() :], comments[0].count("\n")
        fit_below, below = _separator(rest, whole, usual)
        rows = _rows(rest, whole, below)
        if names := header.behind_comment(comments[0], rows, below):
            return below, number, names
        if fit_below[0] > fit[0] or (fit_below[0] == fit[0] and header.is_above(rows)):
            separator, lines, names = _start(rest, whole, usual)
            return separator, number + lines, names
    if not _begins_at_once(fit[0], _rows(text, whole, separator)):
        return *(_below_title(text, whole, usual) or (separator, 0)), []
    return separator, 0, []


def _begins_at_once(fit: float, rows: Sequence[Sequence[str]]) -> bool:
    """True if no title stands above these rows: all are as long as the first, or it is a header."""
    if fit in (0.5, 1.0):
        return not (header.is_title(rows) or header.are_sizes(rows))
    return fit > NEARLY_ALL and header.is_above(rows)


def _below_title(text: str, whole: bool, usual: str) -> tuple[str, int] | None:
    """The separator of a table below a title, and how many lines that has."""
    lines = _lines(text)
    for title in range(1, min(MOST_TITLE, len(lines) - ENOUGH) + 1):
        table = "".join(_without_footer(lines[title:], whole))
        fit, separator = _separator(table, whole, usual)
        rows = _rows(table, whole, separator)
        # Data below a line of cells: that is a header, of other length than the rows.
        above = next((line for line in reversed(lines[:title]) if line.strip()), "")
        is_data = separator in above and len(rows) > 1 and header.are_alike(*rows[:2])
        if fit[0] == 1 and fit[1] > 0 and not (header.is_title(rows) or is_data):
            return separator, title
    return None


def _without_footer(lines: list[str], whole: bool) -> list[str]:
    """The lines without those at the end, a few, that are shorter than all others by far."""
    if not whole:
        return lines
    marks = [len(MARK.findall(line)) for line in lines]
    fewest = min(marks[:ENOUGH], default=0)
    end = len(lines)
    while len(lines) - end < MOST_TITLE and end > ENOUGH and marks[end - 1] < fewest:
        end -= 1
    return lines[:end]


def _lines(text: str) -> list[str]:
    """The lines of a text with their ends, as Python reads them from a file."""
    return list(io.StringIO(text, newline=""))


def _named_by(beginning: bytes, names: dict[bytes, Any]) -> Any:
    return next((name for mark, name in names.items() if beginning.startswith(mark)), None)


def _encoding(beginning: bytes) -> str:
    marked: str | None = _named_by(beginning, MARKS)
    if marked:
        return marked
    if b"\0" in beginning:  # Latin letters of 16 bits, of which every other byte is zero
        if 4 * beginning.count(0) < len(beginning):
            raise ValueError("zero bytes, of which text has none. Write it again")
        return "utf-16-le" if beginning[1::2].count(0) > beginning[::2].count(0) else "utf-16-be"
    encoding = "utf-8"
    while not _is_in(encoding, beginning):
        encoding = NEXT_ENCODING[encoding]
    return encoding


def _is_in(encoding: str, beginning: bytes) -> bool:
    try:  # the last letter may be cut
        codecs.getincrementaldecoder(encoding)().decode(beginning)
    except UnicodeDecodeError:
        return False
    return True


def _separator(text: str, whole: bool, usual: str) -> tuple[tuple[float, float], str]:
    """How well the best separator fits, and which it is: the usual one of those that are equal."""
    candidates = [usual, *(separator for separator in SEPARATORS if separator != usual)]
    fits = [_fits(_rows(text, whole, separator)) for separator in candidates]
    return max(fits), candidates[fits.index(max(fits))]


def _rows(text: str, whole: bool, separator: str) -> list[list[str]]:
    if separator == " ":  # several are one, and none is at an end of a line
        text = re.sub(r"^ +| +$|(?<= ) +", "", text, flags=re.MULTILINE)
    try:
        rows = [
            row
            for row in csv.reader(
                io.StringIO(text, newline=""),
                delimiter=separator,
                skipinitialspace=separator != " ",
            )
            if row
        ]
    except csv.Error:
        return []
    return rows if whole or len(rows) < 2 else rows[:-1]  # the last may be cut


def _fits(rows: Sequence[Sequence[str]]) -> tuple[float, float]:
    """The share of rows as long as the first, and that of numbers among their cells.

    A header may lack the name of a first column, or rows or a header end in a separator: such rows
    count a half. A first row of one cell says nothing.
    """
    if not rows or len(rows[0]) < 2:
        return 0.0, 0.0
    first, others = len(rows[0]), rows[1:] or rows
    near = {first + 1} if rows[0][-1] else {first + 1, first - 1}
    lengths = [(len(row) == first) + 0.5 * (len(row) in near) for row in others]
    cells = [cell for row in others for cell in row]
    numbers = sum(NUMBER.fullmatch(cell) is not None for cell in cells)
    return (sum(lengths) / len(lengths), numbers / len(cells)) if any(lengths) else (0.0, 0.0)
