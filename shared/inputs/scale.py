"""Standardisation: the one place that knows how x as it is given and x as models see it differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from identiflow.shared.inputs.rows import Rows, StoredRows, mean_and_std

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
        return StoredRows(x, scale.mean, scale.std)
    return torch.from_numpy(scale.apply(x))
