"""Damaged files: read, or refused by name in words for who has the file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identiflow.tables import read_table
from identiflow.text import read_text

ALL = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
SEPARATORS = {",": ".csv", ";": ".csv", "|": ".csv", "\t": ".tsv", " ": ".txt"}
PACKINGS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
RANDOM = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "left, in mV": RANDOM.normal(size=12).round(3),
        "Größe": RANDOM.normal(size=12) * 1e-7,
        "n; of cells": RANDOM.integers(0, 9, 12),
    }
)
TABLE = X.assign(u=np.array(["a", "b, c", 'the "ü"', "d; e"])[np.arange(12) // 3])


def bytes_of(save: Callable[..., None], path: Path) -> bytes:
    with path.open("wb") as file:
        save(file, np.arange(99.0).reshape(-1, 3))
    return path.read_bytes()


def damaged(contents: bytes, start: int, stop: int | None = None) -> bytes:
    part = bytes(255 - byte for byte in contents[start:stop])
    return contents[:start] + part + (contents[stop:] if stop else b"")


DAMAGED: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "half an NPZ file": ("npz", lambda p: bytes_of(np.savez, p)[:300], "half of one"),
    "a byte of an NPZ file": (
        "npz",
        lambda p: damaged(bytes_of(np.savez, p), 300, 301),
        "a damaged file",
    ),
    "what an NPZ file packed": (
        "npz",
        lambda p: damaged(bytes_of(np.savez_compressed, p), 60, 70),
        "a damaged file",
    ),
    "half an NPY file": (
        "npy",
        lambda p: bytes_of(np.save, p)[:300],
        "an array that ends too early",
    ),
    "an NPY file's head": (
        "npy",
        lambda p: bytes_of(np.save, p).replace(b"}", b"("),
        "a damaged file",
    ),
    "no NPY file": ("npy", lambda p: b"no", "no arrays of numpy in it"),
    "an NPZ file named NPY": ("npy", lambda p: bytes_of(np.savez, p), "arrays with names"),
    "an NPY file named NPZ": ("npz", lambda p: bytes_of(np.save, p), "one array without a name"),
    "no array in an NPZ file": ("npz", lambda p: bytes_of(save_text, p), "x with 0 dimensions"),
    "no Parquet file": ("parquet", lambda p: b"PAR1no", "no whole table of Parquet"),
}


def save_text(file: object, _: object) -> None:
    import zipfile

    with zipfile.ZipFile(file, "w") as archive:  # type: ignore[arg-type]
        archive.writestr("x", "text")


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files_are_refused_by_name(case: str, tmp_path: Path) -> None:
    ending, contents, message = DAMAGED[case]
    path = tmp_path / f"t.{ending}"
    path.write_bytes(contents(path))
    with pytest.raises(
        ValueError, match=rf"Expected .*t\.{ending} to hold a table; got .*{message}"
    ):
        read_table(path)


# Generated damages --------------------------------------------------------------------------------

AT = st.floats(0, 1, exclude_max=True)
LENGTHS = st.integers(0, 50)
PIECES = list("\"'#%\n\r,;\t| é\0 1a.-") + ["\r\n", "\n\n", "NA", "Total"]
TEXT = {separator: TABLE.to_csv(index=False, sep=separator) for separator in SEPARATORS}


def struck(whole: bytes, damages: list[tuple[float, int, bytes]]) -> bytes:
    """The bytes with pieces in the place of so many of them."""
    for place, length, piece in damages:
        start = int(place * len(whole))
        whole = whole[:start] + piece + whole[start + length :]
    return whole


@settings(max_examples=3000 if ALL else 300)
@given(
    separator=st.sampled_from(list(SEPARATORS)),
    damages=st.lists(st.tuples(AT, LENGTHS, st.sampled_from(PIECES).map(str.encode)), max_size=3),
)
def test_damaged_text_is_refused_for_what_is_in_it(
    tmp_path_factory: pytest.TempPathFactory,
    separator: str,
    damages: list[tuple[float, int, bytes]],
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{SEPARATORS[separator]}"
    path.write_bytes(struck(TEXT[separator].encode(), damages))
    try:
        read_text(path, {"u": ()}, unless_floats=True, header=True)
    except ValueError:  # those of pandas' parser are, too; nothing else is raised
        pass


@st.composite
def with_a_mark_more_or_less(draw: st.DrawFn) -> tuple[str, str]:
    """A separator, and a table in which one, or a line break, is lost, doubled or elsewhere."""
    separator = draw(st.sampled_from([s for s in SEPARATORS if s != " "]))
    table = TABLE[["u", *X.columns]]  # of which the last column is not used
    text, mark = table.to_csv(index=False, sep=separator), draw(st.sampled_from([separator, "\n"]))
    places = [i for i, letter in enumerate(text[:-1]) if letter == mark]
    place = draw(st.sampled_from(places))
    lost, doubled = text[:place] + text[place + 1 :], text[:place] + mark + text[place:]
    anywhere = draw(st.integers(0, len(text)))
    elsewhere = text[:anywhere] + mark + text[anywhere:]
    return separator, draw(st.sampled_from([lost, doubled, elsewhere]))


@settings(max_examples=1000 if ALL else 100)
@given(changed=with_a_mark_more_or_less())
def test_a_mark_more_or_less_moves_no_number_without_a_word(
    taken: Callable, tmp_path_factory: pytest.TempPathFactory, changed: tuple[str, str]
) -> None:
    separator, text = changed
    path = tmp_path_factory.getbasetemp() / f"marks{SEPARATORS[separator]}"
    path.write_text(text)
    x, _, said = taken(path, "--aux=u", "--drop=n; of cells")
    if x is not None and not any("warning: " in line for line in said):
        np.testing.assert_array_equal(x, X.iloc[:, :2])


def parquet() -> bytes:
    return pd.DataFrame({"left": np.arange(12.0), "u": list("abcd") * 3}).to_parquet()


def arrays(save: Callable[..., None]) -> bytes:
    file = io.BytesIO()
    save(file, np.arange(36.0).reshape(-1, 3))
    return file.getvalue()


BINARY: dict[str, Callable[[], bytes]] = {
    ".npy": lambda: arrays(np.save),
    ".npz": lambda: arrays(np.savez),
    ".parquet": parquet,
    **{
        f".csv{packing}": lambda pack=pack: pack(TEXT[","].encode())  # type: ignore[misc]
        for packing, pack in PACKINGS.items()
    },
}
OURS = re.compile(
    r"an array that ends|a damaged file|no (arrays|whole table|cells)|objects that|zero bytes"
    r"|\d+ (cells|files)|rows with|\w+ with \d dim|one array|arrays with|a quotation|bytes that"
    r"|several columns|.*by its first bytes"
)


@settings(max_examples=3000 if ALL else 200)
@given(
    ending=st.sampled_from(list(BINARY)),
    damages=st.lists(st.tuples(AT, LENGTHS, st.binary(max_size=9)), min_size=1, max_size=3),
)
def test_damaged_bytes_are_refused_in_our_words(
    tmp_path_factory: pytest.TempPathFactory, ending: str, damages: list[tuple[float, int, bytes]]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{ending}"
    path.write_bytes(struck(BINARY[ending](), damages))
    try:
        read_table(path)
    except ValueError as error:
        said = str(error)
        assert said.startswith("Expected rows in ") or OURS.match(said.split(" a table; got ")[1])
    except MemoryError:  # an array of a damaged, huge shape
        pass
