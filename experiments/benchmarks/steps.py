"""Training steps to be timed: ours as `shared.training.fit` takes it, a peer's in a plain loop."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from experiments.benchmarks.flows import FlowModel
from experiments.benchmarks.plan import SEED
from experiments.benchmarks.timing import Action
from identiflow.shared.training import Stage
from identiflow.shared.training.fit import choose_steps
from identiflow.shared.training.model import Model
from identiflow.shared.training.stage import Batches
from identiflow.shared.training.steps import take
from identiflow.shared.training.training import Training

LEARNING_RATE = 3e-3
CLIP = 5.0
# The default of the estimators, which decides whether a fit is compiled.
STEPS_OF_A_FIT = 5000


def our_step(model: Model, x: Tensor, u: Tensor, batch_size: int, **options: Any) -> Action:
    """A step of `fit`, with options of its `Stage`."""
    return stacked_step([model], x, u, batch_size, **options)


def stacked_step(
    models: Sequence[Model], x: Tensor, u: Tensor, batch_size: int, **options: Any
) -> Action:
    """A step of `fit_ensemble`: one of every model."""
    trainings = [
        Training(_stage(model, x, u, batch_size, **options, seed=seed))
        for seed, model in enumerate(models)
    ]
    steps = choose_steps(trainings)
    return lambda: take(steps, trainings)


def _stage(model: Model, x: Tensor, u: Tensor, batch_size: int, **options: Any) -> Stage:
    rows = {"x": x, "u": u, "x_held_out": x[:1], "u_held_out": u[:1]}
    options = {"max_steps": STEPS_OF_A_FIT, **options}
    return Stage(model=model, **rows, batch_size=batch_size, **options)


def plain_step(model: FlowModel, x: Tensor, u: Tensor, batch_size: int) -> Action:
    """The loop that a tutorial shows: Adam as it comes, gradients clipped by norm.

    Its batches are drawn as ours are, so that only the step itself is compared.
    """
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    batches = Batches(len(x), batch_size, SEED)
    steps = count()

    def step() -> Tensor:
        rows = batches.rows(next(steps))
        loss = -model.log_prob(x[rows], u[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        return loss.detach()

    return step
