"""A training that is ready to run: a model, its rows, and how to train it, step by step."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor

from identiflow.shared.inputs.options import (
    COMPILE,
    FLAG,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    check_fields,
    count,
    expect_decorated,
    option,
    optional,
    with_options,
)
from identiflow.shared.inputs.remarks import remark
from identiflow.shared.inputs.rows import Rows, head
from identiflow.shared.training.model import Model

HOLD_OUT_SEED = 0
MIN_TRAINED_ON = 5
FEW_HELD_OUT = 20
REACH = 1e18  # the squares of larger numbers overflow float32
MAX_HELD_OUT = 100_000  # more would not choose weights better, and are scored sixty times


@with_options
class Recipe:
    """The options that every training and every estimator has."""

    max_steps: int = option(default=5000, kind=count(), about="gradient steps at most.")
    batch_size: int = option(
        default=256, kind=count(), about="rows in a step; all of them if there are fewer."
    )
    learning_rate: float = option(
        default=1e-2, kind=POSITIVE, about="peak of the one-cycle schedule."
    )
    weight_decay: float = option(
        default=0.0,
        kind=NOT_NEGATIVE,
        about="of the hidden layers (see `identiflow.shared.training.optimizer.Optimizer`).",
    )
    patience: int = option(
        default=20,
        kind=count(),
        about="held-out evaluations (60 in all) without improvement after which to stop.",
    )
    compile: bool | str = option(
        default="auto",
        kind=COMPILE,
        about="whether steps are compiled: True, False, or 'auto', where a fit is long enough to "
        "pay for it, which takes up to a minute the first time. It changes no result beyond "
        "rounding.",
    )
    progress: bool | None = option(
        default=None, kind=optional(FLAG), about="show a bar; by default only on a terminal."
    )
    seed: int = option(
        default=0,
        kind=SEED,
        about="the same seed, rows and options give the same fit, bit for bit, on the same machine,"
        " versions and number of threads (docs/reliability.md).",
    )

    def check(self) -> None:
        """Raise for an option that is of no use."""
        expect_decorated(type(self))
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

    @property
    def start_recipe(self) -> dict[str, Any]:
        """Those that a training before the fit shares with it, by name."""
        recipe = self.recipe
        return {name: recipe[name] for name in ("max_steps", "seed", "progress", "compile")}


@with_options
class Stage(Recipe):
    """A request to `fit`. A fit of an estimator is one stage after another."""

    model: Model = option(about="`loss(x, u, generator) -> (B,)` in nats, and `loss_name`.")
    x: Rows = option(about="training rows (N, d), in memory or on disk.")
    u: Tensor = option(about="their encoded auxiliary variable, (N,) or (N, q).")
    x_held_out: Tensor = option(about="rows for choosing weights and stopping.")
    u_held_out: Tensor = option(about="theirs.")
    max_steps: int = 6000
    learning_rate: float = 3e-3
    warmup: float = option(
        default=0.1, kind=None, about="share of the steps over which the learning rate rises."
    )
    clip: float = option(default=5.0, kind=None, about="largest norm of the gradient.")
    n_evaluations: int = option(
        default=60, kind=count(), about="how often the held-out loss is computed."
    )
    checkpoint: str | os.PathLike[str] | None = option(
        default=None,
        kind=None,
        about="file written at every evaluation. If it exists, the fit goes on from there.",
    )

    def __post_init__(self) -> None:
        self.check()
        self.seed = int(self.seed)  # a numpy integer seeds no generator
        _check_reach(self.x_held_out)

    @property
    def schedule(self) -> OneCycle:
        """The learning rate of each step."""
        return OneCycle(self.max_steps, self.learning_rate, self.warmup)

    @property
    def batches(self) -> Batches:
        """The rows of each step."""
        return Batches(len(self.x), self.batch_size, self.seed)

    @property
    def steps_between_evaluations(self) -> int:
        """The number of steps from one evaluation to the next."""
        return -(-self.max_steps // self.n_evaluations)

    @property
    def rows(self) -> tuple[Rows, ...]:
        """x and u of the rows that are trained on, then those of the rows held out."""
        return (self.x, self.u, self.x_held_out, self.u_held_out)

    @property
    def settings(self) -> tuple[object, ...]:
        """All that a checkpoint must agree on, model and rows apart."""
        every = (self.batch_size, self.clip, self.n_evaluations, self.patience, self.seed)
        return (self.schedule, self.weight_decay, *every)


def _check_reach(x: Tensor) -> None:
    """Raise for held-out rows so far from those trained on that they have no loss."""
    beyond = ~(x.abs() <= REACH)
    if beyond.any():
        column = int(beyond.nonzero()[0, 1])
        raise ValueError(
            f"Expected held-out rows of x within {REACH:g} deviations of those that are trained on;"
            f" got {int(beyond.any(1).sum())} beyond, the first in column {column}. In single "
            "precision such rows have no loss, by which weights are chosen. Drop or impute them."
        )


def start_stage(model: Model, x: Rows, u: Tensor, *, max_steps: int, **options: Any) -> Stage:
    """A stage to its last step, on nine tenths of rows that are in random order.

    The other tenth chooses the weights: the rows that the fit itself holds out stay unseen.

    Args:
        model: see `Stage`.
        x: training rows (N, d).
        u: encoded, (N,) or (N, q).
        max_steps: gradient steps.
        **options: see `Stage`.
    """
    part = min(max(1, len(x) // 10), MAX_HELD_OUT)
    return Stage(
        model=model,
        x=x[part:],
        u=u[part:],
        x_held_out=head(x, part),
        u_held_out=u[:part],
        max_steps=max_steps,
        patience=max_steps,
        **options,
    )


class Split(NamedTuple):
    """Row numbers: those to train on, and those to choose weights by."""

    train: Tensor
    held_out: Tensor


def hold_out(rows: Tensor, fraction: float) -> Split:
    """The same of these rows for every seed, so that fits can be compared on them.

    Raises:
        ValueError: if too few are left to train on.
    """
    n_rows = len(rows)
    wanted = max(2, round(fraction * n_rows))  # of one, seeds cannot agree
    n_held_out = min(wanted, MAX_HELD_OUT)
    if n_rows - n_held_out < MIN_TRAINED_ON:
        raise ValueError(
            f"Expected validation_fraction to leave at least {MIN_TRAINED_ON} of the {n_rows} rows "
            f"to train on; got {fraction}, which leaves {n_rows - n_held_out}. Lower it."
        )
    if n_held_out < FEW_HELD_OUT and n_held_out < 0.05 * n_rows:
        remark(
            f"validation_fraction={fraction} holds out {n_held_out} of {n_rows} rows. Weights are "
            "chosen, and held_out_nats_ is measured, on these alone; take a larger share."
        )
    order = rows[torch.randperm(n_rows, generator=torch.Generator().manual_seed(HOLD_OUT_SEED))]
    return Split(order[n_held_out:], order[:n_held_out])


def device_named(name: str | torch.device) -> torch.device:
    """The device of that name, if this machine has it."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"Expected device 'auto', 'cpu' or 'cuda'; got {name!r}.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"Expected a device of this machine; got {name!r} and no CUDA. Use 'cpu'.")
    return device


# The course of a fit, step by step, is a function of the seed and the step number alone: nothing
# here has a state that a checkpoint would have to hold.


@dataclass(frozen=True)
class OneCycle:
    """The learning rate: a linear rise to `peak`, then a cosine fall to 0."""

    max_steps: int
    peak: float
    warmup: float

    def rate(self, step: int) -> float:
        """The learning rate of this step."""
        rise = max(1, round(self.warmup * self.max_steps))
        if step < rise:
            return self.peak * (step + 1) / rise
        progress = (step - rise) / max(1, self.max_steps - rise)
        return self.peak * 0.5 * (1 + math.cos(math.pi * progress))


class Batches:
    """The rows of each step: a new permutation for each epoch; rows left over wait for the next."""

    def __init__(self, n_rows: int, batch_size: int, seed: int) -> None:
        self.n_rows, self.seed = n_rows, seed
        self.size = min(batch_size, n_rows)
        self.per_epoch = n_rows // self.size
        self.epoch = -1

    def rows(self, step: int) -> Tensor:
        """Row numbers of this step, (batch_size,)."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(mix(self.seed, -1 - epoch))
            self.order = torch.randperm(self.n_rows, generator=generator)
            self.epoch = epoch
        return self.order[position * self.size : (position + 1) * self.size]


def mix(seed: int, step: int) -> int:
    """A seed for each pair, well apart for neighbouring steps."""
    digest = hashlib.blake2b(f"{seed}:{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
