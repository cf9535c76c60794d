"""Turns a user's auxiliary variable u into tensors for the prior.

Integers and strings are labels as they are, floats are continuous, a data frame is split by the
type of its columns. An `Auxiliary` object says otherwise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.validation import check_finite, check_same_rows

INT64 = np.iinfo(np.int64)


class Columns(NamedTuple):
    """What u is made of: labels (N,) or None, and continuous values (N, q) or None."""

    labels: NDArray[Any] | None
    continuous: NDArray[np.float64] | None
    # What those columns are called in a data frame, labels first.
    names: list[list[str]] | None = None


class Auxiliary(ABC):
    """Says how u is to be read. Pass an instance in the place of u."""

    @abstractmethod
    def columns(self, x: NDArray[np.float64]) -> Columns:
        """The labels and continuous values of the rows of x."""

    def __len__(self) -> int:
        """The number of rows, for those that hold values of their own."""
        raise ValueError(
            f"Expected x together with u = {self!r}, which is made from the rows of x; got u "
            "alone. Pass x too, or the labels or values themselves."
        )


@dataclass(frozen=True)
class Labels(Auxiliary):
    """`values` are categories, whatever their type: (N,), or (N, q) for combinations."""

    values: Any

    def columns(self, x: NDArray[np.float64]) -> Columns:
        return Columns(_as_labels(_as_array(self.values)), None)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Continuous(Auxiliary):
    """`values` are continuous, even if they are integers: (N,) or (N, q)."""

    values: Any

    def columns(self, x: NDArray[np.float64]) -> Columns:
        return Columns(None, _as_continuous(_as_array(self.values)))

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Mixed(Auxiliary):
    """A label and continuous values together, e.g. a subject and a time."""

    labels: Any
    continuous: Any

    def columns(self, x: NDArray[np.float64]) -> Columns:
        labels = _as_labels(_as_array(self.labels))
        continuous = _as_continuous(_as_array(self.continuous))
        if len(labels) != len(continuous):
            raise ValueError(
                f"Expected u = Mixed with as many labels as continuous rows; got {len(labels)} "
                f"and {len(continuous)}."
            )
        return Columns(labels, continuous)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class TimeSegments(Auxiliary):
    """Rows are in order of time; u is which of `n` equal stretches a row lies in.

    Nonstationarity as the auxiliary variable (Hyvärinen & Morioka 2016, time-contrastive
    learning).
    """

    n: int

    def columns(self, x: NDArray[np.float64]) -> Columns:
        if not 2 <= self.n <= len(x):
            raise ValueError(
                f"Expected u = TimeSegments(n) with 2 ≤ n ≤ {len(x)} rows of x; got n = {self.n}."
            )
        return Columns(np.arange(len(x)) * self.n // len(x), None)


@dataclass(frozen=True)
class History(Auxiliary):
    """Rows are in order of time; u is the last `lags` rows of x before each row.

    The first rows of a series repeat its first observation for the past they lack. `series`, (N,),
    separates several series, so that no history reaches across.
    """

    lags: int = 1
    series: Any = None

    def columns(self, x: NDArray[np.float64]) -> Columns:
        if not 1 <= self.lags < len(x):
            raise ValueError(
                f"Expected u = History(lags) with 1 ≤ lags < {len(x)} rows of x; got {self.lags}."
            )
        series = np.zeros(len(x), int) if self.series is None else np.asarray(self.series)
        check_same_rows(len(x), len(series))
        starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
        first = starts[np.searchsorted(starts, np.arange(len(x)), side="right") - 1]
        past = [x[np.maximum(np.arange(len(x)) - lag, first)] for lag in range(1, self.lags + 1)]
        return Columns(None, np.concatenate(past, axis=1))


@dataclass(frozen=True)
class AuxiliaryEncoder:
    """Encodes u as fitted on the training rows: label codes, standardised continuous values.

    The encoding is (B,) integers for labels, (B, q) floats for continuous u, and (B, 1 + q)
    floats with the code first for both.
    """

    labels: list[Any] | None
    mean: list[float] | None = field(default=None)
    scale: list[float] | None = field(default=None)
    # What part of the rows had each label, if u is labels alone.
    shares: list[float] | None = field(default=None)
    # The names of u's columns, if it was a data frame: those of labels, those of continuous values.
    names: list[list[str]] | None = field(default=None)

    @classmethod
    def fit(cls, columns: Columns) -> AuxiliaryEncoder:
        """Learn the labels and the scale of the continuous values.

        Raises:
            ValueError: if u has one value only.
        """
        labels, shares = None, None
        if columns.labels is not None:
            values, counts = np.unique(columns.labels, return_counts=True)
            labels, shares = values.tolist(), (counts / counts.sum()).tolist()
        if columns.continuous is None:
            _check_several(labels or [])
            return cls(labels, shares=shares, names=columns.names)
        varies = np.ptp(columns.continuous, axis=0) > 0  # rounding gives a constant some spread
        mean, scale = columns.continuous.mean(0), columns.continuous.std(0)
        if not varies.any():
            _check_several(labels or mean[None].tolist())
        spread = np.where(varies, scale, 1.0).tolist()
        return cls(labels, mean.tolist(), spread, names=columns.names)

    @property
    def n_labels(self) -> int | None:
        """How many labels there are, or None if u has none."""
        return None if self.labels is None else len(self.labels)

    @property
    def aux_dim(self) -> int | None:
        """q, how many continuous values a row of u has, or None if it has none."""
        return None if self.mean is None else len(self.mean)

    def encode(self, columns: Columns) -> Tensor:
        """The rows of u as the prior takes them.

        Raises:
            ValueError: for labels not seen in fit, or another kind or width of u.
        """
        self._check_kind(columns)
        codes = None if columns.labels is None else self._codes(columns.labels)
        if columns.continuous is None:
            return torch.from_numpy(codes)
        values = (columns.continuous - np.asarray(self.mean)) / np.asarray(self.scale)
        if codes is not None:
            values = np.concatenate([codes[:, None], values], axis=1)
        return torch.from_numpy(values)

    def code_of(self, label: Any) -> int:
        """The code of one label.

        Raises:
            ValueError: if fit has not seen it, or u is not labels alone.
        """
        return int(self.encode(Columns(_as_labels(np.asarray([label])), None)))

    def _codes(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        known = np.asarray(self.labels)
        if known.dtype.kind != labels.dtype.kind and "U" in (known.dtype.kind, labels.dtype.kind):
            labels = labels.astype(str)  # numbers given for strings, or strings for numbers
            known = known.astype(str)
        order = np.argsort(known)
        position = np.searchsorted(known, labels, sorter=order).clip(max=len(known) - 1)
        codes = order[position]
        unseen = known[codes] != labels
        if unseen.any():
            raise ValueError(
                f"Expected labels of u that were seen in fit ({_shorten(self.labels or [])}); got "
                f"{_shorten(np.unique(labels[unseen]).tolist())}. Refit with those rows, or drop "
                "them."
            )
        return codes.astype(np.int64)

    def _check_kind(self, columns: Columns) -> None:
        width = None if columns.continuous is None else columns.continuous.shape[1]
        if (columns.labels is None) != (self.labels is None) or width != self.aux_dim:
            raise ValueError(
                f"Expected u {_describe(self.labels is not None, self.aux_dim)}, as in fit; got u "
                f"{_describe(columns.labels is not None, width)}."
            )


def read_auxiliary(u: Any, x: NDArray[np.float64]) -> Columns:
    """u, in any form users have it, as labels and continuous values; one row for each row of x.

    Raises:
        ValueError: for missing values, labels beyond 64 bits, or another number of rows than x.
    """
    if u is None:
        raise ValueError(
            "Expected u, the auxiliary variable seen with every row of x; got None. Pass labels, "
            "continuous values, or TimeSegments(n) / History(lags) for a series."
        )
    columns = u.columns(x) if isinstance(u, Auxiliary) else _guess(u)
    check_same_rows(len(x), len(next(c for c in columns[:2] if c is not None)))
    return columns


def _guess(u: Any) -> Columns:
    if hasattr(u, "to_frame"):  # a series is a frame of one column
        u = u.to_frame()
    if hasattr(u, "dtypes") and hasattr(u, "columns"):
        return _read_frame(u)
    values = _as_array(u)
    if values.dtype.kind == "f":
        return Columns(None, _as_continuous(values))
    return Columns(_as_labels(values), None)


def _read_frame(frame: Any) -> Columns:
    is_float = np.array([getattr(dtype, "kind", "O") == "f" for dtype in frame.dtypes], dtype=bool)
    floats, others = frame.loc[:, is_float], frame.loc[:, ~is_float]
    if not len(frame) or not len(is_float):
        raise ValueError(f"Expected u with rows and columns; got a frame of shape {frame.shape}.")
    labels = None if is_float.all() else _as_labels(_as_array(others.to_numpy()))
    continuous = floats.to_numpy(dtype=float, na_value=np.nan) if is_float.any() else None
    names = [[str(name) for name in part.columns] for part in (others, floats)]
    values = None if continuous is None else _as_continuous(continuous)
    return Columns(labels, values, names)


def _as_array(values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.dtype.kind in "fU" and not hasattr(values, "dtype"):
        # Of a list numpy makes ["a", nan] strings and [2**63, -1] floats.
        plain = np.asarray(values, dtype=object)
        if array.dtype.kind == "U" or all(isinstance(value, int) for value in plain.flat):
            array = plain
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"Expected u of shape (N,) or (N, q); got shape {array.shape}.")
    return array


def _as_continuous(values: NDArray[Any]) -> NDArray[np.float64]:
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected continuous u to be numeric; got {error}.") from None
    check_finite(values, "u")
    return values.reshape(len(values), -1)


def _as_labels(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim == 2 and values.shape[1] > 1:
        return _joint_labels(values)
    values = values.reshape(-1)
    if values.dtype.kind == "f":
        check_finite(values, "u")
        return values
    _check_none_missing(values)
    if values.dtype.kind == "O":
        return _object_labels(values)
    if values.dtype.kind == "u" and values.size and values.max() > INT64.max:
        raise ValueError(
            f"Expected integer labels of u within 64 bits (≤ {INT64.max}); got {values.max()}. "
            "Use strings for identifiers this long."
        )
    return values.astype(np.int64) if values.dtype.kind in "bui" else values.astype(str)


def _joint_labels(values: NDArray[Any]) -> NDArray[Any]:
    """One label for each combination of the columns: "subject 1, left"."""
    _check_none_missing(values)
    rows = [[str(part).replace("\\", r"\\").replace(",", r"\,") for part in row] for row in values]
    return np.asarray([", ".join(row) for row in rows])


def _check_none_missing(values: NDArray[Any]) -> None:
    if values.dtype.kind not in "OfMm":
        return
    rows = values.reshape(len(values), -1)
    missing = [i for i, row in enumerate(rows) if any(map(_is_missing, row))]
    if missing:
        raise ValueError(
            f"Expected a label in every row of u; got {len(missing)} missing, the first in row "
            f"{missing[0]}. Drop those rows or give them a label of their own."
        )


def _is_missing(value: Any) -> bool:
    # NaN and NaT differ from themselves; pandas' NA refuses to say, which is a TypeError.
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def _object_labels(values: NDArray[Any]) -> NDArray[Any]:
    if all(isinstance(v, (int, np.integer)) for v in values):
        too_large = [v for v in values if not INT64.min <= v <= INT64.max]
        if too_large:
            raise ValueError(
                f"Expected integer labels of u within 64 bits (≤ {INT64.max}); got "
                f"{too_large[0]}. Use strings for identifiers this long."
            )
        return values.astype(np.int64)
    return values.astype(str)


def _check_several(values: list[Any]) -> None:
    if len(values) < 2:
        raise ValueError(
            f"Expected u with at least 2 different values; got only {_shorten(values)}. Without "
            "variation in u nothing identifies z; for an unconditional baseline pass "
            "prior='unconditional'."
        )


def _describe(has_labels: bool, aux_dim: int | None) -> str:
    parts = ["of labels"] if has_labels else []
    if aux_dim is not None:
        parts.append(f"with {aux_dim} continuous column(s)")
    return " ".join(parts)


def _shorten(values: Sequence[Any]) -> str:
    rest = f", … ({len(values)} in all)" if len(values) > 5 else ""
    return ", ".join(map(repr, values[:5])) + rest
