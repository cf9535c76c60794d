"""Tables in files: CSV, TSV, Parquet, NPZ and NPY, read as data frames and written whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandas import DataFrame


def read_table(path: Path) -> DataFrame:
    """The table in a file, by its ending.

    An NPZ file's arrays of N rows become columns: x (N, 3) is x0, x1, x2. The columns of an NPY
    file are x0, x1, ….

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an ending that is not known, or a file that cannot be read.
    """
    read = READERS[known_ending(path)]
    if not path.is_file():
        raise FileNotFoundError(f"Expected a table in {path}; found no such file.")
    try:
        table = read(path)
    except ImportError:
        raise ValueError(
            f"Expected the package pyarrow to read {path}; found none. Run pip install pyarrow."
        ) from None
    except (ValueError, OSError, EOFError) as error:
        what = str(error).strip().splitlines()[0]
        raise ValueError(f"Expected {path} to hold a table; got {what}.") from None
    if not len(table):
        raise ValueError(f"Expected rows in {path}; got none.")
    return table


def write_table(table: DataFrame, path: Path) -> None:
    """Write a table, by the ending of the path: all of it or nothing."""
    write = WRITERS[known_ending(path)]
    with whole(path) as temporary:
        write(table, temporary)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name beside the path, which takes its place at the end, if nothing went wrong."""
    check_place(path)
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Raise unless a file can be written there."""
    if not path.parent.is_dir():
        raise ValueError(f"Expected the folder {path.parent} for {path.name}; found none. Make it.")
    if path.is_dir():
        raise ValueError(f"Expected {path} to be a file to write; got a folder.")


def check_output(path: Path) -> None:
    """Raise, before any long work, unless a table can be written there."""
    known_ending(path)
    check_place(path)


def known_ending(path: Path) -> str:
    """The ending of a path, if tables can have it."""
    ending = path.suffix.lower()
    if ending not in READERS:
        raise ValueError(f"Expected a file that ends in {', '.join(READERS)}; got {path}.")
    return ending


def _read_separated(path: Path, separator: str) -> DataFrame:
    import pandas as pd

    return pd.read_csv(path, sep=separator)


def _read_parquet(path: Path) -> DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


def _read_npz(path: Path) -> DataFrame:
    with np.load(path, allow_pickle=False) as arrays:
        return _of_arrays({name: arrays[name] for name in arrays.files})


def _read_npy(path: Path) -> DataFrame:
    values = np.load(path, allow_pickle=False)
    return _of_arrays({"x": values[:, None] if values.ndim == 1 else values})


def _of_arrays(arrays: dict[str, Any]) -> DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {}
    for name, values in arrays.items():
        if values.ndim not in (1, 2):
            raise ValueError(f"{name} with {values.ndim} dimensions, where 1 or 2 make columns")
        if values.ndim == 1:
            columns[name] = values
        else:
            columns |= {f"{name}{i}": column for i, column in enumerate(values.T)}
    return pd.DataFrame(columns)


def _write_npz(table: DataFrame, path: Path) -> None:
    columns = {str(name): table[name].to_numpy() for name in table.columns}
    # Objects could only be pickled.
    plain = {name: c.astype(str) if c.dtype.kind == "O" else c for name, c in columns.items()}
    with path.open("wb") as file:
        np.savez(file, **plain)


def _write_npy(table: DataFrame, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, table.to_numpy())


READERS: dict[str, Callable[[Path], DataFrame]] = {
    ".csv": lambda path: _read_separated(path, ","),
    ".tsv": lambda path: _read_separated(path, "\t"),
    ".parquet": _read_parquet,
    ".npz": _read_npz,
    ".npy": _read_npy,
}
WRITERS: dict[str, Callable[[DataFrame, Path], None]] = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".tsv": lambda table, path: table.to_csv(path, index=False, sep="\t"),
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
    ".npz": _write_npz,
    ".npy": _write_npy,
}
