"""A training that is ready to run: a model, its rows, and how to train it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from torch import Tensor

from identiflow.shared.inputs.options import (
    COMPILE,
    FLAG,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    Kind,
    check_options,
    count,
    optional,
)
from identiflow.shared.inputs.rows import Rows
from identiflow.shared.inputs.validation import check_decay
from identiflow.shared.training.run import Model
from identiflow.shared.training.schedule import OneCycle

# What the options of a training may be.
OPTIONS: dict[str, Kind] = {
    "max_steps": count(),
    "batch_size": count(),
    "learning_rate": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
    "patience": count(),
    "seed": SEED,
    "progress": optional(FLAG),
    "compile": COMPILE,
}
MAX_HELD_OUT = 100_000  # more would not choose weights better, and are scored sixty times


@dataclass(kw_only=True, eq=False)
class Stage:
    """What `fit` is asked for. A fit of an estimator is one stage after another.

    Args:
        model: `loss(x, u, generator) -> (B,)` in nats, and `loss_name`.
        x: training rows (N, d), in memory or on disk; u: their encoded auxiliary variable.
        x_held_out, u_held_out: rows for choosing weights and stopping.
        max_steps: gradient steps at most.
        batch_size: rows a step; all of them if there are fewer.
        learning_rate: at its peak.
        weight_decay: see `Optimizer`.
        warmup: share of the steps over which the learning rate rises.
        clip: largest norm of the gradient.
        n_evaluations: how often the held-out loss is computed.
        patience: evaluations without a better held-out loss after which to stop.
        seed: of the batches and of the model's own noise.
        progress: show a bar; by default only on a terminal.
        checkpoint: file written at every evaluation. If it exists, the fit goes on from there.
        compile: whether steps are compiled; "auto": where it pays. See
            `shared.compilation.Compilation`.
    """

    model: Model
    x: Rows
    u: Tensor
    x_held_out: Tensor
    u_held_out: Tensor
    max_steps: int = 6000
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    warmup: float = 0.1
    clip: float = 5.0
    n_evaluations: int = 60
    patience: int = 20
    seed: int = 0
    progress: bool | None = None
    checkpoint: str | os.PathLike[str] | None = None
    compile: bool | str = "auto"

    def __post_init__(self) -> None:
        check_options(OPTIONS | {"n_evaluations": count()}, vars(self))
        check_decay(self.learning_rate, self.weight_decay)

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
