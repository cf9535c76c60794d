"""Reads u in any form users have it, as labels and continuous values."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from identiflow.shared.auxiliary.continuous import NUMBERS, as_continuous, holds_moments, kinds_of
from identiflow.shared.auxiliary.labels import (
    are_floats,
    as_labels,
    check_none_missing,
    joint_labels,
)
from identiflow.shared.auxiliary.precision import is_below_double
from identiflow.shared.inputs.containers import Table, cells_of, column_names, table_of
from identiflow.shared.inputs.remarks import remark
from identiflow.shared.inputs.validation import (
    MIN_ROWS,
    check_same_rows,
    is_plain,
    to_numpy,
)

Names: TypeAlias = list[list[str]]  # of the columns of u: those of labels, then all others
FEW_VALUES = 20  # of floats that are whole numbers, and may be labels


class Columns(NamedTuple):
    """The parts of u: labels (N,) or None, and continuous values (N, q) or None.

    Attributes:
        names: of those columns in a data frame, labels first.
        incomplete: (N,) booleans, true for rows whose past is not in x.
        recording: what tells the rows of x apart, if u was made of their positions.
        limits: between which all values that there can be lie.
        made_by: what they were made by, and with which settings, if not by the user.
        kinds: what the continuous values were, or what these were made of, column by column:
            numbers, durations, dates or times in a zone or without one.
    """

    labels: NDArray[Any] | None
    continuous: NDArray[np.float64] | None
    names: Names | None = None
    incomplete: NDArray[np.bool_] | None = None
    recording: list[Any] | None = None
    limits: tuple[float, float] | None = None
    made_by: list[Any] | None = None
    kinds: tuple[str, ...] = ()

    @property
    def moments(self) -> bool:
        """Whether some of the continuous values were dates, times or durations."""
        return any(kind != NUMBERS for kind in self.kinds)

    def known_rows(self, n_rows: int) -> Tensor:
        """The numbers of the rows whose u is known; a warning if many are not.

        Raises:
            ValueError: if they are too few to be fitted.
        """
        if self.incomplete is None:
            return torch.arange(n_rows)
        known = torch.from_numpy(~self.incomplete).nonzero()[:, 0]
        if len(known) < MIN_ROWS:
            raise ValueError(
                f"Expected u = History(lags) with a past in at least {MIN_ROWS} rows of x; got "
                f"{len(known)}. Take fewer lags, or longer series."
            )
        if len(known) < 0.9 * n_rows:
            remark(f"u leaves {n_rows - len(known)} of {n_rows} rows out, whose past is not in x.")
        return known


class Known(NamedTuple):
    """What u was in fit, to be read so again: labels, number of continuous columns, names."""

    labels: list[Any] | None
    n_continuous: int | None
    names: Names | None

    def is_continuous(self, column: NDArray[Any], name: str | None) -> bool | None:
        """Whether a column is one of continuous values; None if fit does not say."""
        if name is not None and self.names is not None and name in sum(self.names, []):
            return name in self.names[1]
        if self.labels is None:
            return column.dtype.kind in "biufOmM"
        return False if self.n_continuous is None and self._has(column) else None

    def _has(self, column: NDArray[Any]) -> bool:
        """True for numbers that could be labels of fit: floats if those are, else whole ones."""
        kind = np.asarray(self.labels).dtype.kind
        is_joint = column.ndim == 2 and column.shape[1] > 1  # whose labels are words
        if is_joint or kind != "i" or not are_floats(column):
            return kind == ("U" if is_joint else "f")
        values = column.astype(float)
        return bool((values == np.round(values)).all())


class Auxiliary(ABC):
    """Says how u is to be read. Pass an instance in the place of u."""

    in_order: ClassVar[bool] = False  # whether it takes the rows of x to be in order of time

    @abstractmethod
    def columns(self, x: NDArray[np.float64]) -> Columns:
        """The labels and continuous values of the rows of x."""

    def __len__(self) -> int:
        """The number of rows, for those that hold values of their own."""
        raise self._made_of_x()

    def __getitem__(self, rows: Any) -> Auxiliary:
        """The u of some rows, as scikit-learn asks for those of a fold."""
        raise self._made_of_x()

    def _made_of_x(self) -> ValueError:
        return ValueError(
            f"Expected u with rows of its own, where x is split into folds or not passed; got u = "
            f"{type(self).__name__}, made from the rows of x, all of them in order. Pass what it "
            "makes of an array of all: columns(x).labels of segments, or .continuous of a past, "
            "without the rows that are .incomplete."
        )


def read_auxiliary(u: Any, x: NDArray[np.float64], known: Known | None = None) -> Columns:
    """u, in any form users have it, as labels and continuous values; one row for each row of x.

    Integers, words, dates and what a type declares to be categories are labels, floats are
    continuous. What u was in fit it is afterwards too, if a number could be both.

    Args:
        u: in any form.
        x: its rows.
        known: what u was in fit.

    Raises:
        TypeError: for what has no rows to read.
        ValueError: for missing values, labels beyond 64 bits, or another number of rows than x.
    """
    if u is None:
        raise ValueError(
            "Expected u, the auxiliary variable seen with every row of x; got None. Pass labels, "
            "continuous values, or TimeSegments(n) / History(lags) for a series."
        )
    columns = u.columns(x) if isinstance(u, Auxiliary) else read_values(u, known)
    check_same_rows(len(x), len(next(c for c in columns[:2] if c is not None)))
    return columns


def read_values(u: Any, known: Known | None = None) -> Columns:
    """A u that is not an `Auxiliary`, by the types of its columns, or as in fit."""
    table = None if is_plain(u) or _is_categorical(u) else table_of(u)
    if table is not None:
        return _read_table(table, known)
    values = as_array(u)
    if values.dtype.kind == "O" and values.ndim == 2 and values.shape[1] > 1:
        columns = tuple(values.T)
        names = tuple(range(len(columns)))
        table = Table(columns, names, declared=(False,) * len(columns))
        return _read_table(table, known)._replace(names=None)
    if _is_categorical(u) or not _as_in_fit(values, None, known, are_floats(values)):
        return Columns(as_labels(values), None)
    continuous = as_continuous(values)
    if known is None:
        remark_whole(continuous)
    return Columns(None, continuous, kinds=kinds_of(values))


def remark_whole(continuous: NDArray[np.float64], names: Sequence[str] = ()) -> None:
    """Warn of floats (N, q) taken for continuous that may be labels: few whole numbers."""
    for number, values in enumerate(continuous.T):
        different = np.unique(values)
        few = 1 < len(different) <= min(FEW_VALUES, len(values) // 10)
        if not few or (different % 1).any():
            continue
        column = f", column {names[number]!r}," if len(names) else ""
        remark(
            f"u{column} has {len(different)} different values, floats that are whole numbers: "
            "taken for continuous. If they are labels, pass Labels(u) or integers (on the command "
            "line --labels); if not, Continuous(u) (--continuous)."
        )


def _as_in_fit(column: NDArray[Any], name: str | None, known: Known | None, by_type: bool) -> bool:
    """Whether a column is one of continuous values: as in fit, or else by its type."""
    in_fit = known.is_continuous(column, name) if known is not None else None
    return by_type if in_fit is None else in_fit


def _read_table(table: Table, known: Known | None) -> Columns:
    if not len(table) or not table.columns:
        shape = (len(table), len(table.columns)) if table.frame is None else table.frame.shape
        raise ValueError(f"Expected u with rows and columns; got a frame of shape {shape}.")
    chosen = np.array([_is_continuous(table, number, known) for number in range(len(table.names))])
    labels = _labels_of(table, np.flatnonzero(~chosen)) if not chosen.all() else None
    names = [[str(table.names[i]) for i in np.flatnonzero(part)] for part in (~chosen, chosen)]
    if not chosen.any():
        return Columns(labels, None, names)
    values = as_continuous(_floats(table, chosen), tuple(names[1]))
    if known is None:
        remark_whole(values, names[1])
    kinds = [kind for i in np.flatnonzero(chosen) for kind in kinds_of(table.columns[i])]
    return Columns(labels, values, names, kinds=tuple(kinds))


def _is_continuous(table: Table, number: int, known: Known | None) -> bool:
    if table.declared[number]:
        return False
    column = table.columns[number]
    by_type = table.is_float(number) or are_floats(column)
    return _as_in_fit(column, str(table.names[number]), known, by_type)


def _floats(table: Table, chosen: NDArray[np.bool_]) -> NDArray[Any]:
    columns = [table.columns[number] for number in np.flatnonzero(chosen)]
    if any(map(holds_moments, columns)):
        return np.column_stack([as_continuous(column) for column in columns])
    try:
        return table.floats(chosen)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected continuous u to be numeric; got {error}.") from None


def _labels_of(table: Table, numbers: NDArray[Any]) -> NDArray[Any]:
    columns = [table.columns[number] for number in numbers]
    names = [table.names[number] for number in numbers]
    if len(columns) > 1:
        return joint_labels(columns, names)
    check_none_missing(columns, names)
    return as_labels(columns[0])


def names_of_parts(labels: Any, continuous: Any) -> Names | None:
    """The names of the columns of labels and of continuous values, if they have some."""
    names = [list(map(str, column_names(part) or ())) for part in (labels, continuous)]
    return names if any(names) else None


def _is_categorical(u: Any) -> bool:
    """True for pandas' Categorical, an array whose type says what it is."""
    return hasattr(u, "categories") and hasattr(u, "codes")


def as_array(values: Any) -> NDArray[Any]:
    """A list, tensor, array or frame as an array (N,) or (N, q), no label changed on the way."""
    if hasattr(values, "iloc") and hasattr(values, "columns") and values.dtypes.nunique() > 1:
        values = cells_of(values)  # a type in common could round some of them
    array = to_numpy(values, "u")
    if array.dtype.kind == "T":  # numpy's strings of any length
        array = array.astype(object)
    if array.dtype.kind in "fU" and isinstance(values, list | tuple):
        # Of a list numpy makes ["a", nan] strings, [2**63, -1] floats, and of a 0.1 of single
        # precision beside others what no label is.
        plain = np.asarray(values, dtype=object)
        rounded = array.dtype == np.float64 and any(map(is_below_double, plain.flat))
        if array.dtype.kind == "U" or rounded or all(isinstance(v, int) for v in plain.flat):
            array = plain
    if array.ndim not in (1, 2) or array.size == 0:
        got = f"shape {array.shape}" if array.ndim else reprlib.repr(values)
        raise ValueError(
            f"Expected u of shape (N,) or (N, q), a row for each of x; got {got}.{_advice(array)}"
        )
    return array


def _advice(array: NDArray[Any]) -> str:
    if array.ndim == 3:
        return f" Of trials pass one row for each row of x: u.reshape(-1, {array.shape[-1]})."
    if array.ndim and array.size == 0:
        return " It is empty: pass at least one row and one column, or leave the call out."
    is_name = array.dtype.kind == "U" and array.ndim == 0
    return " Of a table pass the column itself, table['name']." if is_name else ""
