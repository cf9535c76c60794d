"""The kinds of u: objects that stand in the place of u and know its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.auxiliary.reading import (
    Auxiliary,
    Columns,
    Names,
    as_array,
    as_continuous,
    as_labels,
    names_of_parts,
)
from identiflow.shared.inputs.validation import check_same_rows


@dataclass(frozen=True)
class Labels(Auxiliary):
    """`values` are categories, whatever their type: (N,), or (N, q) for combinations."""

    values: Any

    def columns(self, x: NDArray[np.float64]) -> Columns:
        names = names_of_parts(self.values, None)
        return Columns(as_labels(as_array(self.values)), None, names)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Continuous(Auxiliary):
    """`values` are continuous, even if they are integers: (N,) or (N, q).

    Dates and times are read as well, as nanoseconds since 1970 in UTC: those without a zone are
    taken to be of that.
    """

    values: Any

    def columns(self, x: NDArray[np.float64]) -> Columns:
        names = names_of_parts(None, self.values)
        return Columns(None, as_continuous(as_array(self.values)), names)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Fourier(Auxiliary):
    """`values` (N,) or (N, q) as sines and cosines of 1 to `harmonics` waves a period.

    The prior may then change fast along u, and is the same again a period later: hours of a day,
    an angle. For values that do not repeat, take a period of twice their range. Values that fit did
    not see lie between those that it saw, on the circle, and are not remarked on.

    Reference: Tancik et al. 2020, "Fourier features let networks learn high frequency functions in
        low dimensional domains".
    """

    values: Any
    period: float
    harmonics: int = 4

    def columns(self, x: NDArray[np.float64]) -> Columns:
        if not (np.isfinite(self.period) and self.period > 0 and self.harmonics >= 1):
            raise ValueError(
                "Expected u = Fourier(values, period, harmonics) with period > 0 and harmonics ≥ "
                f"1; got period = {self.period} and harmonics = {self.harmonics}."
            )
        values = as_continuous(as_array(self.values))
        waves = 2 * np.pi / self.period * values[..., None] * np.arange(1, self.harmonics + 1)
        both = np.concatenate([np.sin(waves), np.cos(waves)], -1)
        both = both.reshape(len(values), -1)
        return Columns(None, both, self._names_of_waves(), limits=(-1.0, 1.0))

    def __len__(self) -> int:
        return len(self.values)

    def _names_of_waves(self) -> Names | None:
        names = names_of_parts(None, self.values)
        orders = range(1, self.harmonics + 1)
        waves = [f"{wave} {order} of" for wave in ("sin", "cos") for order in orders]
        return names and [[], [f"{wave} {name}" for name in names[1] for wave in waves]]


@dataclass(frozen=True)
class Mixed(Auxiliary):
    """A label and continuous values together, e.g. a subject and a time."""

    labels: Any
    continuous: Any

    def columns(self, x: NDArray[np.float64]) -> Columns:
        labels = as_labels(as_array(self.labels))
        continuous = as_continuous(as_array(self.continuous))
        if len(labels) != len(continuous):
            raise ValueError(
                f"Expected u = Mixed with as many labels as continuous rows; got {len(labels)} "
                f"and {len(continuous)}."
            )
        return Columns(labels, continuous, names_of_parts(self.labels, self.continuous))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class TimeSegments(Auxiliary):
    """Rows are in order of time; u is which of `n` equal stretches a row lies in.

    The stretches are those of the recording that `fit` was given, and of no other: a part of it, or
    rows recorded later, lie in none of them, or in others than their own numbers would say. So
    after fit `TimeSegments` goes with the same rows alone; for some of them pass their labels,
    `(np.arange(N) * n // N)[rows]`.

    Nonstationarity as the auxiliary variable (Hyvärinen & Morioka 2016, time-contrastive
    learning).
    """

    in_order: ClassVar[bool] = True
    n: int

    def columns(self, x: NDArray[np.float64]) -> Columns:
        if not 2 <= self.n <= len(x):
            raise ValueError(
                f"Expected u = TimeSegments(n) with 2 ≤ n ≤ {len(x)} rows of x; got n = {self.n}."
            )
        ends = [np.asarray(row, dtype=float).tolist() for row in (x[0], x[-1])]
        segments = np.arange(len(x)) * self.n // len(x)
        return Columns(segments, None, recording=[self.n, len(x), *ends])


@dataclass(frozen=True)
class History(Auxiliary):
    """Rows are in order of time; u is the last `lags` rows of x before each row.

    The first `lags` rows of a series have no such past in x. `fit` leaves them out, and says so if
    they are more than a tenth; where they are asked for later, they are taken to have an average
    past, with a warning. `series`, (N,), separates several series, so that no history reaches
    across: the rows of each are together, one after another in time.
    """

    in_order: ClassVar[bool] = True
    lags: int = 1
    series: Any = None

    def columns(self, x: NDArray[np.float64]) -> Columns:
        if not 1 <= self.lags < len(x):
            raise ValueError(
                f"Expected u = History(lags) with 1 ≤ lags < {len(x)} rows of x; got {self.lags}."
            )
        series = np.zeros(len(x), int) if self.series is None else as_labels(as_array(self.series))
        check_same_rows(len(x), len(series))
        starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
        _check_together(series, starts)
        first = starts[np.searchsorted(starts, np.arange(len(x)), side="right") - 1]
        past = [x[np.maximum(np.arange(len(x)) - lag, first)] for lag in range(1, self.lags + 1)]
        incomplete = np.arange(len(x)) - first < self.lags
        return Columns(None, np.concatenate(past, axis=1), incomplete=incomplete)


def _check_together(series: NDArray[Any], starts: NDArray[np.int64]) -> None:
    """Raise unless each series is one stretch of rows."""
    _, firsts = np.unique(series[starts], return_index=True)
    again = np.delete(starts, firsts)
    if len(again):
        raise ValueError(
            f"Expected u = History(lags, series) with the rows of each series together; got series "
            f"{series[again[0]].item()!r} in row {again[0]} again, after another. Sort the rows by "
            "series and time, or give each stretch a name of its own."
        )
