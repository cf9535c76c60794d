"""Read tables from files and write them: CSV, TSV, Parquet, NPZ and NPY, by their ending."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from identiflow.labels import as_written

if TYPE_CHECKING:
    from pandas import DataFrame


def read(path: Path, labels: Collection[str], unless_floats: bool) -> DataFrame:
    """The table in a file; these of its columns are words, for which see `tables.read_table`."""
    ending = path.suffix.lower()
    table = READERS[ending](path)
    if ending not in SEPARATORS:
        return table
    floats = {name for name in table.columns if table[name].dtype.kind == "f"}
    return _with_words(table, path, set(labels) - floats if unless_floats else set(labels))


def _read_separated(path: Path) -> DataFrame:
    """A file of text; a column has one type, found from all of its cells."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of cells that would be lost
        try:
            return pd.read_csv(
                path,
                sep=SEPARATORS[path.suffix.lower()],
                index_col=False,
                low_memory=False,
                **_exact(pd.__version__),
            )
        except pd.errors.ParserWarning:
            raise ValueError(
                "rows with more cells than the header has names. Name every column"
            ) from None


def _exact(pandas: str) -> dict[str, Any]:
    """The option that reads a number to its last bit, which pandas from 3.1 on does unasked."""
    older = tuple(map(int, pandas.split(".")[:2])) < (3, 1)
    return {"float_precision": "round_trip"} if older else {}


def _with_words(table: DataFrame, path: Path, names: Collection[str]) -> DataFrame:
    """The table, with the cells of these columns as they stand in the file of text."""
    import pandas as pd

    positions = [i for i, name in enumerate(table.columns) if name in names]
    if not positions:
        return table
    words = pd.read_csv(
        path,
        sep=SEPARATORS[path.suffix.lower()],
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
