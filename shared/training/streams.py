"""Data that come bit by bit, written to a file first, so that training can draw from all rows.

A torch Dataset, or an iterator over parts of the data, has no rows to shuffle. On disk it has, and
the fit is then that of the same rows in memory, in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from identiflow.shared.auxiliary import Auxiliary
from identiflow.shared.auxiliary.reading import as_array
from identiflow.shared.inputs.validation import as_matrix

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
        yield _write(_parts(x), Path(folder) / "x")


def _parts(stream: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(stream, Iterator):
        return stream
    # Without a generator of its own it draws a number from torch's global one.
    return DataLoader(stream, batch_size=ROWS_AT_A_TIME, generator=torch.Generator())


def _write(parts: Iterable[tuple[Any, Any]], path: Path) -> tuple[np.memmap, Any]:
    """All rows of x in a file, as a memory-map; all of u in memory."""
    codes: list[Any] = []
    shape: tuple[int, int] | None = None
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            x, u = _pair(part, number)
            values = as_matrix(x, f"x in part {number}", columns=shape[1] if shape else None)
            if len(values):  # of no rows nothing is known, not even what u is
                codes.append(_codes(u, len(values), number))
            file.write(np.ascontiguousarray(values).tobytes())
            shape = ((shape[0] if shape else 0) + len(values), values.shape[1])
    if shape is None or not shape[0]:
        raise ValueError("Expected a Dataset or an iterator with at least one row; got none.")
    return np.memmap(path, np.float64, "r", shape=shape), _together(codes)


def _pair(part: Any, number: int) -> tuple[Any, Any]:
    try:
        x, u = part
    except (TypeError, ValueError):
        raise ValueError(
            f"Expected pairs (x, u) from a Dataset or an iterator; got {type(part).__name__} as "
            f"item {number}."
        ) from None
    return x, u


def _codes(u: Any, n_rows: int, number: int) -> Any:
    """The u of a part, a frame as it is."""
    if u is None or isinstance(u, Auxiliary):
        raise ValueError(
            f"Expected u in part {number} as labels or values, one for each row of x; got "
            f"{type(u).__name__}. What is made from all rows needs them in memory, or as a "
            "memory-map."
        )
    codes = u if _is_frame(u) else as_array(u)
    if len(codes) != n_rows:
        raise ValueError(
            f"Expected u with {n_rows} rows in part {number}, one for each of x; got {len(codes)}."
        )
    return codes


def _together(parts: list[Any]) -> Any:
    """The u of all parts as one."""
    kinds = {"a frame" if _is_frame(p) else f"shape {('N', *p.shape[1:])}" for p in parts}
    if len(kinds) > 1:
        raise ValueError(f"Expected u of one kind in all parts; got {' and '.join(sorted(kinds))}.")
    if _is_frame(parts[0]):
        import pandas as pd

        return pd.concat(parts, ignore_index=True)
    return np.concatenate(parts)


def _is_frame(u: Any) -> bool:
    return hasattr(u, "iloc")
