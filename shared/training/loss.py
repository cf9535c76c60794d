"""The loss of many rows: while a model is trained, and once more in float64 when it is done."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.compute.random import Randomness, generator
from identiflow.shared.inputs.columns import SINGLE
from identiflow.shared.inputs.density import WHAT_TO_DO, DensityWarning
from identiflow.shared.inputs.remarks import remark
from identiflow.shared.inputs.rows import Rows, head
from identiflow.shared.training.model import Model
from identiflow.shared.training.noise import SinglePrecision
from identiflow.shared.training.parallel import Workers

EVALUATION_ROWS = 4096
# Nats a row by which what training said of held-out rows may differ from what float64 says.
LARGEST_PART = 0.1


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


def judged(model: Model, x: Rows, u: Tensor, seed: int, device: torch.device) -> dict[str, float]:
    """What held-out rows say of a trained model, by the names under which a fit keeps it.

    A loss of the user's own need not be a bound on log p(x | u): the bound is then measured too.
    """
    of_rows = {"held_out_loss_": final_loss(model, x, u, seed, device)}
    if not getattr(model, "loss_is_bound", True):
        bound = partial(model.log_density, generator=generator(0))  # type: ignore[attr-defined]
        rows = in_chunks(bound, x, u)
        of_rows["held_out_bound_"] = Workers().from_first(lambda: float(rows.mean()))
    return of_rows


def warn_if_they_part(in_training: float, in_the_end: float) -> None:
    """Warn if single precision and float64 do not agree on the loss of held-out rows, in nats."""
    if not abs(in_training - in_the_end) > LARGEST_PART + SINGLE * abs(in_training):
        return
    remark(
        f"Training, in single precision, took the held-out rows for {-in_training:.2f} nats of "
        f"standardised x; in float64 they have {-in_the_end:.2f}, which is what held_out_nats_ and "
        "every choice goes by. Values of x lie closer to each other, or to a plane, than single "
        "precision tells apart. " + WHAT_TO_DO,
        DensityWarning,
    )
