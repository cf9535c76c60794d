"""Parts of a stream are read as one whole, or refused by the part that differs."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from identiflow.shared.auxiliary import Continuous, Fourier, Labels, Mixed
from identiflow.shared.training.streams import on_disk

N = 24
X = np.random.default_rng(0).standard_normal((N, 3))
CODES = np.arange(N) * 7 % 5
WORDS = np.array(["ada", "ben", "cy", "dee", "eve"])[CODES]
TIME = np.linspace(0, 1, N)
NAMES = ["left", "right", "up"]


class Rows(torch.utils.data.Dataset):
    def __init__(self, item: Callable[[int], Any]) -> None:
        self.item = item

    def __len__(self) -> int:
        return N

    def __getitem__(self, row: int) -> Any:
        return self.item(row)


class Batches(torch.utils.data.IterableDataset):
    def __iter__(self) -> Any:
        return iter([(X[first : first + 8], CODES[first : first + 8]) for first in (0, 8, 16)])


def read_stream(x: Any) -> tuple[np.ndarray, Any]:
    with on_disk(x, None) as (rows, u):
        return np.array(rows), u.columns(rows)


ITEMS: dict[str, Callable[[Any], Any]] = {
    "arrays": np.asarray,
    "tensors": torch.as_tensor,
    "lists": lambda row: row.tolist(),
    "lists of numpy's numbers": list,
    "tuples": tuple,
    "named tuples": lambda row: namedtuple("Row", "left right up")(*row),
}


@pytest.mark.parametrize("pair", [tuple, list])
@pytest.mark.parametrize("case", ITEMS)
def test_rows_of_a_dataset_are_rows_whatever_holds_them(case: str, pair: type) -> None:
    x, columns = read_stream(Rows(lambda row: pair([ITEMS[case](X[row]), int(CODES[row])])))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(columns.labels, CODES)
    _, columns = read_stream(Rows(lambda row: pair([X[row], ITEMS[case](X[row])])))
    np.testing.assert_array_equal(columns.continuous, X)


def test_rows_of_u_in_a_dataset_may_be_words() -> None:
    _, columns = read_stream(Rows(lambda row: (X[row], [str(WORDS[row]), "left"])))
    assert columns.labels is not None and columns.labels[0] == f"{WORDS[0]}, left"


FRAME = pd.DataFrame(X, columns=NAMES)
STREAMS: dict[str, tuple[Callable[[], Any], str]] = {
    "a Dataset of dictionaries": (
        lambda: Rows(lambda row: {"x": X[row], "u": CODES[row]}),
        r"pairs \(x, u\).*got dict as item 0 with the keys \['x', 'u'\]",
    ),
    "dictionaries": (lambda: iter([{"x": X, "u": CODES}]), r"got dict as item 0 with the keys"),
    "words": (lambda: iter(["xu"]), "got str as item 0"),
    "a Dataset of objects": (lambda: Rows(lambda row: (object(), 1)), "pairs.*of numbers or words"),
    "batches of a Dataset": (
        lambda: Batches(),
        r"single rows.*x of shape \(8, 3\).*iter\(data",
    ),
    "batches of a Dataset with a length": (
        lambda: Rows(lambda row: (torch.tensor(X), CODES)),
        r"single rows.*x of shape \(24, 3\).*iter\(loader\) of a DataLoader",
    ),
    "lists of rows of a Dataset": (
        lambda: Rows(lambda row: (X.tolist(), CODES.tolist())),
        "single rows.*x as a list of rows",
    ),
    "rows one by one": (
        lambda: zip(X, CODES, strict=True),
        r"Expected x in part 0 of shape.*a single row np.atleast_2d\(x in part 0\)",
    ),
    "columns in another order": (
        lambda: iter([(FRAME, CODES), (FRAME[NAMES[::-1]], CODES)]),
        r"x in part 1 with the columns \['left', 'right', 'up'\].*got \['up', 'right', 'left'\]",
    ),
    "columns of pyarrow in another order": (
        lambda: iter((pa.Table.from_pandas(frame), CODES) for frame in (FRAME, FRAME[NAMES[::-1]])),
        "x in part 1 with the columns",
    ),
    "columns of u in another order": (
        lambda: iter([(X, FRAME), (X, FRAME[NAMES[::-1]])]),
        "u of one kind in all parts",
    ),
    "labels, then values": (
        lambda: iter([(X, CODES), (X, TIME)]),
        "u of one kind in all parts; got labels of shape .* and values",
    ),
    "rows of another index": (
        lambda: iter([(FRAME, pd.Series(CODES)[::-1])]),
        "Expected u with the index of x",
    ),
}


def test_an_iterator_over_a_dataset_of_batches_is_read_as_parts() -> None:
    x, columns = read_stream(iter(Batches()))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(columns.labels, CODES)


@pytest.mark.parametrize("case", STREAMS)
def test_streams_of_wrong_things_are_refused(case: str) -> None:
    make, message = STREAMS[case]
    with pytest.raises((TypeError, ValueError), match=message):
        read_stream(make())


def test_a_stream_of_frames_is_read_as_one_frame() -> None:
    u = pd.DataFrame({"who": WORDS, "when": TIME})
    for kind in (lambda frame: frame, pa.Table.from_pandas):
        parts = ((kind(FRAME[i : i + 5]), kind(u[i : i + 5])) for i in range(0, N, 5))
        x, columns = read_stream(parts)
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(columns.labels, WORDS)
        assert columns.names == [["who"], ["when"]]


def test_the_names_of_a_stream_are_known() -> None:
    with on_disk(iter([(FRAME, CODES)]), None) as (rows, _):
        assert rows.column_names == tuple(NAMES)
    with on_disk(SimpleNamespace, CODES) as (x, u):
        assert x is SimpleNamespace and u is CODES


KINDS: dict[str, Callable[[slice], Any]] = {
    "Labels": lambda rows: Labels(CODES[rows] * 1.0),
    "Continuous": lambda rows: Continuous(CODES[rows]),
    "Mixed": lambda rows: Mixed(WORDS[rows], CODES[rows]),
    "waves": lambda rows: Fourier(CODES[rows], 24),
    "frames in objects": lambda rows: Continuous(pd.DataFrame({"t": TIME[rows]})),
}


@pytest.mark.parametrize("kind", KINDS)
def test_parts_may_say_what_their_u_is(kind: str) -> None:
    make, parts = KINDS[kind], (slice(0, 9), slice(9, N))
    _, together = read_stream((X[rows], make(rows)) for rows in parts)
    whole = make(slice(0, N)).columns(X)
    for part, expected in zip(together, whole, strict=True):
        np.testing.assert_equal(part, expected)
    with pytest.raises(ValueError, match="u of one kind in all parts"):
        read_stream(iter([(X[:9], make(parts[0])), (X[9:], TIME[9:])]))
