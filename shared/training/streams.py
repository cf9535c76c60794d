"""Data that come bit by bit, written to a file first, so that training can draw from all rows.

A torch Dataset, or an iterator over parts of the data, has no rows to shuffle. On disk it has, and
the fit is then that of the same rows in memory, in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, default_collate

from identiflow.shared.auxiliary import Auxiliary, Columns
from identiflow.shared.auxiliary.encoder import call_of
from identiflow.shared.auxiliary.reading import as_array, read_values
from identiflow.shared.compute.random import usual_modes
from identiflow.shared.inputs.containers import column_names
from identiflow.shared.inputs.moments import UTC, WRITTEN
from identiflow.shared.inputs.pairing import check_paired, parts_of
from identiflow.shared.inputs.validation import as_matrix, is_plain

STREAMS = (Dataset, Iterator)
ROWS_AT_A_TIME = 4096


@contextmanager
def on_disk(x: Any, u: Any) -> Iterator[tuple[Any, Any]]:
    """x and u as arrays; of a stream of pairs (x, u), which is written to a file for that time.

    Args:
        x: anything that estimators take, or a torch Dataset whose items are pairs (x (d,), u), or
            an iterator of pairs (x (B, d), u (B, ...)), with u = None beside it.
        u: as estimators take it.

    Raises:
        ValueError: for a u beside a stream, an empty one, or parts of different width.
    """
    if not isinstance(x, STREAMS):
        yield x, u
        return
    if u is not None:
        raise ValueError(
            "Expected u=None with a Dataset or an iterator, whose items are pairs (x, u); got a u."
        )
    with TemporaryDirectory(prefix="identiflow-") as folder:
        with usual_modes():
            written = _write(_parts(x), Path(folder) / "x")
        yield written


def _parts(stream: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(stream, Iterator):
        return stream
    return _items(stream)


def _items(data: Any) -> Iterator[Any]:
    # Without a generator of its own it draws a number from torch's global one.
    loader = DataLoader(
        data, batch_size=ROWS_AT_A_TIME, generator=torch.Generator(), collate_fn=_collated
    )
    try:
        yield from loader
    except TypeError as error:
        if "default_collate" not in str(error):  # of the data's own
            raise
        raise TypeError(
            f"Expected pairs (x, u) of numbers or words from a Dataset; got {error}."
        ) from None


def _collated(items: list[Any]) -> Any:
    """Pairs as two batches; rows that are lists stay so, where torch would take columns of them."""
    if not all(isinstance(item, tuple | list) and len(item) == 2 for item in items):
        return default_collate(items)
    for x, _ in items:
        _expect_row(x)
    return [
        [list(row) for row in part] if isinstance(part[0], tuple | list) else default_collate(part)
        for part in map(list, zip(*items, strict=True))
    ]


def _expect_row(x: Any) -> None:
    """Raise for an item of a Dataset that is a batch."""
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) > 1 or (isinstance(x, list | tuple) and len(x) and np.ndim(x[0]) > 0):
        raise ValueError(
            "Expected items of a Dataset to be single rows, pairs (x, u) with x of shape (d,); got "
            f"x {f'of shape {shape}' if shape else 'as a list of rows'}. Of parts, each of many "
            "rows, pass iter(dataset) instead, or iter(loader) of a DataLoader."
        )


class Written(np.memmap):
    """Rows of a stream in a file, which know the names of their columns."""

    column_names: tuple[Any, ...] | None = None


def _write(parts: Iterable[Any], path: Path) -> tuple[np.memmap, Any]:
    """All rows of x in a file, as a memory-map; all of u in memory."""
    read: list[_Part] = []
    n_rows, width, names = 0, None, None
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            x, u = _pair(part, number)
            check_paired(x, u)
            values = as_matrix(x, f"x in part {number}", columns=width)
            if len(values):  # of no rows nothing is known, not even what u is
                names = _same_names(x, names, number)
                read.append(_read(u, len(values), number))
            file.write(np.ascontiguousarray(values).tobytes())
            n_rows, width = n_rows + len(values), values.shape[1]
    if width is None or not n_rows:
        raise ValueError("Expected a Dataset or an iterator with at least one row; got none.")
    rows = Written(path, np.float64, "r", shape=(n_rows, width))
    rows.column_names = names
    return rows, _together(read)


def _pair(part: Any, number: int) -> tuple[Any, Any]:
    try:
        if isinstance(part, (Mapping, str, bytes)):  # which can be of two as well
            raise TypeError
        x, u = part
    except (TypeError, ValueError):
        keys = f" with the keys {list(part)}" if isinstance(part, Mapping) else ""
        raise ValueError(
            f"Expected pairs (x, u) from a Dataset or an iterator; got {type(part).__name__} as "
            f"item {number}{keys}."
        ) from None
    return x, u


def _same_names(x: Any, names: tuple[Any, ...] | None, number: int) -> tuple[Any, ...] | None:
    """The names of the columns of x, which are those of the parts before."""
    own = None if is_plain(x) else column_names(x)
    if names is None or own is None or own == names:
        return own if names is None else names
    raise ValueError(
        f"Expected x in part {number} with the columns {list(names)}, as in the parts before; got "
        f"{list(own)}. Pass them by these names and in this order."
    )


class _Part(NamedTuple):
    """The u of a part as it was read, and what it was read from."""

    columns: Columns
    number: int
    kind: tuple[str, ...]


@dataclass(frozen=True)
class AsRead(Auxiliary):
    """A u whose parts have been read."""

    parts: Columns

    def columns(self, x: NDArray[np.float64]) -> Columns:
        return self.parts


def _read(u: Any, n_rows: int, number: int) -> _Part:
    if u is None or any(getattr(part, "in_order", False) for part in parts_of(u)):
        raise ValueError(
            f"Expected u in part {number} as labels or values, one for each row of x; got "
            f"{type(u).__name__}. What is made from all rows needs them in memory, or as a "
            "memory-map."
        )
    columns = u.columns(np.empty((n_rows, 0))) if isinstance(u, Auxiliary) else read_values(u)
    got = len(next(c for c in columns[:2] if c is not None))
    if got != n_rows:
        raise ValueError(
            f"Expected u with {n_rows} rows in part {number}, one for each of x; got {got}."
        )
    return _Part(columns, number, _kind_of(u, columns))


def _kind_of(u: Any, columns: Columns) -> tuple[str, ...]:
    """What has to be the same in all parts, in words; "" where a part does not say."""
    made_by = "" if columns.made_by is None else call_of(columns.made_by)
    kinds = columns.kinds
    if len(kinds) > 1:
        kinds = tuple(f"{kind} in column {i} of values" for i, kind in enumerate(kinds))
    return _form_of(u, columns), made_by, _zones_of(columns.labels), *kinds


def _form_of(u: Any, columns: Columns) -> str:
    if columns.names is not None:
        labels, values = columns.names
        return f"a frame with labels {labels} and values {values}"
    if isinstance(u, Auxiliary):
        own = columns.continuous
        width = () if own is None else own.shape[1:]
        return f"{type(u).__name__} of {columns.labels is not None} labels, values {width}"
    of = "values" if columns.labels is None else "labels"
    return f"{of} of shape {('N', *as_array(u).shape[1:])}"


def _zones_of(labels: NDArray[Any] | None) -> str:
    """Whether the moments among labels are in a zone, in words; "" if there are none."""
    words = [] if labels is None else str(labels[0]).split(", ")
    zones = [word.endswith(UTC) for word in words if WRITTEN.fullmatch(word.removesuffix(UTC))]
    return " and ".join(f"labels of times {'in a' if zone else 'without a'} zone" for zone in zones)


def _together(parts: list[_Part]) -> AsRead:
    """The u of all parts as one."""
    for kinds in zip(*(part.kind for part in parts), strict=False):
        _check_alike([(kind, part.number) for kind, part in zip(kinds, parts, strict=True) if kind])
    first = parts[0].columns
    labels, values = (
        None if first[i] is None else np.concatenate([part.columns[i] for part in parts])
        for i in (0, 1)
    )
    return AsRead(first._replace(labels=labels, continuous=values))


def _check_alike(kinds: list[tuple[str, int]]) -> None:
    """Raise unless a thing that parts of these numbers say is the same in all."""
    other = next((pair for pair in kinds if pair[0] != kinds[0][0]), None)
    if other is not None:
        raise ValueError(
            f"Expected u of one kind in all parts; got {kinds[0][0]} in part {kinds[0][1]} and "
            f"{other[0]} in part {other[1]}. Make them alike."
        )
