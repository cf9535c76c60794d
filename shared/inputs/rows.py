"""Rows of x as models see them: standardised, in memory or on disk.

`Scale` is the one place that knows how x as it is given and x as models see it differ. A memory-map
can be larger than memory: `StoredRows` stands in for the tensor that its rows would be, in all that
training and evaluation do with one: a batch of it, a part of it, chunks of it. `Observed` is rows
as they were given, beside their u, for what looks at them before they are modelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.columns import Plane

CHUNK = 2**16  # rows read at a time in a pass over all of them
# What holds for x holds for some of its rows: so many numbers of it are looked at, and as many
# rows at least.
NUMBERS, ROWS = 1_000_000, 4_000
MOST_LABELS = 1000


A = TypeVar("A", NDArray[np.float64], Tensor)


@dataclass(frozen=True, eq=False)
class Scale(Generic[A]):
    """x ↦ (x − mean) / std, column by column, of arrays (N, d) or of tensors (..., d).

    Attributes:
        mean: (d,).
        std: (d,), positive.
    """

    mean: A
    std: A

    def apply(self, x: A) -> A:
        """x as models see it."""
        return (x - self.mean) / self.std

    def undo(self, x: A) -> A:
        """x as it was given."""
        return x * self.std + self.mean

    @property
    def log_jacobian(self) -> Any:
        """log |det d apply(x) / dx|, in nats: what a log-density of x as given has besides."""
        return -self.std.log().sum() if isinstance(self.std, Tensor) else -np.log(self.std).sum()

    @property
    def as_tensors(self) -> Scale[Tensor]:
        """The same, for tensors."""
        return Scale(*map(torch.as_tensor, (self.mean, self.std)))


class StoredRows:
    """The rows array[index], (N, d), standardised in float64.

    Args:
        array: on disk, (N_all, d).
        scale: how they are standardised.
        index: which rows of the array, in which order; None for all of them.
        dtype, device: of the tensors that are read.
    """

    def __init__(
        self,
        array: NDArray[Any],
        scale: Scale[NDArray[np.float64]],
        index: NDArray[np.int64] | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.array, self.scale, self.index = array, scale, index
        self.dtype, self.device = dtype, device

    def __len__(self) -> int:
        return len(self.array if self.index is None else self.index)

    @property
    def shape(self) -> torch.Size:
        """(N, d)."""
        return torch.Size((len(self), self.array.shape[1]))

    def __getitem__(self, rows: Tensor | slice) -> Any:
        """A tensor of the rows numbered; a slice of them stays on disk."""
        if isinstance(rows, slice):
            return self.subset(torch.arange(len(self))[rows])
        number = rows.numpy(force=True)
        if self.index is not None:
            number = self.index[number]
        # In the order they have on disk, so that each page is read once.
        order = np.argsort(number, kind="stable")
        values = np.empty((len(number), self.array.shape[1]))
        values[order] = self.array[number[order]]
        return torch.from_numpy(self.scale.apply(values)).to(self.device, self.dtype)

    def split(self, size: int) -> Iterator[Tensor]:
        """Tensors of at most `size` rows, one after another."""
        for first in range(0, len(self), size):
            yield self[torch.arange(first, min(first + size, len(self)))]

    def subset(self, rows: Tensor) -> StoredRows:
        """Some of the rows, still on disk."""
        index = rows.numpy(force=True)
        return self._changed(index=index if self.index is None else self.index[index])

    def float(self) -> StoredRows:
        """The same, read as float32."""
        return self._changed(dtype=torch.float32)

    def to(self, device: torch.device | str) -> StoredRows:
        """The same, read onto this device."""
        return self._changed(device=device)

    def _changed(self, **changes: Any) -> StoredRows:
        names = ("array", "scale", "index", "dtype", "device")
        return StoredRows(**{name: getattr(self, name) for name in names} | changes)


Rows: TypeAlias = Tensor | StoredRows


def subset(rows: Rows, numbers: Tensor) -> Rows:
    """Some of the rows: in memory if they are, on disk if they are."""
    return rows[numbers] if isinstance(rows, Tensor) else rows.subset(numbers)


def head(rows: Rows, n_rows: int) -> Tensor:
    """The first rows, in memory."""
    if isinstance(rows, Tensor):
        return rows[:n_rows]
    return rows[torch.arange(min(n_rows, len(rows)))]


def chunks_of(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """An array in parts that fit in memory; one part, if it is there already."""
    if not isinstance(array, np.memmap):
        yield array
        return
    for first in range(0, len(array), CHUNK):
        yield np.asarray(array[first : first + CHUNK])


def mean_and_std(
    array: NDArray[Any], numbers: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (d,) of the rows numbered; 0 of a constant, to the bit.

    Reference: Chan, Golub & LeVeque 1983, for the parts of an array on disk.
    """
    if not isinstance(array, np.memmap):
        rows = array[numbers.numpy()]  # a tensor of one number would be taken for that number
        return rows.mean(0), np.where(rows.max(0) > rows.min(0), rows.std(0), 0.0)
    # Several parts are read in the order of the file; a single one is summed as in memory.
    numbers = numbers.sort().values if len(numbers) > CHUNK else numbers
    n_features = array.shape[1]
    stored = StoredRows(array, no_scale(n_features), numbers.numpy())
    n_before, mean, variance = 0, np.zeros(n_features), np.zeros(n_features)
    lowest, highest = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    for part in stored.split(CHUNK):
        values = part.numpy()
        total, shift = n_before + len(values), values.mean(0) - mean
        old, new = n_before / total, len(values) / total
        variance = old * variance + new * values.var(0) + old * new * shift**2
        mean, n_before = mean + new * shift, total
        lowest = np.minimum(lowest, values.min(0))
        highest = np.maximum(highest, values.max(0))
    return mean, np.where(highest > lowest, np.sqrt(variance), 0.0)


def scale_of(x: NDArray[Any], train: Tensor) -> Scale[NDArray[np.float64]]:
    """Mean and standard deviation of the training rows of x (N, d)."""
    mean, spread = mean_and_std(x, train)
    # 0 if a column varies in held-out rows only.
    return Scale(mean, np.where(spread > 0, spread, 1.0))


def no_scale(n_columns: int) -> Scale[NDArray[np.float64]]:
    """That of x which stays as it is."""
    return Scale(np.zeros(n_columns), np.ones(n_columns))


def standardized(x: NDArray[Any], scale: Scale[NDArray[np.float64]]) -> Rows:
    """Checked rows as a model takes them, float64; those on disk stay there."""
    if isinstance(x, np.memmap):
        return StoredRows(x, scale)
    return torch.from_numpy(scale.apply(x))


@dataclass(frozen=True, eq=False)
class Observed:
    """Rows of x and what their columns and labels are called.

    Attributes:
        x: checked rows (N, d), in memory or on disk.
        names: of the columns, if they have some.
        codes: of the labels of the rows, (N,), if the prior depends on labels.
        labels: theirs.
        continuous: values of u, (N, q), if the prior depends on some.
    """

    x: NDArray[Any]
    names: Sequence[str] | None = None
    codes: NDArray[np.int64] | None = None
    labels: Sequence[Any] | None = None
    continuous: Array | None = None

    @cached_property
    def sample(self) -> Sample:
        """Some of the rows, all if they are few, with their u."""
        n_rows, n_features = self.x.shape
        size = max(ROWS, NUMBERS // n_features, 4 * n_features)
        numbers: Any = slice(None)
        if n_rows > size:
            numbers = np.sort(np.random.default_rng(0).choice(n_rows, size, replace=False))
        of_u = (None if part is None else part[numbers] for part in (self.codes, self.continuous))
        return Sample(np.asarray(self.x[numbers], dtype=np.float64), *of_u)

    def named(self, *columns: int) -> str:
        """Columns as their numbers, and their names if they have some."""
        texts = [f"{i} ({self.names[i]!r})" if self.names else str(i) for i in columns]
        *first, last = texts if len(texts) <= 6 else [*texts[:5], f"{len(texts) - 5} others"]
        listed = f"{', '.join(first)} and {last}" if first else last
        return f"column{'s' if len(columns) > 1 else ''} {listed}"


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of x, (n, d), the codes of their labels, (n,), and continuous values of u, (n, q)."""

    x: Array
    codes: NDArray[np.int64] | None
    continuous: Array | None

    @cached_property
    def center(self) -> Array:
        """The median of each column, (d,)."""
        return np.median(self.x, axis=0)

    @cached_property
    def scale(self) -> Array:
        """The spread of each column that a few outliers do not change, (d,)."""
        distances = np.abs(self.x - self.center)
        scale = np.median(distances, axis=0)
        scale = np.where(scale > 0, scale, distances.mean(0))
        return np.where(scale > 0, scale, 1.0)

    def plane(self, rows: Any = slice(None)) -> Plane:
        """Some of these rows, to be searched for dependent columns."""
        return Plane(self.x[rows], self.center, self.scale)

    def by_label(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The code of each label, and the numbers of its rows, the most frequent first."""
        if self.codes is None:
            return
        order = np.argsort(self.codes, kind="stable")
        codes, first = np.unique(self.codes[order], return_index=True)
        rows = np.split(order, first[1:])
        frequent = sorted(range(len(codes)), key=lambda i: -len(rows[i]))[:MOST_LABELS]
        yield from ((int(codes[i]), rows[i]) for i in frequent)
