"""Laws of tables as programs write them: read to the same numbers, or refused in one line."""

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
