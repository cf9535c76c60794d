"""Rows with fewer or more cells than names: refused or remarked on, whatever columns are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from identiflow.tables import read_table

NAMES = ["cond", "a", "b", "c", "batch"]
RANDOM = np.random.default_rng(0)
ROWS = [
    [label, *RANDOM.normal(size=3).round(3).astype(str), "0.5"] for label in ["ctl", "drug"] * 10
]
SEPARATORS = {",": ".csv", ";": ".csv", "|": ".csv", "\t": ".tsv"}
USED = ["--aux", "cond", "--columns", "a,b,c"]


def text(separator: str, rows: list[list[str]], names: list[str] = NAMES, end: str = "\n") -> str:
    return "".join(separator.join(row) + end for row in [names, *rows])


def without(rows: dict[int, int]) -> list[list[str]]:
    """The rows without the cell of this number in each of these."""
    return [[c for j, c in enumerate(row) if rows.get(i) != j] for i, row in enumerate(ROWS)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("lost", [{4: 2}, {0: 1, 7: 2, 19: 3}, {3: 4}])
def test_some_are_remarked_on(
    lost: dict[int, int], separator: str, end: str, taken: Callable, tmp_path: Path
) -> None:
    path = tmp_path / f"t{SEPARATORS[separator]}"
    path.write_bytes(text(separator, without(lost), end=end).encode())
    x, _, said = taken(path, *USED)
    assert len(x) == len(ROWS)
    assert said[0].startswith(
        f"identiflow: warning: There are fewer cells than the 5 names in {len(lost)} rows, the "
        f"first row {min(lost) + 1}."
    )


@pytest.mark.parametrize("separator", [",", "\t"])  # others are then no separators
def test_all_are_refused(separator: str, taken: Callable, tmp_path: Path) -> None:
    """As of a name with a separator in it: cond,Conc, mM,a,b,c."""
    path = tmp_path / f"t{SEPARATORS[separator]}"
    path.write_text(text(separator, ROWS, [*NAMES[:1], "Conc", *NAMES[1:]]))
    x, _, said = taken(path, *USED)
    assert x is None and "fewer cells than the 6 names in every row. Put a name with a" in said[0]


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("last", ["", "NA"])
def test_empty_cells_are_cells(last: str, separator: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{SEPARATORS[separator]}"
    path.write_text(text(separator, [[*row[:-1], last] for row in ROWS]))
    assert read_table(path).attrs["doubts"] == []


def test_a_header_that_ends_in_a_separator_has_no_more_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text(",", ROWS, [*NAMES, ""]))
    assert list(read_table(tmp_path / "t.csv").columns) == NAMES


def test_a_quoted_line_break_is_in_a_cell(tmp_path: Path) -> None:
    rows = [[*row[:-1], '"two\nlines"'] for row in ROWS[:-1]] + [ROWS[-1][:-1]]
    (tmp_path / "t.csv").write_text(text(",", rows))
    assert "in 1 rows, the first row 20." in read_table(tmp_path / "t.csv").attrs["doubts"][0]


# Marks that open a cell and never close it, as ditto marks, and by how many rows apart.
OPEN = {"ditto": '"', "a word": '"blue'}


@pytest.mark.parametrize("rows", [range(4, 10), [6, 7], [6, 9], range(20)], ids=str)
@pytest.mark.parametrize("mark", OPEN)
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("separator", [*SEPARATORS, " "])
def test_marks_that_open_a_cell_take_no_rows_into_it(
    separator: str, place: int, mark: str, rows: list[int], taken: Callable, tmp_path: Path
) -> None:
    cells = [OPEN[mark] if i in rows else "word" for i in range(len(ROWS))]
    lines = [[*row[:place], word, *row[place:]] for row, word in zip(ROWS, cells, strict=True)]
    names = [*NAMES[:place], "note", *NAMES[place:]]
    path = tmp_path / f"t{SEPARATORS.get(separator, '.txt')}"
    path.write_text(text(separator, lines, names))
    x, _, said = taken(path, *USED)
    assert x is None and "lines in one cell, of the column note in row" in said[-1]
    written = [[*row[:place], '"a\nb"', *row[place:]] for row in ROWS]
    path.write_text(text(separator, written, names))
    assert len(read_table(path)) == len(ROWS)


# Cells that say one thing and are two, as people and PsychoPy write them.
TORN = {
    "a separator": "hi{0} you",
    "quotation marks": '"He said "hi"{0} ok"',
}


LONGER = (
    "cells behind the last name in ",
    "rows with more cells than the header has names",
    " cells in row 1, where there are ",
    ", where lines before it have ",
)


@pytest.mark.parametrize("ends", ["", "header", "rows", "header, rows"])
@pytest.mark.parametrize("torn", [[0], [0, 4, 8], [5], [19]], ids=str)
@pytest.mark.parametrize("cell", TORN)
@pytest.mark.parametrize("separator", SEPARATORS)
def test_longer_ones_are_refused(
    separator: str, cell: str, torn: list[int], ends: str, taken: Callable, tmp_path: Path
) -> None:
    cells = [TORN[cell].format(separator) if i in torn else "word" for i in range(len(ROWS))]
    rows = [[row[0], word, *row[1:]] for row, word in zip(ROWS, cells, strict=True)]
    rows = [[*row, ""] if "rows" in ends else row for row in rows]
    names = [NAMES[0], "note", *NAMES[1:], *([""] if "header" in ends else [])]
    path = tmp_path / f"t{SEPARATORS[separator]}"
    path.write_text(text(separator, rows, names))
    x, _, said = taken(path, *USED)
    assert x is None and any(words in said[0] for words in LONGER)


@pytest.mark.parametrize("ends", ["header", "rows", "header, rows"])
def test_a_last_separator_is_no_cell(ends: str, taken: Callable, tmp_path: Path) -> None:
    rows = [[*row, ""] if "rows" in ends else row for row in ROWS]
    names = [*NAMES, ""] if "header" in ends else NAMES
    (tmp_path / "t.csv").write_text(text(",", rows, names))
    x, _, said = taken(tmp_path / "t.csv", *USED)
    assert x is not None and said == []
    assert x.to_numpy().tolist() == [[float(cell) for cell in row[1:4]] for row in ROWS]
