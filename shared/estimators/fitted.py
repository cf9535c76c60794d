"""A fit leaves one thing: it is saved, exported, compared and handed over whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.inputs.rows import Scale
from identiflow.shared.training import History


class NotFittedError(ValueError, AttributeError):
    """The estimator was asked for something it only has after fit."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fit that is done. Nothing in it changes; an estimator that is fitted again takes another.

    Attributes:
        parameters: the estimator's options as they were in fit.
        model: float64, on the CPU, in evaluation, of standardised x.
        scale: how x is standardised.
        auxiliary: how u is encoded.
        history: the course of the training.
        names: of the columns of x, if it was a data frame.
        measured: plain values found in fit, by the name of the attribute that gives them.
        borrowed: how the estimator came by the weights of another one; "" if they are its own.
    """

    parameters: dict[str, Any]
    model: Any
    scale: Scale[NDArray[np.float64]]
    auxiliary: AuxiliaryEncoder
    history: History
    names: tuple[str, ...] | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)
    borrowed: str = ""

    @property
    def n_features(self) -> int:
        """d."""
        return len(self.scale.mean)
