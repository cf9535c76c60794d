"""The encoding of u's columns as numbers, learned from the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from identiflow.shared.auxiliary.reading import Columns, as_labels
from identiflow.shared.inputs.rows import mean_and_std
from identiflow.shared.inputs.validation import check_spread


@dataclass(frozen=True)
class AuxiliaryEncoder:
    """Encodes u as fitted on the training rows: label codes, standardised continuous values.

    The encoding is (B,) integers for labels, (B, q) floats for continuous u, and (B, 1 + q)
    floats with the code first for both.
    """

    labels: list[Any] | None
    mean: list[float] | None = field(default=None)
    scale: list[float] | None = field(default=None)
    # The share of the rows that had each label, if u is labels alone.
    shares: list[float] | None = field(default=None)
    # The names of u's columns, if it was a data frame: those of labels, those of continuous values.
    names: list[list[str]] | None = field(default=None)

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
        if columns.continuous is None:
            _check_several(labels or [])
            return cls(labels, shares=shares, names=columns.names)
        ranges = np.ptp(columns.continuous, axis=0)
        check_spread(ranges, "u")
        rows = torch.arange(len(columns.continuous)) if train is None else train
        mean, spread = mean_and_std(columns.continuous, rows)
        if not ranges.any():
            _check_several(labels or mean[None].tolist())
        scale = np.where(spread > 0, spread, 1.0)
        return cls(labels, mean.tolist(), scale.tolist(), names=columns.names)

    @property
    def n_labels(self) -> int | None:
        """The number of labels, or None if u has none."""
        return None if self.labels is None else len(self.labels)

    @property
    def aux_dim(self) -> int | None:
        """q, the number of continuous values in a row of u, or None if it has none."""
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
        return int(self.encode(Columns(as_labels(np.asarray([label])), None)))

    def label_of(self, codes: Tensor) -> tuple[NDArray[np.int64] | None, list[Any] | None]:
        """The code of the label of each row of an encoding, (N,), and the labels, if u has some."""
        if self.labels is None:
            return None, None
        of_label = codes if codes.ndim == 1 else codes[:, 0]
        return of_label.long().numpy(force=True), self.labels

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
        if len(_flat(self.names)) > 1 and columns.names not in (None, self.names):
            raise ValueError(
                f"Expected u with the columns {_flat(self.names)}, as in fit; got "
                f"{_flat(columns.names)}. Pass them by these names and in this order."
            )


def _check_several(values: list[Any]) -> None:
    if len(values) < 2:
        raise ValueError(
            f"Expected u with at least 2 different values; got only {_shorten(values)}. Without "
            "variation in u nothing identifies z; for an unconditional baseline pass "
            "prior='unconditional'."
        )


def _flat(names: list[list[str]] | None) -> list[str]:
    return [name for part in names or [] for name in part]


def _describe(has_labels: bool, aux_dim: int | None) -> str:
    parts = ["of labels"] if has_labels else []
    if aux_dim is not None:
        parts.append(f"with {aux_dim} continuous column(s)")
    return " ".join(parts)


def _shorten(values: Sequence[Any]) -> str:
    rest = f", … ({len(values)} in all)" if len(values) > 5 else ""
    return ", ".join(map(repr, values[:5])) + rest
