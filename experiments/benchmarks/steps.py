"""Training steps to be timed: ours as `shared.training.fit` takes it, a peer's in a plain loop."""

from __future__ import annotations

from itertools import count

import torch
from torch import Tensor, nn

from experiments.benchmarks.flows import FlowModel
from experiments.benchmarks.plan import SEED
from experiments.benchmarks.timing import Action
from shared.training import History
from shared.training.run import Model, Run
from shared.training.schedule import Batches, mix

LEARNING_RATE = 3e-3
CLIP = 5.0


def our_step(model: Model, x: Tensor, u: Tensor, batch_size: int) -> Action:
    """What `fit` does at each step."""
    run = Run(model, History(model.loss_name), LEARNING_RATE)
    batches = Batches(len(x), batch_size, SEED)
    noise = torch.Generator()

    def step() -> Tensor:
        rows = batches.rows(run.step)
        noise.manual_seed(mix(SEED, run.step))
        return run.take_step(x[rows], u[rows], noise, CLIP)

    return step


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
