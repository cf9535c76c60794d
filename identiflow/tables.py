"""Tables in files, read as data frames and written whole, and where a file can be written.

Importing this imports no package; `formats` and `text` are imported where there is a table to read
or write.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from identiflow import endings

if TYPE_CHECKING:
    from pandas import DataFrame


def read_table(
    path: Path,
    words: Mapping[str, Collection[Any]] | Collection[str] = (),
    *,
    unless_floats: bool = False,
    header: bool | None = None,
) -> DataFrame:
    """The table in a file, by its ending.

    An NPZ file's arrays of N rows become columns: x (N, 3) is x0, x1, x2. The columns of an NPY
    file, and of text without a header, are x0, x1, …. What is unusual about a file of text is in
    `attrs["note"]`, in words.

    Args:
        path: the file.
        words: columns whose cells are words, in a file of text: 01 is a label there. Of a mapping
            the values are labels even if they are NA or the like, which mean a missing one.
        unless_floats: leaves those of them alone that hold floats.
        header: True if the first line of a file of text has the names, which is assumed; False if
            there is none.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an ending that is not known, or a file that cannot be read.
    """
    check_table(path, header)
    try:
        table = _read(path, words, unless_floats, header is not False)
    except ImportError:
        raise ValueError(_needs_pyarrow("read", path)) from None
    except MemoryError:
        raise
    except Exception as error:  # of damaged files their readers raise nearly anything
        raise ValueError(f"Expected {path} to hold a table; got {_in_our_words(error)}.") from None
    if not len(table):
        raise ValueError(f"Expected rows in {path}; got none.")
    return table


# What pandas says of text, and what that means.
SAID = {
    r"No columns to parse": "no cells in it",
    r"Expected (\d+) fields in line (\d+), saw (\d+)": (
        r"\3 cells in line \2, where lines before it have \1. Quote a cell with a separator in it, "
        "or delete what is above the names"
    ),
    r"EOF inside string starting at row (\d+)": (
        r"a quotation mark that is never closed, in line \1 or after it. Close or remove it"
    ),
}


def _in_our_words(error: Exception) -> str:
    from identiflow.dialect import is_of_damage

    if is_of_damage(error):
        return "a damaged file, or half of one. Write it again"
    said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    found = ((re.search(pattern, said), words) for pattern, words in SAID.items())
    return next((match.expand(words) for match, words in found if match), said)


def _read(
    path: Path,
    words: Mapping[str, Collection[Any]] | Collection[str],
    unless_floats: bool,
    header: bool,
) -> DataFrame:
    from identiflow import formats, text

    if not endings.is_text(path):
        return formats.READERS[endings.read(path)](path)
    known = words if isinstance(words, Mapping) else dict.fromkeys(words, ())
    return text.read_text(path, known, unless_floats, header)


def check_table(path: Path, header: bool | None = None) -> None:
    """Raise unless there is a table, going by its name, and one of text if it has a `header`."""
    if header is not None and not endings.is_text(path):
        raise ValueError(
            f"Expected a file of text with --header or --no-header; got {path}. Leave the "
            "option out."
        )
    if path.is_dir():
        raise ValueError(f"Expected {path} to be a file; got a folder. Name a file in it.")
    endings.read(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected a table in {path}; found no such file.")


def has_names(path: Path, header: bool | None = None) -> bool:
    """True if the columns of a table in such a file have names of their own."""
    return endings.read(path) != ".npy" and header is not False


def write_table(table: DataFrame, path: Path) -> None:
    """Write a table, by the ending of the path: all of it or nothing."""
    from identiflow import formats
    from identiflow.shared.files import written_whole

    write = formats.WRITERS[endings.written(path)]
    check_place(path)
    with written_whole(path) as temporary:
        write(table, temporary)


def check_place(path: Path, *others: Path) -> None:
    """Raise unless a file can be written there, and is none of these other files."""
    place = _led_to(path)
    if not place.parent.is_dir():
        raise ValueError(
            f"Expected the folder {place.parent} for {place.name}; found none. Make it."
        )
    if place.is_dir():
        raise ValueError(f"Expected {path} to be a file to write; got a folder.")
    if os.path.lexists(place) and not place.is_file():
        raise ValueError(
            f"Expected {path} to be a file to write; got a device, a pipe or the like. Name a file."
        )
    for other in others:
        if _are_same(place, _led_to(other)):
            raise ValueError(
                f"Expected another file to write than {other}, which is in use here; got {path}. "
                "Name a new file."
            )
    _try_to_write(place)


def check_output(path: Path, *others: Path) -> None:
    """Raise, before any long work, unless a table can be written there."""
    if endings.written(path) == ".parquet" and not any(map(find_spec, ("pyarrow", "fastparquet"))):
        raise ValueError(_needs_pyarrow("write", path))
    check_place(path, *others)


def _led_to(path: Path) -> Path:
    """The file that a symbolic link leads to; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _are_same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return os.path.realpath(path) == os.path.realpath(other)


def _try_to_write(place: Path) -> None:
    """Make an empty file beside the place and remove it: what may be written is known only then."""
    temporary = place.with_name(f".{secrets.token_hex(4)}-{place.name}")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise ValueError(
            f"Expected to be able to write in {place.parent}; got {error.strerror}."
        ) from None
    temporary.unlink()


def _needs_pyarrow(verb: str, path: Path) -> str:
    return (
        f"Expected the package pyarrow to {verb} {path}; found none. "
        'Run pip install "identiflow[parquet]".'
    )
