"""The report that a fit gives of itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class History:
    """The course of a fit; losses are in nats per row, of the model's own `loss_name`.

    Attributes:
        loss_name: what the losses are: "nll" (exact), "negative iw" or "negative elbo" (bounds).
        step: gradient steps done at each evaluation.
        train_loss: mean training loss since the evaluation before, skipped steps apart.
        held_out_loss: loss on the held-out rows.
        best_step: the step whose weights were kept.
        skipped_steps: steps skipped because the gradient was not finite.
        stopped: why training ended: "budget" or "patience".
        seconds: time spent, over all sessions of a resumed fit.
    """

    loss_name: str
    step: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    best_step: int = 0
    skipped_steps: int = 0
    stopped: str = ""
    seconds: float = 0.0

    @property
    def best_loss(self) -> float:
        """The held-out loss of the weights that were kept, nats per row."""
        return min(self.held_out_loss)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)
