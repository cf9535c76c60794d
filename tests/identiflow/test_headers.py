"""Headers as programs write them: the same names and numbers, however they stand in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

RANDOM = np.random.default_rng(0)
ROWS = 12
X = RANDOM.normal(size=(ROWS, 2)).round(3)
LABELS = ["ctl", "drug"] * (ROWS // 2)
LINES = [[str(a), str(b), u] for (a, b), u in zip(X.tolist(), LABELS, strict=True)]
NAMES = ["left", "right", "u"]


def text(separator: str, names: str, *, before: str = "", end: str = "", above: str = "") -> str:
    """A table: lines above it, its names, and rows with this before and at their end."""
    rows = [before + separator.join(line) + end for line in LINES]
    return above + "\n".join([names, *rows]) + "\n"


# Each way a header is written, of a separator; `None` where it cannot be told from another table.
WAYS: dict[str, Callable[[str], str]] = {
    "right-aligned": lambda s: text(s, "# " + s.join(NAMES), before=s * 4 if s == " " else ""),
    "plain": lambda s: text(s, s.join(NAMES)),
    "behind a mark, as numpy": lambda s: text(s, "# " + s.join(NAMES)),
    "behind two marks": lambda s: text(s, "## " + s.join(NAMES)),
    "below marked lines": lambda s: text(s, "# " + s.join(NAMES), above="## by hand\n## in May\n"),
    "below a comment": lambda s: text(s, s.join(NAMES), above="# by hand\n"),
    "behind another mark": lambda s: text(
        s, "% " + s.join(NAMES), above="% Model: a\n% Nodes: 9\n"
    ),
    "below another mark": lambda s: text(s, s.join(NAMES), above="% by hand\n"),
    "below marks and an empty line": lambda s: text(
        s, s.join(NAMES), above=f"!Title{s}a{s}b\n!By{s}hand\n\n!Sample{s}1{s}2{s}3\n!begin\n"
    ),
    "below slashes": lambda s: text(s, s.join(NAMES), above="// by hand\n// in May\n"),
    "below how many there are": lambda s: text(s, s.join(NAMES), above=f"#1.2\n{ROWS}{s}2\n"),
    "below how many rows there are": lambda s: text(s, s.join(NAMES), above=f"{ROWS}\n"),
    "below a comment of cells": lambda s: text(s, s.join(NAMES), above=f"# a{s}b{s}c\n"),
    "below a title": lambda s: text(s, s.join(NAMES), above="Measured in May\n"),
    "below a padded title": lambda s: text(s, s.join(NAMES), above=f"May{s}{s}\n{s}{s}\n"),
    "below padded settings": lambda s: text(
        s, s.join(NAMES), above=f"Device{s}X 1{s}\nDate{s}2020-01-01{s}\n{s}{s}\n[Data]{s}{s}\n"
    ),
    "below settings": lambda s: text(s, s.join(NAMES), above=f"Device{s}X 1\nSerial{s}12\n\n"),
    "below settings in two parts": lambda s: text(
        s, s.join(NAMES), above=f"[Head]\nDevice{s}X 1\nRate{s}0.5\n[Data]\n"
    ),
    "below a mark and a setting of more cells": lambda s: text(
        s, s.join(NAMES), above=f"##BLOCKS= 1\nPlate:{s}P1{s}1.3{s}TimeFormat{s}Raw\n"
    ),
    "with a separator at its end": lambda s: text(s, s.join([*NAMES, ""])),
    "above rows with one": lambda s: text(s, s.join(NAMES), end=s),
    "all with one": lambda s: text(s, s.join([*NAMES, ""]), end=s),
    "with spaces": lambda s: text(s, f"{s} ".join(NAMES)),
    "spaces in all lines": lambda s: text(s, f" {s} ".join(NAMES)).replace(s, f" {s} "),
    "spaces in the rows": lambda s: text(s, s.join(NAMES)).replace(s, f"{s} "),
}
SEPARATORS = {",": ".csv", ";": ".csv", "|": ".txt", "\t": ".tsv", " ": ".txt"}
# Spaces at an end are no cells, and beside others separate nothing.
OF_SPACES = (
    "right-aligned",
    "plain",
    "behind a mark, as numpy",
    "behind another mark",
    "below another mark",
    "below slashes",
    "below marked lines",
    "below a comment",
)
CASES = [(way, s) for way in WAYS for s in SEPARATORS if s != " " or way in OF_SPACES]


@pytest.mark.parametrize(("way", "separator"), CASES)
def test_a_header_is_read_however_it_is_written(
    way: str, separator: str, taken: Callable, tmp_path: Path
) -> None:
    path = tmp_path / f"t{SEPARATORS[separator]}"
    path.write_text(WAYS[way](separator))
    x, u, said = taken(path, "--aux", "u")
    assert list(x.columns) == NAMES[:2] and u["u"].tolist() == LABELS
    np.testing.assert_array_equal(x, X)
    assert all("note: read" in line for line in said) and len(said) <= 1


def test_the_mark_of_a_name_stays_with_it(taken: Callable, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text(",", "#left,right,u"))
    assert list(taken(tmp_path / "t.csv", "--aux", "u").x.columns) == ["#left", "right"]


def test_names_behind_a_mark_have_spaces_between_wide_ones(taken: Callable, tmp_path: Path) -> None:
    """As COMSOL writes them, with units."""
    path = tmp_path / "t.txt"
    names = "% x                y (m)            u\n"
    path.write_text(text("      ", names.strip(), above="% Model:     a.mph\n% Nodes:     12\n"))
    assert list(taken(path, "--aux", "u").x.columns) == ["x", "y (m)"]


def test_data_below_a_comment_have_no_names(taken: Callable, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text(",", "# by hand"))
    x, _, said = taken(path, "--aux", "x2", "--no-header")
    np.testing.assert_array_equal(x, X)
    assert said == [f"identiflow: note: read {path} as what follows line 1."]
    assert "pass --no-header" in taken(path, "--aux", "x2").said[0]
    assert "pass --no-header" not in taken(path, "--aux", "u", "--no-header").said[0]


def test_rows_longer_than_their_header_are_no_table_below_a_title(
    taken: Callable, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("a,b,u\n" + "".join(f"1,{i},2,{i},a\n" for i in range(ROWS)))
    (message,) = taken(tmp_path / "t.csv", "--aux", "u").said
    assert "rows with more cells than the header has names" in message
    assert "decimal commas need other separators" in message


# Names that columns share -------------------------------------------------------------------------


def shared(*names: str) -> pd.DataFrame:
    cells = {"u": LABELS, "v": np.arange(ROWS) % 3}
    columns = [cells.get(name, RANDOM.normal(size=ROWS)) for name in names]
    return pd.concat([pd.Series(cell) for cell in columns], axis=1, keys=names)


SHARED: dict[str, tuple[list[str], list[str], str]] = {
    "u and another": (["a", "u", "b", "u"], [], "Expected one column called u; got 2. They are u,"),
    "one to drop": (["p", "p", "q", "u"], ["--drop", "p"], "Expected one column called p; got 2"),
    "one of x": (["p", "p", "u"], ["--columns", "p"], "got 2. They are p, p.1 here: say of each"),
    "both of x": (["p", "p", "u"], [], "2 columns are called p, here p, p.1; taken: p, p.1."),
    "by a pattern": (["p", "p", "u"], ["--columns", "p*"], "here p, p.1; taken: p, p.1."),
    "each is named": (["p", "p", "u"], ["--columns", "p,p.1"], ""),
    "each in its place": (["p", "p", "q", "u"], ["--columns", "p,q", "--drop", "p.1"], ""),
    "neither is used": (["v", "v", "p", "u"], ["--columns", "p"], ""),
}


@pytest.mark.parametrize("case", SHARED)
def test_columns_that_share_a_name_are_told_apart_or_remarked_on(
    case: str, taken: Callable, tmp_path: Path
) -> None:
    names, options, message = SHARED[case]
    shared(*names).to_csv(tmp_path / "t.csv", index=False)
    said = taken(tmp_path / "t.csv", "--aux", "u", *options).said
    assert [message in line for line in said] == [True] * bool(message)


def test_names_behind_a_mark_may_not_be_shared(taken: Callable, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text(",", "# left,left,u"))
    (message,) = taken(tmp_path / "t.csv", "--aux", "u").said
    assert "several columns of one name, left. Rename them" in message


FOOTERS = ["END", '"Total rows: 12"', "\nSource: World Bank", "\n\nTotal amount, policy 1: 14"]
TITLES = [
    "Report\n",
    "Notes (https://example.org/info.action)\n",
    '"Annual report 2020"\n\n',
]


@pytest.mark.parametrize("footer", FOOTERS)
@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("separator", [s for s in SEPARATORS if s != " "])
def test_a_line_below_the_rows_is_named_below_a_title_too(
    separator: str, title: str, footer: str, taken: Callable, tmp_path: Path
) -> None:
    path = tmp_path / f"t{SEPARATORS[separator]}"
    path.write_text(text(separator, separator.join(NAMES), above=title) + footer + "\n")
    x, _, said = taken(path, "--aux", "u")
    assert x is None and "13. " in said[-1] and "header" not in said[-1]
    assert "Delete those lines" in said[-1] or "If that line is no data, delete it" in said[-1]
