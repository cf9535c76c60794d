"""What users keep rows in: data frames of any library, and what is refused because it has no rows.

numpy's arrays, torch's tensors, lists and pandas' frames are read as they are; narwhals reads the
frames and series of all other libraries. No library of frames is imported here that the user has
not imported.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from identiflow.shared.inputs.arrays import AnyArray

KEPT = "mMf"  # kinds whose cells stay numpy's among others: float32(0.1) prints as 0.1
INDEX = re.compile(r"__index_level_\d+__")
# Rows that are read without this module: they have no index and no names.
PLAIN = (np.ndarray, np.generic, torch.Tensor, list, tuple, str, bytes, int, float, type(None))


@dataclass(frozen=True, eq=False)
class Table:
    """A data frame, or a series as one of a single column.

    Attributes:
        columns: (N,) each; objects where cells are missing.
        names: of the columns, as they are.
        declared: for each column, whether its type says that it holds categories.
        frame: it itself, if it is one of pandas' or like those.
        is_series: whether it was a series.
    """

    columns: tuple[AnyArray, ...]
    names: tuple[Any, ...]
    declared: tuple[bool, ...]
    frame: Any = None
    is_series: bool = False

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def is_float(self, number: int) -> bool:
        """True for a column whose type is one of floats, also if cells are missing in it."""
        dtype = self.columns[number].dtype if self.frame is None else self.frame.dtypes.iloc[number]
        return getattr(dtype, "kind", "O") == "f"

    def floats(self, chosen: AnyArray) -> AnyArray:
        """The columns chosen, (d,) booleans, as one matrix; what is missing is NaN in it."""
        if self.frame is not None:
            return self.frame.loc[:, chosen].to_numpy(dtype=float, na_value=np.nan)
        columns = [
            column for column, is_chosen in zip(self.columns, chosen, strict=True) if is_chosen
        ]
        return np.column_stack([column.astype(np.float64) for column in columns])

    def matrix(self) -> AnyArray:
        """All columns as one array (N, d), no cell changed on the way; a series as (N,)."""
        if self.is_series:
            return self.columns[0]
        kinds = {column.dtype for column in self.columns}
        if len(kinds) == 1:
            return np.column_stack(self.columns)
        cells = np.empty((len(self), len(self.columns)), dtype=object)
        for number, column in enumerate(self.columns):
            cells[:, number] = list(column) if column.dtype.kind in KEPT else column
        return cells


def table_of(values: Any) -> Table | None:
    """A frame or a series of any library that holds its rows in memory; None for all else.

    Of PLAIN values none is one: whoever reads them does not ask.
    """
    if is_pandas(values):
        return _of_pandas(values if hasattr(values, "columns") else values.to_frame())
    if hasattr(values, "to_frame") and is_pandas(frame := values.to_frame()):  # an index
        return _of_pandas(frame)
    return _of_others(values)


def cells_of(frame: Any) -> AnyArray:
    """The cells (N, d) of a frame of pandas, as objects, none changed on the way."""
    cells = frame.to_numpy(dtype=object)
    for number, dtype in enumerate(frame.dtypes):
        if getattr(dtype, "kind", "O") == "f":
            column = frame.iloc[:, number]
            cells[:, number] = list(column.to_numpy(f"f{dtype.itemsize}", na_value=np.nan))
    return cells


def is_pandas(values: Any) -> bool:
    """True for a frame or series of pandas, or of a library that does as pandas does."""
    return hasattr(values, "iloc") and hasattr(values, "index")


def is_index(values: Any) -> bool:
    """True for an index of pandas: labels of rows, and not a value for each."""
    return hasattr(values, "get_indexer")


def column_names(values: Any) -> tuple[Any, ...] | None:
    """The names of the columns of a frame, or of what else has names for them."""
    if hasattr(values, "column_names"):  # pyarrow's, and those of a stream that was written down
        names = _without_index(values).column_names
    elif hasattr(values, "columns"):
        names = values.columns
    else:
        names = _coordinates(values, -1) if getattr(values, "ndim", 0) == 2 else None
    return None if names is None or callable(names) else tuple(names)


def index_of(values: Any) -> Any:
    """The index of the rows, pandas' own, of a frame or series or of xarray's array; or None."""
    return values.index if is_pandas(values) else _coordinates(values, 0)


def expect_rows(values: Any, name: str) -> None:
    """Raise for what has no rows that can be read at once, saying what has.

    Raises:
        TypeError: naming the type and the way.
    """
    for is_one, what, way in NOT_ROWS:
        if is_one(values):
            what = what or _with_article(type(values).__name__)
            raise TypeError(
                f"Expected {name} as an array, a tensor, a list or a data frame; got {what}. {way}"
            )


def _with_article(word: str) -> str:
    return f"{'an' if word[0] in 'AEIOUaeiou' else 'a'} {word}"


def _has(*attributes: str) -> Callable[[Any], bool]:
    return lambda values: all(hasattr(type(values), attribute) for attribute in attributes)


def _is_lazy(values: Any) -> bool:
    """True for what dask is still to compute; xarray's arrays could be that too."""
    return _has("__dask_graph__")(values) and values.__dask_graph__() is not None


def _is_a(*types: type) -> Callable[[Any], bool]:
    return lambda values: isinstance(values, types)


def _are_parts(values: Any) -> bool:
    """True for a list of pairs (x, u), each of several rows."""
    if not (isinstance(values, list | tuple) and values):
        return False
    first = values[0]
    is_pair = isinstance(first, list | tuple) and len(first) == 2
    return is_pair and getattr(first[0], "ndim", 0) == 2


# Whether it is one, how it is called (by default its type), what to do.
NOT_ROWS: tuple[tuple[Callable[[Any], bool], str, str], ...] = (
    (
        _is_a(DataLoader),
        "a torch DataLoader",
        "fit(iter(loader)), without u, reads batches (x, u), as its sampler and collate_fn make "
        "them; fit(loader.dataset) its dataset.",
    ),
    (_is_a(Dataset), "a torch Dataset", "fit(dataset) alone reads one, of pairs (x, u)."),
    (
        _has("obs_names", "var_names"),
        "",
        "Pass its to_df(), whose index goes with that of a column of its obs as u.",
    ),
    (_has("columns", "in_order"), "", "It stands in the place of u alone; pass its values."),
    (_has("data_vars"), "an xarray Dataset", "Pass one of its arrays, or its to_dataframe()."),
    (_is_lazy, "", "Pass its compute()."),
    (_has("collect", "collect_schema"), "", "Pass its collect()."),
    (_are_parts, "a list of pairs", "Of parts (x, u) pass iter(parts) to fit, without u."),
    (_has("take", "split", "aux_name"), "", "Pass its rows and its u: fit(data.x, data.u)."),
    (_is_a(Mapping), "", "Pass a data frame of it, or its columns as one array."),
    (_is_a(Set), "", "It has no order; pass a list."),
    (
        _is_a(Iterator),
        "",
        "Only fit reads streams, of pairs (x, u) in the place of x; pass an array of all rows.",
    ),
)


def _coordinates(values: Any, axis: int) -> Any:
    """The index of one axis of an xarray array, if it has one."""
    dims = getattr(values, "dims", ())  # of an xarray Dataset no tuple
    if not (hasattr(values, "indexes") and isinstance(dims, tuple) and dims):
        return None
    return values.indexes.get(dims[axis])


def _of_pandas(frame: Any) -> Table:
    columns = [frame.iloc[:, number] for number in range(frame.shape[1])]
    declared = tuple(_is_category(column.dtype) for column in columns)
    return Table(tuple(c.to_numpy() for c in columns), tuple(frame.columns), declared, frame)


def _is_category(dtype: Any) -> bool:
    return type(dtype).__name__ in ("CategoricalDtype", "Categorical", "Enum")


def _of_others(values: Any) -> Table | None:
    """A frame or series that narwhals knows."""
    import narwhals as nw

    counts = Counter(column_names(values) or ())
    if twice := [name for name, count in counts.items() if count > 1]:
        raise ValueError(
            f"Expected columns with names of their own; got {twice[0]!r} twice. Rename one."
        )
    native = nw.from_native(
        _as_chunks(values), pass_through=True, eager_only=True, allow_series=True
    )
    is_series = isinstance(native, nw.Series)
    native = native.to_frame() if is_series else native
    if not isinstance(native, nw.DataFrame):
        return None
    # By their places: names may be numbers, or None.
    columns = [native[:, number] for number in range(native.shape[1])]
    return Table(
        tuple(map(_column, columns)),
        tuple(native.columns),
        tuple(_is_category(column.dtype) for column in columns),
        is_series=is_series,
    )


def _as_chunks(values: Any) -> Any:
    """pyarrow's array and batch as what narwhals knows of pyarrow."""
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None:
        return values
    if isinstance(values, pyarrow.Array):
        return pyarrow.chunked_array([values])
    is_batch = isinstance(values, pyarrow.RecordBatch)
    return _without_index(pyarrow.Table.from_batches([values]) if is_batch else values)


def _without_index(values: Any) -> Any:
    """A table of pyarrow without the index that pandas leaves in it, which has no name."""
    names = [n for n in values.column_names if INDEX.fullmatch(str(n))] if _is_table(values) else []
    return values.drop_columns(names) if names else values


def _is_table(values: Any) -> bool:
    return hasattr(values, "column_names") and hasattr(values, "drop_columns")


def _column(series: Any) -> AnyArray:
    """(N,): numbers and moments as they are, all else and what has missing cells as objects."""
    import narwhals as nw

    dtype = series.dtype
    in_zone = getattr(dtype, "time_zone", None) is not None
    is_moment = dtype in (nw.Date, nw.Datetime, nw.Duration) and not in_zone
    is_plain = (dtype.is_numeric() and dtype != nw.Decimal) or dtype == nw.Boolean
    if (is_moment or is_plain) and not series.null_count():
        return series.to_numpy()
    cells = np.empty(len(series), dtype=object)
    cells[:] = series.to_list()
    return cells
