"""The loss of many rows: while a model is trained, and once more in float64 when it is done."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from identiflow.shared.compute.random import Randomness
from identiflow.shared.inputs.rows import Rows, head
from identiflow.shared.training.model import Model
from identiflow.shared.training.noise import SinglePrecision
from identiflow.shared.training.parallel import Workers

EVALUATION_ROWS = 4096


@torch.no_grad()
def mean_loss(model: Model, x: Tensor, u: Tensor, noise: Randomness) -> float:
    """The mean loss of rows x (N, d) and u (N, ...) in nats, in parts of bounded size."""
    chunks = zip(x.split(EVALUATION_ROWS), u.split(EVALUATION_ROWS), strict=True)
    return torch.cat([model.loss(*rows, noise).double() for rows in chunks]).mean().item()


def final_loss(model: Model, x: Rows, u: Tensor, seed: int, device: torch.device) -> float:
    """What a training with this seed and device would say of held-out rows, did it use float64.

    The noise is the same to the bit, so that what differs is the arithmetic. Infinite if it is no
    number.
    """
    loss = mean_loss(model, head(x, len(x)), u, SinglePrecision(seed, device))
    return Workers().from_first(lambda: loss if math.isfinite(loss) else math.inf)
