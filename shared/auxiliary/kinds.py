"""The kinds of u: objects that stand in the place of u and know its columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from identiflow.shared.auxiliary.continuous import (
    as_continuous,
    holds_moments,
    kinds_of,
    moments_of,
)
from identiflow.shared.auxiliary.labels import as_labels
from identiflow.shared.auxiliary.reading import (
    Auxiliary,
    Columns,
    Names,
    as_array,
    names_of_parts,
)
from identiflow.shared.inputs.chosen import positions_of
from identiflow.shared.inputs.moments import as_numbers, as_numpy, phases_of
from identiflow.shared.inputs.options import POSITIVE, number
from identiflow.shared.inputs.validation import as_matrix, check_same_rows

WHOLE = number("to be a whole number", lambda v: v % 1 == 0)
AT_LEAST_ONE = number("to be a whole number of at least 1", lambda v: v >= 1 and v % 1 == 0)


@dataclass(frozen=True)
class OfRows(Auxiliary):
    """Holds what has a row for each of x, in the fields `in_rows`; others may split it."""

    in_rows: ClassVar[tuple[str, ...]]

    def __len__(self) -> int:
        return len(getattr(self, self.in_rows[0]))

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self),)

    def __getitem__(self, rows: Any) -> Self:
        chosen = positions_of(rows, len(self), self)
        return replace(self, **{name: _taken(getattr(self, name), chosen) for name in self.in_rows})


@dataclass(frozen=True)
class OfValues(OfRows):
    """Made of values that others may read as an array."""

    in_rows: ClassVar[tuple[str, ...]] = ("values",)
    values: Any

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(as_array(self.values), dtype=dtype)


@dataclass(frozen=True)
class Labels(OfValues):
    """`values` are categories, whatever their type: (N,), or (N, q) for combinations."""

    def columns(self, x: NDArray[np.float64]) -> Columns:
        names = names_of_parts(self.values, None)
        return Columns(as_labels(as_array(self.values)), None, names)


@dataclass(frozen=True)
class Continuous(OfValues):
    """`values` are continuous, even if they are integers: (N,) or (N, q).

    Dates and times are read as well, as nanoseconds since 1970 in UTC: those without a zone are
    taken to be of that.
    """

    def columns(self, x: NDArray[np.float64]) -> Columns:
        names = names_of_parts(None, self.values)
        values = as_array(self.values)
        return Columns(None, as_continuous(values), names, kinds=kinds_of(values))


@dataclass(frozen=True)
class Fourier(OfValues):
    """`values` (N,) or (N, q) as sines and cosines of 1 to `harmonics` waves a period.

    The period is a number, or a duration (`pd.Timedelta("24h")`) for dates and times.
    The prior may then change fast along u, and is the same again a period later: hours of a day,
    an angle. For values that do not repeat, take a period of twice their range. Values that fit did
    not see lie between those that it saw, on the circle, and are not remarked on; but a wave that
    was the same in all rows of fit, as that of 12 hours in rows of each noon, stays so.
    Phases of dates and times are those of UTC, whatever their zone: for the hours of a place pass
    its times without a zone, `t.dt.tz_localize(None)` of t in that zone.

    Reference: Tancik et al. 2020, "Fourier features let networks learn high frequency functions in
        low dimensional domains".
    """

    period: Any
    harmonics: int = 4

    def columns(self, x: NDArray[np.float64]) -> Columns:
        AT_LEAST_ONE.check("harmonics of u = Fourier(values, period, harmonics)", self.harmonics)
        values = as_array(self.values)
        phases, period = self._phases(values)
        waves = 2 * np.pi * phases[..., None] * np.arange(1, int(self.harmonics) + 1)
        both = np.concatenate([np.sin(waves), np.cos(waves)], -1).reshape(len(phases), -1)
        made_by = ["Fourier", period, int(self.harmonics)]
        names = self._names_of_waves()
        # A period later it is the same number, and not what rounding made of it.
        limits, kinds = (-1.0, 1.0), kinds_of(values)
        return Columns(None, both.round(9), names, limits=limits, made_by=made_by, kinds=kinds)

    def _phases(self, values: NDArray[Any]) -> tuple[NDArray[np.float64], float]:
        """The part of a period that each value is into one, (N, q), and the period."""
        period = self.period
        is_duration = isinstance(period, timedelta | np.timedelta64)
        if holds_moments(values) != is_duration:
            raise ValueError(
                "Expected the period of u = Fourier(values, period) to be a duration, such as "
                f"pd.Timedelta('24h'), for dates and times, and a number for numbers; got {period}."
            )
        if is_duration:
            period = float(as_numbers(np.asarray(as_numpy(period))))
        POSITIVE.check("the period of u = Fourier(values, period)", period)
        numbers, period = as_continuous(values), float(period)
        if is_duration:
            phases = phases_of(moments_of(values), period).reshape(numbers.shape)
        else:
            phases = numbers % period / period
        return phases, period

    def _names_of_waves(self) -> Names | None:
        names = names_of_parts(None, self.values)
        orders = range(1, int(self.harmonics) + 1)
        waves = [f"{wave} {order} of" for wave in ("sin", "cos") for order in orders]
        return names and [[], [f"{wave} {name}" for name in names[1] for wave in waves]]


@dataclass(frozen=True)
class Mixed(OfRows):
    """Labels and continuous values together, e.g. a subject and a time.

    Each may be an `Auxiliary` of its kind: `Mixed(subject, Fourier(hour, 24))`.
    """

    in_rows: ClassVar[tuple[str, ...]] = ("labels", "continuous")
    labels: Any
    continuous: Any

    def columns(self, x: NDArray[np.float64]) -> Columns:
        labels = _part(self.labels, Labels, x)
        continuous = _part(self.continuous, Continuous, x)
        if labels.labels is None or continuous.continuous is None or continuous.labels is not None:
            raise ValueError(
                "Expected u = Mixed(labels, continuous) with labels first and continuous values "
                f"second; got {type(self.labels).__name__} and {type(self.continuous).__name__}."
            )
        if len(labels.labels) != len(continuous.continuous):
            raise ValueError(
                f"Expected u = Mixed with as many labels as continuous rows; got "
                f"{len(labels.labels)} and {len(continuous.continuous)}."
            )
        parts = ((labels.names or [[], []])[0], (continuous.names or [[], []])[1])
        names = list(parts) if any(parts) else None
        return continuous._replace(labels=labels.labels, names=names, recording=labels.recording)


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
        WHOLE.check("n of u = TimeSegments(n)", self.n)
        x = _rows_of(x)
        if not 2 <= self.n <= len(x):
            raise ValueError(
                f"Expected u = TimeSegments(n) with 2 ≤ n ≤ {len(x)} rows of x; got n = {self.n}."
            )
        ends = [np.asarray(row, dtype=float).tolist() for row in (x[0], x[-1])]
        segments = np.arange(len(x)) * self.n // len(x)
        return Columns(segments, None, recording=[int(self.n), len(x), *ends])


@dataclass(frozen=True)
class History(Auxiliary):
    """Rows are in order of time; u is the last `lags` rows of x before each row.

    The first `lags` rows of a series have no such past in x. `fit` leaves them out, and says so if
    they are more than a tenth; where they are asked for later, they are taken to have an average
    past, with a warning. `columns(x)` has the pasts of all rows as `continuous`, with that average
    where `incomplete` is true: leave those rows out where pasts are passed as u themselves.
    `series`, (N,), separates several series, so that no history reaches across: the rows of each
    are together, one after another in time. Where x has an index of moments it has to rise in
    each; of a gap in it fit warns.
    """

    in_order: ClassVar[bool] = True
    lags: int = 1
    series: Any = None

    def columns(self, x: NDArray[np.float64]) -> Columns:
        WHOLE.check("lags of u = History(lags)", self.lags)
        x = _rows_of(x)
        if not 1 <= self.lags < len(x):
            raise ValueError(
                f"Expected u = History(lags) with 1 ≤ lags < {len(x)} rows of x; got {self.lags}."
            )
        series = np.zeros(len(x), int) if self.series is None else as_labels(as_array(self.series))
        check_same_rows(len(x), len(series))
        starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]])
        _check_together(series, starts)
        first = starts[np.searchsorted(starts, np.arange(len(x)), side="right") - 1]
        lags = range(1, int(self.lags) + 1)
        past = [x[np.maximum(np.arange(len(x)) - lag, first)] for lag in lags]
        incomplete = np.arange(len(x)) - first < self.lags
        made_by = ["History", self.series is not None]
        values = np.concatenate(past, axis=1, dtype=np.float64)  # x on disk may have few digits
        if incomplete.any():  # those rows are not their own past
            known = np.ones_like(incomplete) if incomplete.all() else ~incomplete
            values[incomplete] = values[known].mean(0)
        return Columns(None, values, incomplete=incomplete, made_by=made_by)


def _taken(values: Any, rows: NDArray[np.int64]) -> Any:
    """The rows numbered, (k,), of what is given as labels or as continuous values."""
    if isinstance(values, Auxiliary):
        return values[rows]
    return values.iloc[rows] if hasattr(values, "iloc") else as_array(values)[rows]


def _rows_of(x: Any) -> NDArray[Any]:
    """x as an array, which it is but where users call `columns` themselves."""
    return x if isinstance(x, np.ndarray) else as_matrix(x)


def _part(values: Any, kind: type[Labels | Continuous], x: NDArray[np.float64]) -> Columns:
    return values.columns(x) if isinstance(values, Auxiliary) else kind(values).columns(x)


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
