"""Tables as other programs write them: read to the same numbers, or refused in one line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ALL = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
ROWS = 12
RANDOM = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "left, in mV": RANDOM.normal(size=ROWS).round(3),
        "Größe": RANDOM.normal(size=ROWS) * 1e-7,
        "n; of cells": RANDOM.integers(0, 9, ROWS),
    }
)
LABELS = np.array(["a", "b, c", 'the "ü"', "d; e"])[np.arange(ROWS) // 3]


def zipped(contents: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("table.csv", contents)
    return buffer.getvalue()


SEPARATORS = {",": ".csv", ";": ".csv", "|": ".csv", "\t": ".tsv", " ": ".txt"}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": zipped,
}
# The first column that programs leave: its name and its cells.
FIRST: dict[str, tuple[str, list[Any]]] = {
    "none": ("", []),
    "of pandas": ("", list(range(ROWS))),
    "of R": ("", [str(i) for i in range(1, ROWS + 1)]),
    "of R, filtered": ("", [str(i * i) for i in range(1, ROWS + 1)]),
    "of pandas, shuffled": ("", RANDOM.permutation(99)[:ROWS].tolist()),
}


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1")
DIMENSIONS = (SEPARATORS, ".,", FIRST, ENCODINGS, PACKINGS)
CASES = [list(case) for case in itertools.product(*DIMENSIONS)]


def chosen(indices: tuple[int, ...]) -> bool:
    """True for 50 of the 1,000 cases, in which each two settings meet."""
    s, d, f, e, p = indices
    return (s + f + p) % 5 == 0 and (s + d + e + 2 * p) % 4 == 0


PLACES = itertools.product(*(range(len(dimension)) for dimension in DIMENSIONS))
SOME = [case for case, place in zip(CASES, PLACES, strict=True) if ALL or chosen(place)]


def written(separator: str, decimal: str, first: str) -> str:
    table = X.assign(u=LABELS)
    name, cells = FIRST[first]
    if cells:
        table.insert(0, name, cells)
    quoting = csv.QUOTE_NONNUMERIC if separator == " " else csv.QUOTE_MINIMAL  # "" for no name
    return table.to_csv(index=False, sep=separator, decimal=decimal, quoting=quoting)


@pytest.mark.parametrize("separator", SEPARATORS)
def test_all_dialects_are_read_to_the_same_table(
    separator: str, taken: Callable, tmp_path: Path
) -> None:
    for _, decimal, first, encoding, packing in (case for case in SOME if case[0] == separator):
        path = tmp_path / f"t{SEPARATORS[separator]}{packing}"
        text = written(separator, decimal, first)
        path.write_bytes(PACKINGS[packing](text.encode(encoding)))
        dropped: list[str] = []
        if first != "none":
            refused = taken(path, "--aux", "u")
            assert refused.x is None and '--drop "Unnamed: 0"' in refused.said[0]
            dropped = ["--drop", "Unnamed: 0"]
        x, u, said = taken(path, "--aux", "u", *dropped)
        pd.testing.assert_frame_equal(x, X, rtol=1e-15)
        assert u["u"].tolist() == LABELS.tolist()
        plain = separator not in ";| " and decimal == "." and encoding.startswith("utf-8")
        assert len(said) == (not plain) and all("note: read" in line for line in said)


# Each dialect by itself ---------------------------------------------------------------------------

ROWS_OF_BODY = zip(X.iloc[:, 0], X.iloc[:, 2], "ab" * 6, strict=True)
BODY = "".join(f"{a}{{0}}{b}{{0}}{u}\n" for a, b, u in ROWS_OF_BODY)
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
    "Excel's first line": ("t.csv", b"sep=;\r\n" + PLAIN(";").encode(), "cells between semicolons"),
    "Windows": ("t.csv", PLAIN(",").replace("\n", "\r\n").encode(), ""),
    "capitals": ("T.CSV.GZ", gzip.compress(PLAIN(",").encode()), ""),
    "a column called PAR1": ("t.csv", PLAIN(",").replace("a,b", "PAR1,b").encode(), ""),
}


@pytest.mark.parametrize("case", READ)
def test_a_dialect_is_read_and_named(case: str, taken: Callable, tmp_path: Path) -> None:
    name, contents, words = READ[case]
    (tmp_path / name).write_bytes(contents)
    x, u, said = taken(tmp_path / name, "--aux", "u")
    assert x.shape[1] == 2 and np.array_equal(x.iloc[:ROWS, 0], X.iloc[:, 0])
    assert np.array_equal(x.iloc[:ROWS, 1], X.iloc[:, 2]) and u["u"].tolist()[:2] == ["a", "b"]
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
    "points between thousands": (
        "t.csv",
        NUMBERS.format(";", "1.234", "950").encode(),
        "whole numbers with points in the column a, which may stand between thousands",
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
    "another minus": ("t.csv", NUMBERS.format(",", "−1", "2").encode(), "minus sign as -"),
    "zstd": ("t.csv", b"\x28\xb5\x2f\xfd\0\0\0", "a file packed by zstd"),
    "Parquet": ("t.csv", b"PAR1\0\0\0", "a Parquet file, by its first bytes. Let its name end"),
    "an old workbook": ("t.csv", b"\xd0\xcf\x11\xe0\xa1\0", "an Excel workbook"),
    "two tables in one": ("t.zip", b"", "ends in .csv, .tsv"),
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
        "a,b;c,u,note\n" + "".join(f"0.{i},{i * 3 % 7},l{i % 3},{note[i % 4]}\n" for i in range(12))
    )
    x, _, said = taken(path, "--aux", "u", "--drop", "note")
    assert list(x.columns) == ["a", "b;c"] and said == []


# Generated files ----------------------------------------------------------------------------------

CONTROLS = "".join(map(chr, range(127, 161)))
LATIN = st.characters(min_codepoint=32, max_codepoint=255, exclude_characters=CONTROLS)
WORDS = st.text(LATIN, min_size=1, max_size=8).map(str.strip).filter(bool)
COLUMNS = st.lists(WORDS, min_size=3, max_size=5, unique_by=str.casefold)
KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "fractions": lambda rng: rng.normal(size=ROWS).round(3),
    "full precision": lambda rng: rng.normal(size=ROWS),
    "tiny": lambda rng: rng.normal(size=ROWS) * 1e-9,
    "large": lambda rng: rng.normal(size=ROWS) * 1e12,
    "counts": lambda rng: rng.integers(-3, 9, ROWS),
    "thousands": lambda rng: rng.integers(0, 10**6, ROWS),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    names = draw(COLUMNS)
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    columns = {name: KINDS[draw(st.sampled_from(list(KINDS)))](rng) for name in names[1:]}
    labels = draw(st.lists(WORDS, min_size=2, max_size=4, unique=True))
    return pd.DataFrame({names[0]: np.array(labels)[np.arange(ROWS) % len(labels)], **columns})


COUNT = {"read": 0, "refused": 0}


@settings(max_examples=500 if ALL else 50)
@given(
    table=frames(),
    separator=st.sampled_from(list(SEPARATORS)),
    decimal=st.sampled_from(".,"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"]),
    end=st.sampled_from(["\n", "\r\n"]),
    packing=st.sampled_from(list(PACKINGS)),
    index=st.booleans(),
)
def test_what_pandas_wrote_is_read_or_refused_in_one_line(
    taken: Callable,
    tmp_path_factory: pytest.TempPathFactory,
    table: pd.DataFrame,
    separator: str,
    decimal: str,
    quoting: Any,
    encoding: str,
    end: str,
    packing: str,
    index: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"t{SEPARATORS[separator]}{packing}"
    text = table.to_csv(
        sep=separator, decimal=decimal, quoting=quoting, lineterminator=end, index=index
    )
    path.write_bytes(PACKINGS[packing](text.encode(encoding)))
    label, *others = table.columns
    x, u, said = taken(path, f"--aux={label}", *(["--drop", "Unnamed: 0"] if index else []))
    COUNT["read" if x is not None else "refused"] += 1
    if x is None:
        return
    assert list(x.columns) == others
    np.testing.assert_array_equal(x, table[others])
    assert u[label].astype(str).tolist() == table[label].tolist()


def test_most_generated_files_were_read() -> None:
    assert COUNT["read"] > 0.8 * sum(COUNT.values())
