"""The state of a fit: what one step changes, and what a checkpoint holds."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from identiflow.shared.files import FileFormatError, save_tensors
from identiflow.shared.training.history import History
from identiflow.shared.training.optimizer import Optimizer

MAX_BAD_STEPS_IN_A_ROW = 100
EVALUATION_ROWS = 4096


class DivergedError(RuntimeError):
    """Training gave up: too many steps in a row had no finite gradient."""


class Model(Protocol):
    """What training needs of a model: a torch module whose loss is in nats for each row."""

    loss_name: str
    training: bool

    def loss(self, x: Tensor, u: Tensor, generator: Any = None) -> Tensor:
        """The objective in nats, shape (B,); its noise comes from `generator`.

        That is a torch.Generator, or with many seeds or processes a `NoiseSource`: draw by
        `shared.random.standard_normal`, which takes both.
        """
        ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object: ...

    def train(self) -> object: ...

    def eval(self) -> object: ...


@dataclass
class Run:
    """A model in training, with its optimiser, its history and the best weights so far."""

    model: Model
    history: History
    weight_decay: float = 0.0
    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.optimizer = Optimizer(self.model, self.weight_decay)
        self.flat = self.optimizer.flat
        vector = self.flat.vector
        # Counted where the parameters are: to read a number off a GPU is to wait for it.
        self.bad_in_a_row, self.skipped = vector.new_zeros(2)
        self.sum_of_losses = torch.zeros((), dtype=torch.float64, device=vector.device)

    @torch.no_grad()
    def update(self, loss: Tensor, gradient: Tensor, clip: float, rate: float) -> None:
        """Step along the gradient (P,), its norm clipped; or skip the step if it is not finite."""
        norm = torch.linalg.vector_norm(gradient)
        total = norm + loss
        bad = total - total != 0  # NaN − NaN and ∞ − ∞ are NaN
        self.optimizer.take(gradient, rate, (norm / clip).clamp(min=1.0), bad)
        self.step += 1
        self.skipped += bad
        self.bad_in_a_row.add_(1).mul_(bad)
        self.sum_of_losses += torch.where(bad, 0.0, loss)
        if loss.device.type == "cpu" or self.step % MAX_BAD_STEPS_IN_A_ROW == 0:
            self._give_up_if_all_is_bad(loss, norm)

    def _give_up_if_all_is_bad(self, loss: Tensor, norm: Tensor) -> None:
        if float(self.bad_in_a_row) < MAX_BAD_STEPS_IN_A_ROW:
            return
        raise self._diverged(f" (loss {loss.item()}, gradient norm {norm.item()})")

    def _diverged(self, last: str = "") -> DivergedError:
        return DivergedError(
            f"Expected a finite {self.history.loss_name} and gradient; got "
            f"{int(self.bad_in_a_row)} steps in a row without{last} up to step {self.step}. "
            "Lower learning_rate, or look for outliers in x."
        )

    @torch.no_grad()
    def loss_of(self, x: Tensor, u: Tensor, noise: torch.Generator) -> float:
        """The mean loss of these rows, in parts of bounded size."""
        self.model.eval()
        chunks = zip(x.split(EVALUATION_ROWS), u.split(EVALUATION_ROWS), strict=True)
        losses = [self.model.loss(a, b, noise).double() for a, b in chunks]
        return torch.cat(losses).mean().item()

    def record(self, held_out: float) -> None:
        """Append to the history; keep the weights if they are the best so far."""
        history = self.history
        if not self.best or held_out < history.best_loss:
            history.best_step = self.step
            self.best = {name: t.clone() for name, t in self.model.state_dict().items()}
        history.train_loss.append(self._mean_loss_since_last())
        history.step.append(self.step)
        history.held_out_loss.append(held_out if math.isfinite(held_out) else math.inf)

    def _mean_loss_since_last(self) -> float:
        """The mean training loss since the last evaluation, over the steps that were taken."""
        history, skipped = self.history, int(self.skipped)
        steps = self.step - (history.step[-1] if history.step else 0)
        taken = steps - (skipped - history.skipped_steps)
        total = float(self.sum_of_losses)
        self.sum_of_losses.zero_()
        history.skipped_steps = skipped
        return total / taken if taken else math.inf

    def stop_if_done(self, max_steps: int, patience_steps: int) -> None:
        """Say in the history why training ends, if it does."""
        if self.step >= max_steps:
            self.history.stopped = "budget"
        elif self.step - self.history.best_step >= patience_steps:
            if self.bad_in_a_row >= patience_steps:
                raise self._diverged()
            self.history.stopped = "patience"

    def summary(self) -> str:
        """One line for the progress bar."""
        last = self.history.held_out_loss[-1]
        return f"held-out {self.history.loss_name} {last:.3f} (best {self.history.best_loss:.3f})"

    def save(self, path: str | os.PathLike[str], fingerprint: str) -> None:
        """Write a checkpoint from which `restore` continues bit for bit."""
        tensors = {f"model/{name}": t for name, t in self.model.state_dict().items()}
        tensors |= {f"best/{name}": t for name, t in self.best.items()}
        tensors |= {f"optimizer/{name}": value for name, value in self.optimizer.state.items()}
        info: dict[str, Any] = {
            "fingerprint": fingerprint,
            "step": self.step,
            "bad_in_a_row": int(self.bad_in_a_row),
            "skipped": int(self.skipped),
            "sum_of_losses": float(self.sum_of_losses),
            "history": self.history.to_dict(),
        }
        save_tensors(path, "checkpoint", tensors, info)

    def restore(
        self,
        tensors: Mapping[str, Tensor],
        info: Mapping[str, Any],
        path: str | os.PathLike[str],
        fingerprint: str,
    ) -> None:
        """Take up what `save` has written, if it was in this very fit."""
        if info["fingerprint"] != fingerprint:
            raise FileFormatError(
                f"Expected checkpoint {path} to belong to this fit; got one of other data or "
                "settings, of which the number of threads is one. Delete it to start anew, or pass "
                "another file name."
            )
        by_group: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
        for key, tensor in tensors.items():
            group, name = key.split("/", 1)
            by_group[group][name] = tensor
        self.step, self.history = info["step"], History(**info["history"])
        self.bad_in_a_row.fill_(info["bad_in_a_row"])
        self.skipped.fill_(info["skipped"])
        self.sum_of_losses.fill_(info["sum_of_losses"])
        self.model.load_state_dict(by_group["model"])
        self.best = by_group["best"]
        device = self.flat.vector.device
        state = by_group["optimizer"]
        self.optimizer.state = {name: tensor.to(device) for name, tensor in state.items()}
