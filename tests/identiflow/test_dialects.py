"""Tables as other programs write them, one by one: read and named, or refused with what to do."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

RANDOM = np.random.default_rng(0)
LEFT, RIGHT = RANDOM.normal(size=12).round(3), RANDOM.integers(0, 9, 12)


def zipped(contents: bytes, *others: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("table.csv", *others):
            archive.writestr(name, contents)
    return buffer.getvalue()


BODY = "".join(f"{a}{{0}}{b}{{0}}{u}\n" for a, b, u in zip(LEFT, RIGHT, "ab" * 6, strict=True))
PLAIN = ("a{0}b{0}u\n" + BODY).format
COMMAS = PLAIN(";").replace(".", ",")
READ: dict[str, tuple[str, bytes, str]] = {
    "plain": ("t.csv", PLAIN(",").encode(), ""),
    "semicolons": ("t.csv", PLAIN(";").encode(), "cells between semicolons"),
    "decimal commas": ("t.csv", COMMAS.encode(), "cells between semicolons, decimal commas"),
    "quoted decimal commas": (
        "t.csv",
        pd.read_csv(io.StringIO(PLAIN(","))).to_csv(index=False, decimal=",").encode(),
        "decimal commas",
    ),
    "tabs in .txt": ("t.txt", PLAIN("\t").encode(), ""),
    "tabs in .csv": ("t.csv", PLAIN("\t").encode(), "cells between tabs"),
    "commas in .tsv": ("t.tsv", PLAIN(",").encode(), "cells between commas"),
    "spaces": ("t.txt", PLAIN("  ").encode(), "cells between spaces"),
    "latin-1": ("t.csv", PLAIN(",").replace("a,b", "é,b").encode("latin-1"), "text in cp1252"),
    "latin-1 far down": (
        "t.csv",
        (PLAIN(",") + BODY.format(",") * 500 + "1,2,b\n" * 9000 + "1,2,\xe9\n").encode("latin-1"),
        "text in cp1252",
    ),
    "a mark of UTF-8": ("t.csv", PLAIN(",").encode("utf-8-sig"), ""),
    "UTF-16": ("t.csv", PLAIN(",").encode("utf-16"), "text in utf-16"),
    "UTF-16 without a mark": ("t.csv", PLAIN(",").encode("utf-16-le"), "text in utf-16-le"),
    "gzip": ("t.csv.gz", gzip.compress(PLAIN(",").encode()), ""),
    "gzip by another name": ("t.csv", gzip.compress(PLAIN(",").encode()), "a file packed by gzip"),
    "not gzip": ("t.csv.gz", PLAIN(",").encode(), "a file packed by nothing"),
    "Excel's first line": (
        "t.csv",
        b"sep=;\r\n" + PLAIN(";").encode(),
        "cells between semicolons, what follows line 1",
    ),
    "comments": ("t.csv", b"# by X\n# 1, 2\n" + PLAIN(",").encode(), "what follows line 2"),
    "packed by macOS": (
        "t.zip",
        zipped(PLAIN(",").encode(), "__MACOSX/._table.csv", ".DS_Store"),
        "",
    ),
    "packed, by no other name": ("t.gz", gzip.compress(PLAIN(",").encode()), ""),
    "a title": ("t.csv", b"Measured in May\n" + PLAIN(",").encode(), "what follows line 1"),
    "a title with commas": (
        "t.csv",
        b"Lab 3, May, run 4, by hand\n\n" + PLAIN(";").encode(),
        "cells between semicolons, what follows line 1",
    ),
    "a title of lines": ("t.txt", b"Lab\n\nrun\n" + PLAIN("\t").encode(), "what follows line 3"),
    "a title of two lines in one cell": (
        "t.csv",
        b'"Plate 3\n(rerun)"\n' + PLAIN(",").encode(),
        "what follows line 2",
    ),
    "a title with a quotation mark": (
        "t.csv",
        b'Plate of 5" wells\n' + PLAIN(",").encode(),
        "what follows line 1",
    ),
    "a comment with one": (
        "t.csv",
        b'# 5" wells\n# "a, b\n' + PLAIN(",").encode(),
        "what follows line 2",
    ),
    "a title with a line of its own kind": (
        "t.csv",
        "Plate 3\x0b(rerun)\u2028x\n".encode() + PLAIN(",").encode(),
        "what follows line 1",
    ),
    "a header like a comment": ("t.csv", PLAIN(",").replace("a,b", "#a,b").encode(), ""),
    "Windows": ("t.csv", PLAIN(",").replace("\n", "\r\n").encode(), ""),
    "capitals": ("T.CSV.GZ", gzip.compress(PLAIN(",").encode()), ""),
    "a column called PAR1": ("t.csv", PLAIN(",").replace("a,b", "PAR1,b").encode(), ""),
}


@pytest.mark.parametrize("case", READ)
def test_a_dialect_is_read_and_named(case: str, taken: Callable, tmp_path: Path) -> None:
    name, contents, words = READ[case]
    (tmp_path / name).write_bytes(contents)
    x, u, said = taken(tmp_path / name, "--aux", "u")
    assert x.shape[1] == 2 and np.array_equal(x.iloc[:12, 0], LEFT)
    assert np.array_equal(x.iloc[:12, 1], RIGHT) and u["u"].tolist()[:2] == ["a", "b"]
    path = tmp_path / name
    assert said == ([f"identiflow: note: read {path} as {words}."] if words else [])


NUMBERS = "a{0}b{0}u\n" + "{1}{0}1.5{0}a\n{2}{0}2.5{0}b\n" * 6
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "thousands, quoted": (
        "t.csv",
        NUMBERS.format(",", '"1,234"', "950").encode(),
        "got '1,234' in the column a, row 1. Write numbers without separators of thousands",
    ),
    "thousands and a decimal comma": (
        "t.csv",
        NUMBERS.format(";", "1.234,5", "0,5").replace("1.5", "1,5").replace("2.5", "2,5").encode(),
        "'1.234,5' in the column a.* without separators of thousands",
    ),
    **{
        f"{mark!r} between thousands, beside decimal commas": (
            "t.csv",
            NUMBERS.format(";", "0,5", "0,25").replace("1.5", "1,5").replace("2.5", "2,5").encode()
            + f"1{mark}234,5;0,5;a\n".encode(),
            "234,5['\"] in the column a, row 13. Write numbers without separators of tho",
        )
        for mark in " .'\u2009\u2019"
    },
    "quotation marks around parts of two rows": (
        "t.csv",
        NUMBERS.format(",", "1", "2").replace("2,2.5,b\n1,1.5", '2,"2.5,b\n1,1.5"', 1).encode(),
        "got 2 lines in one cell, of the column b in row 2, some of them rows. Remove the quot",
    ),
    "a decimal comma that may stand between thousands": (
        "t.csv",
        NUMBERS.format(";", "57,106", "45").encode(),
        "thousands: 57106; or 57.106, if that is a decimal comma",
    ),
    **{
        f"thousands beside decimal commas between {name}": (
            "t.txt",
            NUMBERS.format(mark, "500", "1.500")
            .replace("1.5" + mark, "0,29" + mark)
            .replace("2.5" + mark, "-1,5" + mark)
            .encode(),
            # Between spaces pandas before 2.2 takes commas for separators, too.
            "points between thousands in the column a, beside decimal commas"
            + "|rows with more cells than the header has names" * (mark == " "),
        )
        for name, mark in {"tabs": "\t", "bars": "|", "spaces": " ", "semicolons": ";"}.items()
    },
    "quotation marks behind backslashes": (
        "t.csv",
        b"a,note,u\n" + b'1,"5\\" x, y",a\n2,"plain",b\n' * 6,
        "a quotation mark behind a backslash in line 2, as Spark and MySQL write it. Write it tw",
    ),
    **{
        f"{cell!r} for a number": (
            "t.csv",
            NUMBERS.format(",", cell, "2").encode(),
            "in the column a, row 1. Write the number alone, without a unit or a sign, or leave",
        )
        for cell in ("8.9 %", "$97.1", "<0.1", "(1.2)", "5 mV", "9.7D+02", "3.1*")
    },
    "names that stand again": (
        "t.csv",
        NUMBERS.format(",", "1", "2").encode() + b"a,b,u\n",
        "got 'a' in the column a, row 13. If that line repeats the names, delete it",
    ),
    "a line that is drawn": (
        "t.csv",
        NUMBERS.format(",", "1", "2").replace("u\n", "u\n-----,---,-\n", 1).encode(),
        "a line drawn between names and rows, line 2. Delete it",
    ),
    "a box that mysql draws": (
        "t.txt",
        b"+---+---+\n| a | u |\n+---+---+\n" + b"| 1 | x |\n| 2 | y |\n" * 6 + b"+---+---+\n",
        "a box drawn around cells. Write it without, as mysql --batch does",
    ),
    "a line that psql draws": (
        "t.txt",
        b" a | b | u \n-----+---+---\n" + b" 1.5 | 2 | x \n 2.5 | 3 | y \n" * 6,
        "a line drawn between names and rows, line 2. Delete it",
    ),
    "points between thousands": (
        "t.csv",
        NUMBERS.format(";", "1.234", "950").encode(),
        "whole numbers with points in the column a, which may stand between thousands",
    ),
    "points of three digits beside decimal commas": (
        "t.csv",
        NUMBERS.format(";", "8.331", "1.095").replace("1.5", "0,5").replace("2.5", "2,5").encode(),
        "points between thousands in the column a, beside decimal commas. Write numbers without",
    ),
    "commas that may be either": (
        "t.csv",
        NUMBERS.format(";", "1,234", "2,345").encode(),
        "got '1,234' in the column a.* without separators of thousands",
    ),
    "spaces between thousands": (
        "t.csv",
        NUMBERS.format(",", "1 234", "2\u202f345").encode(),
        "got '1 234' in the column a.* without separators of thousands",
    ),
    "a comma among points": (
        "t.csv",
        NUMBERS.format(";", "1,5", "2,5").encode(),
        "got '1,5' in the column a.* all numbers with a decimal point, or all with a decimal comma",
    ),
    "an empty cell between spaces": (
        "t.txt",
        b"u    a    b    c\na    1.5  2.5  3.5\nb         2.5  3.5\na    1.5  2.5  4.5\n",
        "fewer cells than the 4 names in 1 rows, the first row 2. Between spaces an empty cell is",
    ),
    "another minus": ("t.csv", NUMBERS.format(",", "−1", "2").encode(), "minus sign as -"),
    "zstd": ("t.csv", b"\x28\xb5\x2f\xfd\0\0\0", "a file packed by zstd"),
    "Parquet": ("t.csv", b"PAR1\0\0\0", "a Parquet file, by its first bytes. Let its name end"),
    "an old workbook": ("t.csv", b"\xd0\xcf\x11\xe0\xa1\0", "an Excel workbook"),
    "two tables in one": (
        "t.csv.zip",
        zipped(b"a,u\n", "b.csv"),
        "got 2 files packed in one. Pack one table",
    ),
    "a zip of no table": ("t.npz.zip", b"", "ends in .csv, .tsv"),
    "a workbook by another name": (
        "t.csv",
        zipped(b"", "[Content_Types].xml"),
        "an Excel workbook or an NPZ file, by its first bytes",
    ),
    "a zero byte": ("t.csv", b"a,b,u\n1,2\0,a\n3,4,b\n", "zero bytes, of which text has none"),
    "a workbook": ("t.xlsx", b"", "got .*t.xlsx. Save the sheet as CSV"),
    "a file of R": ("t.rds", b"", r"got .*t.rds. In R, write.csv"),
    "half of a gzip": ("t.csv.gz", gzip.compress(PLAIN(",").encode())[:60], "to hold a table"),
    "names of rows without a header": (
        "t.csv",
        b"a,u\n1,0.5,a\n2,0.25,b\n",
        r"row names that R's write.table left have no name: write.csv\(",
    ),
    "nothing": ("t.csv", b"", "to hold a table"),
    "bytes": ("t.csv", bytes(range(256)) * 9, "Expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_named(case: str, taken: Callable, tmp_path: Path) -> None:
    name, contents, message = REFUSED[case]
    (tmp_path / name).write_bytes(contents)
    found = taken(tmp_path / name, "--aux", "u")
    assert found.x is None
    with pytest.raises(ValueError, match=message):
        raise ValueError(found.said[0])


def test_separators_inside_of_cells_mislead_nobody(taken: Callable, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    note = ['"1;2;3;4"', '"x;y\nz;w"', '"5,5;6,6"', '"|||"']
    path.write_text(
        "a,b;c,u,note\n"
        + "".join(f"0.{i * i},{i * 3 % 7},l{i % 3},{note[i % 4]}\n" for i in range(12))
    )
    x, _, said = taken(path, "--aux", "u", "--drop", "note")
    assert list(x.columns) == ["a", "b;c"] and said == []


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("ends", [(5, 6), (5, 9)])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rows_that_a_quotation_mark_takes_into_a_cell_are_not_lost(
    place: int, ends: tuple[int, int], separator: str, taken: Callable, tmp_path: Path
) -> None:
    rows = [[f"0.{i * i}", str(i * 3 % 7), "ab"[i % 2]] for i in range(12)]
    for i, row in enumerate(rows):
        row.insert(place, ('"' if i in ends else "") + f"n{i}")
    names = ["a", "b", "u"]
    names.insert(place, "note")
    path = tmp_path / "t.tsv"
    path.write_text("\n".join(map(separator.join, [names, *rows])) + "\n")
    (message,) = taken(path, "--aux", "u", "--drop", "note").said
    assert "lines in one cell, of the column note in row 6, some of them rows. Remove" in message


def test_lines_of_prose_in_a_cell_are_no_rows(taken: Callable, tmp_path: Path) -> None:
    rows = [f'0.{i * i},{"ab"[i % 2]},"12, High St{i}\nLondon, UK, by post"' for i in range(12)]
    (tmp_path / "t.csv").write_text("\n".join(["a,u,note", *rows]) + "\n")
    x, _, said = taken(tmp_path / "t.csv", "--aux", "u", "--drop", "note")
    assert len(x) == 12 and said == []


def test_tables_as_they_are_printed_are_read(taken: Callable, tmp_path: Path) -> None:
    table = pd.DataFrame({"left": LEFT, "n": RIGHT, "u": ["ab"[i % 2] for i in range(12)]})
    (tmp_path / "t.txt").write_text(table.to_string(index=False) + "\n")
    x, u, _ = taken(tmp_path / "t.txt", "--aux", "u")
    np.testing.assert_array_equal(x, table[["left", "n"]])
    assert u["u"].tolist() == table["u"].tolist()
