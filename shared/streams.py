"""Data that come bit by bit, written to a file first, so that training can draw from all rows.

A torch Dataset, or an iterator over parts of the data, has no rows to shuffle. On disk it has, and
a fit then depends on the data and the seed alone, not on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from shared.validation import as_matrix

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
    if not isinstance(x, Dataset | Iterator):
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
    return DataLoader(stream, batch_size=ROWS_AT_A_TIME)


def _write(parts: Iterable[tuple[Any, Any]], path: Path) -> tuple[np.memmap, np.ndarray]:
    """All rows of x in a file, as a memory-map; all of u in memory."""
    codes: list[np.ndarray] = []
    shape: tuple[int, int] | None = None
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            x, u = _pair(part, number)
            values = as_matrix(x, f"x in part {number}", columns=shape[1] if shape else None)
            if len(u) != len(values):
                raise ValueError(
                    f"Expected u with {len(values)} rows in part {number}, one for each of x; got "
                    f"{len(u)}."
                )
            file.write(np.ascontiguousarray(values).tobytes())
            codes.append(u)
            shape = ((shape[0] if shape else 0) + len(values), values.shape[1])
    if shape is None or not shape[0]:
        raise ValueError("Expected a Dataset or an iterator with at least one row; got none.")
    return np.memmap(path, np.float64, "r", shape=shape), np.concatenate(codes)


def _pair(part: Any, number: int) -> tuple[Any, np.ndarray]:
    try:
        x, u = part
    except (TypeError, ValueError):
        raise ValueError(
            f"Expected pairs (x, u) from a Dataset or an iterator; got {type(part).__name__} as "
            f"item {number}."
        ) from None
    return x, np.asarray(u)
