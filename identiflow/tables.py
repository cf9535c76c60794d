"""Tables in files: CSV, TSV, Parquet, NPZ and NPY, read as data frames and written whole."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Callable, Collection
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from identiflow.labels import as_written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandas import DataFrame


def read_table(
    path: Path, labels: Collection[str] = (), *, unless_floats: bool = False
) -> DataFrame:
    """The table in a file, by its ending.

    An NPZ file's arrays of N rows become columns: x (N, 3) is x0, x1, x2. The columns of an NPY
    file are x0, x1, ….

    Args:
        path: the file.
        labels: columns whose cells are words, in a file of text: NA and 01 are labels there, and
            only an empty cell is missing.
        unless_floats: leaves those of them alone that hold floats.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for an ending that is not known, or a file that cannot be read.
    """
    ending = known_ending(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected a table in {path}; found no such file.")
    try:
        table = READERS[ending](path)
        if ending in SEPARATORS:
            floats = {name for name in table.columns if table[name].dtype.kind == "f"}
            words = set(labels) - floats if unless_floats else set(labels)
            table = _with_words(table, path, words)
    except ImportError:
        raise ValueError(_needs_pyarrow("read", path)) from None
    except MemoryError:
        raise
    except Exception as error:  # of damaged files their readers raise nearly anything
        what = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise ValueError(f"Expected {path} to hold a table; got {what}.") from None
    if not len(table):
        raise ValueError(f"Expected rows in {path}; got none.")
    return table


def has_names(path: Path) -> bool:
    """Whether the columns of a table in such a file have names of their own."""
    return known_ending(path) != ".npy"


def write_table(table: DataFrame, path: Path) -> None:
    """Write a table, by the ending of the path: all of it or nothing."""
    write = WRITERS[known_ending(path)]
    with whole(path) as temporary:
        write(table, temporary)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary name beside the path, which takes its place at the end, if nothing went wrong."""
    check_place(path)
    place = led_to(path)
    temporary = _beside(place)
    try:
        yield temporary
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def led_to(path: Path) -> Path:
    """The file that a symbolic link leads to, so that the link stays; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def check_place(path: Path, *others: Path) -> None:
    """Raise unless a file can be written there, and is none of these other files."""
    place = led_to(path)
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
        if _are_same(place, led_to(other)):
            raise ValueError(
                f"Expected another file to write than {other}, which is in use here; got {path}. "
                "Name a new file."
            )
    _try_to_write(place)


def check_output(path: Path, *others: Path) -> None:
    """Raise, before any long work, unless a table can be written there."""
    if known_ending(path) == ".parquet" and not any(map(find_spec, ("pyarrow", "fastparquet"))):
        raise ValueError(_needs_pyarrow("write", path))
    check_place(path, *others)


def _are_same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return os.path.realpath(path) == os.path.realpath(other)


def _try_to_write(place: Path) -> None:
    """Make an empty file beside the place and remove it: what may be written is known only then."""
    temporary = _beside(place)
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise ValueError(
            f"Expected to be able to write in {place.parent}; got {error.strerror}."
        ) from None
    temporary.unlink()


def _beside(place: Path) -> Path:
    return place.with_name(f".{secrets.token_hex(4)}-{place.name}")


def _needs_pyarrow(verb: str, path: Path) -> str:
    return f"Expected the package pyarrow to {verb} {path}; found none. Run pip install pyarrow."


def known_ending(path: Path) -> str:
    """The ending of a path, if tables can have it."""
    ending = path.suffix.lower()
    if ending not in READERS:
        raise ValueError(f"Expected a file that ends in {', '.join(READERS)}; got {path}.")
    return ending


def _read_separated(path: Path) -> DataFrame:
    """A file of text; a column has one type, found from all of its cells."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of cells that would be lost
        try:
            return pd.read_csv(
                path,
                sep=SEPARATORS[known_ending(path)],
                index_col=False,
                low_memory=False,
                float_precision="round_trip",  # which older pandas ask for
            )
        except pd.errors.ParserWarning:
            raise ValueError(
                "rows with more cells than the header has names. Name every column"
            ) from None


def _with_words(table: DataFrame, path: Path, names: Collection[str]) -> DataFrame:
    """The table, with the cells of these columns as they stand in the file of text."""
    import pandas as pd

    positions = [i for i, name in enumerate(table.columns) if name in names]
    if not positions:
        return table
    words = pd.read_csv(
        path,
        sep=SEPARATORS[known_ending(path)],
        index_col=False,
        usecols=positions,
        dtype=str,
        keep_default_na=False,
    )
    words.columns = table.columns[positions]
    for name in words.columns:
        table[name] = as_written(words[name])
    return table


def _read_parquet(path: Path) -> DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


def _read_npz(path: Path) -> DataFrame:
    with path.open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        if isinstance(arrays, np.ndarray):
            raise ValueError(
                "one array without a name, as in an NPY file. Let its name end in .npy"
            )
        return _of_arrays({name: arrays[name] for name in arrays.files})


def _read_npy(path: Path) -> DataFrame:
    with path.open("rb") as file:
        values = np.load(file, allow_pickle=False)
    if not isinstance(values, np.ndarray):
        raise ValueError("arrays with names, as in an NPZ file. Let its name end in .npz")
    return _of_arrays({"x": values[:, None] if values.ndim == 1 else values})


def _of_arrays(arrays: dict[str, Any]) -> DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {}
    for array, values in arrays.items():
        for name, column in _columns_of(array, np.asarray(values)).items():
            if name in columns:
                raise ValueError(f"two arrays that make the column {name}. Rename one of them")
            columns[name] = column
    return pd.DataFrame(columns)


def _columns_of(name: str, values: Any) -> dict[str, Any]:
    if values.ndim == 1:
        return {name: values}
    if values.ndim == 2:
        return {f"{name}{i}": column for i, column in enumerate(values.T)}
    raise ValueError(f"{name} with {values.ndim} dimensions, where 1 or 2 make columns")


def _write_npz(table: DataFrame, path: Path) -> None:
    columns = {str(name): table[name].to_numpy() for name in table.columns}
    # Objects could only be pickled.
    plain = {name: c.astype(str) if c.dtype.kind == "O" else c for name, c in columns.items()}
    with path.open("wb") as file:
        np.savez(file, **plain)


def _write_npy(table: DataFrame, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, table.to_numpy())


SEPARATORS = {".csv": ",", ".tsv": "\t"}
READERS: dict[str, Callable[[Path], DataFrame]] = {
    ".csv": _read_separated,
    ".tsv": _read_separated,
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
