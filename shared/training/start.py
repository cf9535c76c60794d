"""Training that comes before a fit and gives its model a start."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from identiflow.shared.inputs.rows import Rows, head
from identiflow.shared.training.run import Model
from identiflow.shared.training.stage import MAX_HELD_OUT, Stage


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
