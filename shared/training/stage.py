"""A training that is ready to run: a model, its rows, and how to train it."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

from torch import Tensor

from identiflow.shared.inputs.options import (
    COMPILE,
    FLAG,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    check_fields,
    count,
    option,
    optional,
    with_options,
)
from identiflow.shared.inputs.rows import Rows
from identiflow.shared.training.run import Model
from identiflow.shared.training.schedule import OneCycle

MAX_HELD_OUT = 100_000  # more would not choose weights better, and are scored sixty times


@with_options
class Recipe:
    """How a model is trained: the options that every training and every estimator has."""

    max_steps: int = option(5000, count(), "gradient steps at most.")
    batch_size: int = option(256, count(), "rows in a step; all of them if there are fewer.")
    learning_rate: float = option(1e-2, POSITIVE, "peak of the one-cycle schedule.")
    weight_decay: float = option(
        0.0,
        NOT_NEGATIVE,
        "of the hidden layers (see `shared.training.optimizer.Optimizer`).",
    )
    patience: int = option(
        20, count(), "held-out evaluations (60 in all) without improvement after which to stop."
    )
    compile: bool | str = option(
        "auto",
        COMPILE,
        "whether steps are compiled: True, False, or 'auto', where a fit is long enough to pay for "
        "it, which takes up to a minute the first time. It changes no result beyond rounding.",
    )
    progress: bool | None = option(
        None, optional(FLAG), "show a bar; by default only on a terminal."
    )
    seed: int = option(
        0,
        SEED,
        "the same seed, rows and options give the same fit, bit for bit, on the same machine, "
        "versions and number of threads (docs/reliability.md).",
    )

    def check(self) -> None:
        """Raise for an option that is of no use."""
        check_fields(self)
        if not self.weight_decay * self.learning_rate < 1:
            raise ValueError(
                f"Expected weight_decay below 1 / learning_rate = {1 / self.learning_rate:g}; got "
                f"{self.weight_decay}."
            )

    @property
    def recipe(self) -> dict[str, Any]:
        """The options of a training alone, by name."""
        return {option.name: getattr(self, option.name) for option in fields(Recipe)}


@with_options
class Stage(Recipe):
    """What `fit` is asked for. A fit of an estimator is one stage after another."""

    model: Model = option(about="`loss(x, u, generator) -> (B,)` in nats, and `loss_name`.")
    x: Rows = option(about="training rows (N, d), in memory or on disk.")
    u: Tensor = option(about="their encoded auxiliary variable, (N,) or (N, q).")
    x_held_out: Tensor = option(about="rows for choosing weights and stopping.")
    u_held_out: Tensor = option(about="theirs.")
    max_steps: int = 6000
    learning_rate: float = 3e-3
    warmup: float = option(0.1, None, "share of the steps over which the learning rate rises.")
    clip: float = option(5.0, None, "largest norm of the gradient.")
    n_evaluations: int = option(60, count(), "how often the held-out loss is computed.")
    checkpoint: str | os.PathLike[str] | None = option(
        None, None, "file written at every evaluation. If it exists, the fit goes on from there."
    )

    def __post_init__(self) -> None:
        self.check()

    @property
    def schedule(self) -> OneCycle:
        """The learning rate of each step."""
        return OneCycle(self.max_steps, self.learning_rate, self.warmup)

    @property
    def steps_between_evaluations(self) -> int:
        """How many steps go by from one evaluation to the next."""
        return -(-self.max_steps // self.n_evaluations)

    @property
    def settings(self) -> tuple[object, ...]:
        """What a checkpoint must agree on, model and rows apart."""
        every = (self.batch_size, self.clip, self.n_evaluations, self.patience, self.seed)
        return (self.schedule, self.weight_decay, *every)
