"""The encoding of u's columns as numbers, learned from the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from identiflow.shared.auxiliary.continuous import limits_of, ranges_within, remark_other_kinds
from identiflow.shared.auxiliary.labels import (
    REFIT,
    advice_on,
    as_labels,
    codes_of,
    joint_labels,
    remark_doubtful,
)
from identiflow.shared.auxiliary.precision import near_in_single
from identiflow.shared.auxiliary.reading import Columns, Known, Names, read_auxiliary
from identiflow.shared.inputs.remarks import remark, row_number
from identiflow.shared.inputs.rows import mean_and_std
from identiflow.shared.inputs.validation import check_spread

TOLERATED = 0.01  # of the range of fit: what rounding and another sample add to it
SAME = 1e-5  # of the one value that fit saw: what rounding adds to that


@dataclass(frozen=True)
class AuxiliaryEncoder:
    """Encodes u as fitted on the training rows: label codes, standardised continuous values.

    The encoding is (B,) integers for labels, (B, q) floats for continuous u, and (B, 1 + q)
    floats with the code first for both. Continuous values beyond the range that fit saw are taken
    to be at the edge of it: λ(u) is constant from there on, and not what a network makes of
    values that it was never shown.
    """

    labels: list[Any] | None
    mean: list[float] | None = field(default=None)
    scale: list[float] | None = field(default=None)
    # The share of the rows that had each label, if u is labels alone.
    shares: list[float] | None = field(default=None)
    # The names of u's columns, if it was a data frame: those of labels, those of continuous values.
    names: Names | None = field(default=None)
    # The smallest and the largest of the continuous values, of all rows that fit was given.
    low: list[float] | None = field(default=None)
    high: list[float] | None = field(default=None)
    # What tells the rows of fit from others, if u was made of their positions.
    recording: list[Any] | None = field(default=None)
    # What made continuous values of others, and its settings.
    made_by: list[Any] | None = field(default=None)
    # Whether there were dates, times or durations among the continuous values.
    moments: bool = field(default=False)
    # What each of them was, as `Columns` has it; None in files from before.
    kinds: list[str] | None = field(default=None)

    @classmethod
    def fit(cls, columns: Columns, train: Tensor | None = None) -> AuxiliaryEncoder:
        """Learn the labels, and the mean and scale of the continuous values in the rows `train`.

        Raises:
            ValueError: if u has one value only.
        """
        labels, shares = None, None
        if columns.labels is not None:
            values, counts = np.unique(columns.labels, return_counts=True)
            labels, shares = values.tolist(), (counts / counts.sum()).tolist()
            remark_doubtful(labels, counts)
        if columns.continuous is None:
            _check_several(labels or [])
            return cls(labels, shares=shares, names=columns.names, recording=columns.recording)
        ranges = ranges_within(columns.continuous, columns.limits)
        check_spread(ranges, "u")
        rows = torch.arange(len(columns.continuous)) if train is None else train
        mean, spread = mean_and_std(columns.continuous, rows)
        scale = np.where((spread > 0) & (ranges > 0), spread, 1.0)
        low, high = limits_of(columns.continuous, ranges, columns.limits)
        if not ranges.any():
            _check_several(labels or [low])
        return cls(
            labels,
            mean.tolist(),
            scale.tolist(),
            names=columns.names,
            low=low,
            high=high,
            recording=columns.recording,
            made_by=columns.made_by,
            moments=columns.moments,
            kinds=list(columns.kinds),
        )

    @property
    def n_labels(self) -> int | None:
        """The number of labels, or None if u has none."""
        return None if self.labels is None else len(self.labels)

    @property
    def aux_dim(self) -> int | None:
        """q, the number of continuous values in a row of u, or None if it has none."""
        return None if self.mean is None else len(self.mean)

    def read(self, u: Any, x: NDArray[np.float64]) -> Columns:
        """u in any form, read as the u of fit was; what users should know of it is a warning."""
        columns = read_auxiliary(u, x, Known(self.labels, self.aux_dim, self.names))
        self._check_kind(columns)
        if columns.incomplete is not None and columns.incomplete.any():
            remark(_without_past(columns.incomplete))
        if columns.continuous is not None:
            remark_other_kinds(self.kinds, self.moments, columns.kinds)
            self._remark_beyond(columns.continuous)
        return columns

    def encode(self, columns: Columns) -> Tensor:
        """The rows of u as the prior takes them.

        Raises:
            ValueError: for labels not seen in fit, or another kind or width of u.
        """
        self._check_kind(columns)
        self._check_recording(columns.recording)
        self._check_made_by(columns.made_by)
        codes = None if columns.labels is None else self._codes(columns.labels)
        if columns.continuous is None:
            return torch.from_numpy(codes)
        values = columns.continuous
        if self.low is not None:
            values = values.clip(self.low, self.high)
        values = (values - np.asarray(self.mean)) / np.asarray(self.scale)
        if columns.incomplete is not None:
            values[columns.incomplete] = 0.0  # the mean of the past
        if codes is not None:
            values = np.concatenate([codes[:, None], values], axis=1)
        return torch.from_numpy(values)

    def differentiable(self, u: Tensor) -> Tensor:
        """Continuous values, which `encode` takes, as it encodes them, with their gradient."""
        values, of = u.double().reshape(len(u), -1), u.double().new_tensor
        low, high, mean, scale = (of(row) for row in (self.low, self.high, self.mean, self.scale))
        return (values.clamp(low, high) - mean) / scale

    def code_of(self, label: Any) -> int:
        """The code of one label; a tuple is a combination of several columns.

        Raises:
            ValueError: if fit has not seen it, or u is not labels alone.
        """
        if isinstance(label, tuple):
            parts = [np.asarray([part], dtype=object) for part in label]
            return int(self.encode(Columns(joint_labels(parts), None)))
        return int(self.encode(Columns(as_labels(np.asarray([label])), None)))

    def label_of(self, codes: Tensor) -> tuple[NDArray[np.int64] | None, list[Any] | None]:
        """The code of the label of each row of an encoding, (N,), and the labels, if u has some."""
        if self.labels is None:
            return None, None
        of_label = codes if codes.ndim == 1 else codes[:, 0]
        return of_label.long().numpy(force=True), self.labels

    def unseen(self, labels: NDArray[Any]) -> NDArray[np.bool_]:
        """Where these labels (N,), as `Columns` has them, are none that fit has seen."""
        return codes_of(labels, self.labels or [])[1]

    def _codes(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        codes, unseen = codes_of(labels, self.labels or [])
        if unseen.any():
            known, first = self.labels or [], int(unseen.argmax())
            raise ValueError(
                f"Expected labels of u that were seen in fit ({_shorten(known)}); got "
                f"{_shorten(np.unique(labels[unseen]).tolist())}, first in row "
                f"{row_number(first)}. {_advice_on(labels[first].item(), known)}"
            )
        return codes.astype(np.int64)

    def _check_kind(self, columns: Columns) -> None:
        width = None if columns.continuous is None else columns.continuous.shape[1]
        if (columns.labels is None) != (self.labels is None) or width != self.aux_dim:
            raise ValueError(
                f"Expected u {_describe(self.labels is not None, self.aux_dim)}, as in fit; got u "
                f"{_describe(columns.labels is not None, width)}."
            )
        if self._are_others(columns.names):
            raise ValueError(
                f"Expected u with the columns {_flat(self.names)}, as in fit; got "
                f"{_flat(columns.names)}. Pass them by these names and in this order."
            )

    def _are_others(self, names: Names | None) -> bool:
        """True for other names than in fit, or another order; a single column may have any."""
        if names is None or len(_flat(self.names)) < 2:
            return False
        return any(a and b and a != b for a, b in zip(names, self.names or [], strict=True))

    def _check_recording(self, recording: list[Any] | None) -> None:
        """Raise if segments of other rows than those of fit are asked for."""
        if recording is None or _is_same(recording, self.recording):
            return
        segments = "{} segments of {} rows".format
        seen = segments(*self.recording[:2]) if self.recording else "labels that were given"
        raise ValueError(
            f"Expected u = TimeSegments(n) of the very rows of fit, which had {seen}; got "
            f"{segments(*recording[:2])}, or of others. Segments are numbered within one recording:"
            " for rows a to b of the N rows of fit pass (np.arange(N) * n // N)[a:b]."
        )

    def _check_made_by(self, made_by: list[Any] | None) -> None:
        """Raise for waves of another period than in fit; warn if series were told apart there."""
        if self.made_by is None or made_by is None or list(made_by) == list(self.made_by):
            return
        if made_by[0] == self.made_by[0] == "History":
            if not made_by[1]:
                remark(
                    "u = History had series= in fit and has none here: the rows are taken for one "
                    "series. Pass series= if they are of several."
                )
            return
        raise ValueError(
            f"Expected u = {call_of(self.made_by)}, as in fit; got {call_of(made_by)}. Pass the "
            "same."
        )

    def _remark_beyond(self, values: NDArray[np.float64]) -> None:
        """Warn of values beyond the range that fit saw, by more than a hundredth of it."""
        if self.low is None:
            return
        low, high = np.asarray(self.low), np.asarray(self.high)
        tolerated = np.where(high > low, TOLERATED * (high - low), SAME * np.abs(high))
        beyond = np.maximum(low - values, values - high) > tolerated
        if not beyond.any():
            return
        column = int(beyond.any(0).argmax())
        least, most = values[:, column].min(), values[:, column].max()
        name = repr(self.names[1][column]) if self.names and self.names[1] else str(column)
        remark(
            f"u goes beyond what fit saw in {int(beyond.any(1).sum())} of {len(values)} rows: in "
            f"column {name} that was {low[column]:g} to {high[column]:g}, here it is {least:g} to "
            f"{most:g}. λ(u) is held at the edge of that range; if it may change there, fit with "
            "such rows."
        )


def _advice_on(label: Any, known: Sequence[Any]) -> str:
    """What to do about a label that fit has not seen."""
    advice, near = advice_on(label, known), near_in_single(label, known)
    if near and advice == REFIT:
        return f"In single precision it is {near[0]}. If it is that, pass it as in fit. {advice}"
    return advice


def _is_same(recording: list[Any], other: list[Any] | None) -> bool:
    """True for as many rows in as many segments, of which the first and the last are the same."""
    if other is None or recording[:2] != other[:2]:
        return False
    return np.shape(recording[2:]) == np.shape(other[2:]) and bool(
        np.allclose(recording[2:], other[2:], rtol=1e-4)
    )


def _without_past(incomplete: NDArray[np.bool_]) -> str:
    return (
        f"u = History has no whole past in x for {int(incomplete.sum())} of {len(incomplete)} rows,"
        f" the first of them row {int(incomplete.argmax())}: theirs is taken to be the mean past "
        "of fit. Leave the first rows of each series out of a score."
    )


def _check_several(values: list[Any]) -> None:
    if len(values) < 2:
        raise ValueError(
            f"Expected u with at least 2 different values; got only {_shorten(values)}. Without "
            "variation in u nothing identifies z: subtract an origin if its last digits count; for "
            "an unconditional baseline pass prior='unconditional'."
        )


def call_of(made_by: list[Any]) -> str:
    """What made continuous values of others, as it is called."""
    name, *settings = made_by
    return f"{name}({', '.join(map(str, ['…', *settings]))})"


def _flat(names: Names | None) -> list[str]:
    return [name for part in names or [] for name in part]


def _describe(has_labels: bool, aux_dim: int | None) -> str:
    parts = ["of labels"] if has_labels else []
    if aux_dim is not None:
        parts.append(f"with {aux_dim} continuous column(s)")
    return " ".join(parts)


def _shorten(values: Sequence[Any]) -> str:
    rest = f", … ({len(values)} in all)" if len(values) > 5 else ""
    return ", ".join(map(repr, values[:5])) + rest
