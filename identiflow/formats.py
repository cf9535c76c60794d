"""Tables in files that are no text, and how tables are written, by the ending."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame, Series


# What packages say of files that are none of theirs; of damaged ones they say nearly anything.
SAID = {
    r"Object arrays": "objects that only Python can read. Write arrays of numbers or of words",
    r"pickle": "no arrays of numpy in it. Write it again",
    r"Parquet (magic|input|file size)": "no whole table of Parquet in it. Write it again",
    r"reshape|[Ff]ailed to read|EOF: reading": "an array that ends too early. Write it again",
    r"Multiple matches": "several columns of one name. Rename them",
}
DAMAGED = "a damaged file, or half of one ({}). Write it again"


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Around a package's reading of a file: its errors, in words for who has the file."""
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        found = (words for pattern, words in SAID.items() if re.search(pattern, said))
        raise ValueError(next(found, DAMAGED.format(said))) from None


def _read_parquet(path: Path) -> DataFrame:
    import pandas as pd

    with _in_our_words():
        table = pd.read_parquet(path)
    named = [name for name in table.index.names if name is not None]
    # An index with a name is a column like others; without one it numbers the rows.
    table = table.reset_index(named).reset_index(drop=True)
    return table.astype({name: float for name in table.columns if _is_decimal(table[name])})


def _is_decimal(column: Series) -> bool:
    """True for numbers of a fixed number of decimals, as databases have them."""
    cells = column.dropna() if column.dtype.kind == "O" else column.iloc[:0]
    return len(cells) > 0 and all(isinstance(cell, Decimal) for cell in cells)


def _load(file: IO[bytes]) -> Any:
    """The array in a file, or all arrays by their names."""
    with _in_our_words():
        loaded = np.load(file, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else dict(loaded)


def _read_npz(path: Path) -> DataFrame:
    with path.open("rb") as file:
        arrays = _load(file)
    if not isinstance(arrays, dict):
        raise ValueError("one array without a name, as in an NPY file. Let its name end in .npy")
    return _of_arrays(arrays)


def _read_npy(path: Path) -> DataFrame:
    with path.open("rb") as file:
        values = _load(file)
    if isinstance(values, dict):
        raise ValueError("arrays with names, as in an NPZ file. Let its name end in .npz")
    is_column = values.ndim == 1 and not values.dtype.names
    return _of_arrays({"x": values[:, None] if is_column else values})


def _of_arrays(arrays: dict[str, Any]) -> DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {}
    others = {
        name: np.ndim(values) for name, values in arrays.items() if np.ndim(values) not in (1, 2)
    }
    for array, values in arrays.items():
        if array in others and len(others) < len(arrays):
            continue
        for name, column in _columns_of(array, np.asarray(values)).items():
            if name in columns:
                raise ValueError(f"two arrays that make the column {name}. Rename one of them")
            columns[name] = column
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise ValueError(f"arrays of different lengths, {lengths}. Write those of the same rows")
    table = pd.DataFrame(columns)
    what = ", ".join(f"{name}, of {ndim} dimensions" for name, ndim in others.items())
    table.attrs["doubts"] = [f"Left out, since it makes no columns: {what}."] if others else []
    return table


def _columns_of(name: str, values: Any) -> dict[str, Any]:
    if values.dtype.names:  # a table, which has names of its own
        return {field: values[field] for field in values.dtype.names}
    if values.ndim == 1:
        return {name: values}
    if values.ndim == 2:
        return {f"{name}{i}": column for i, column in enumerate(values.T)}
    raise ValueError(f"{name} with {values.ndim} dimensions, where 1 or 2 make columns")


def _write_npz(table: DataFrame, path: Path) -> None:
    columns = {str(name): table[name].to_numpy() for name in table.columns}
    # Objects could only be pickled.
    plain = {name: c.astype(str) if c.dtype.kind == "O" else c for name, c in columns.items()}
    with zipfile.ZipFile(path, "w") as archive:  # of np.savez some names are arguments
        for name, column in plain.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, column, allow_pickle=False)


def _write_npy(table: DataFrame, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, table.to_numpy())


READERS: dict[str, Callable[[Path], DataFrame]] = {
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
