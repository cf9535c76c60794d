"""The state of a fit: what one step changes, and what a checkpoint holds."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from shared.training.checkpoint import FileFormatError, load_tensors, save_tensors
from shared.training.history import History

MAX_BAD_STEPS_IN_A_ROW = 100
EVALUATION_ROWS = 4096


class DivergedError(RuntimeError):
    """Training gave up: too many steps in a row had no finite gradient."""


class Model(Protocol):
    """What training needs of a model: a torch module whose loss is in nats for each row."""

    loss_name: str

    def loss(self, x: Tensor, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The objective in nats, shape (B,); its randomness comes from `generator`."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object: ...

    def train(self) -> object: ...

    def eval(self) -> object: ...


@dataclass
class Run:
    """A model in training, with its optimiser, history and best weights so far."""

    model: Model
    history: History
    learning_rate: float
    step: int = 0
    bad_in_a_row: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(parameters, lr=self.learning_rate, fused=True)
        self.parameters = parameters

    def take_step(self, x: Tensor, u: Tensor, noise: torch.Generator, clip: float) -> Tensor:
        """One gradient step, or none if its gradient is not finite; the loss, detached."""
        self.model.train()
        self.optimizer.zero_grad()
        loss = self.model.loss(x, u, noise).mean()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, clip)
        self.step += 1
        if torch.isfinite(norm) and torch.isfinite(loss):
            self.optimizer.step()
            self.bad_in_a_row = 0
            return loss.detach().cpu()
        self.history.skipped_steps += 1
        self.bad_in_a_row += 1
        if self.bad_in_a_row >= MAX_BAD_STEPS_IN_A_ROW:
            raise DivergedError(
                f"Expected a finite {self.history.loss_name} and gradient; got "
                f"{self.bad_in_a_row} steps in a row without (loss {loss.item()}, gradient norm "
                f"{norm.item()}) up to step {self.step}. Lower learning_rate, or look for "
                "outliers in x."
            )
        return torch.zeros(())

    @torch.no_grad()
    def evaluate(self, train_loss: float, x: Tensor, u: Tensor, noise: torch.Generator) -> None:
        """Append to the history; keep the weights if they are the best so far."""
        self.model.eval()
        chunks = zip(x.split(EVALUATION_ROWS), u.split(EVALUATION_ROWS), strict=True)
        losses = [self.model.loss(a, b, noise).double() for a, b in chunks]
        held_out = torch.cat(losses).mean().item()
        history = self.history
        if not self.best or held_out < history.best_loss:
            history.best_step = self.step
            self.best = {name: t.clone() for name, t in self.model.state_dict().items()}
        history.step.append(self.step)
        history.train_loss.append(train_loss)
        history.held_out_loss.append(held_out if math.isfinite(held_out) else math.inf)

    def stop_if_done(self, max_steps: int, patience_steps: int) -> None:
        """Say in the history why training ends, if it does."""
        if self.step >= max_steps:
            self.history.stopped = "budget"
        elif self.step - self.history.best_step >= patience_steps:
            self.history.stopped = "patience"

    def summary(self) -> str:
        """One line for the progress bar."""
        last = self.history.held_out_loss[-1]
        return f"held-out {self.history.loss_name} {last:.3f} (best {self.history.best_loss:.3f})"

    def save(self, path: str | os.PathLike[str], fingerprint: str) -> None:
        """Write a checkpoint from which `restore` continues bit for bit."""
        tensors = {f"model/{name}": t for name, t in self.model.state_dict().items()}
        tensors |= {f"best/{name}": t for name, t in self.best.items()}
        for index, parameter in enumerate(self.parameters):
            for name, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"adam/{index}/{name}"] = value
        info: dict[str, Any] = {
            "fingerprint": fingerprint,
            "step": self.step,
            "bad_in_a_row": self.bad_in_a_row,
            "history": self.history.to_dict(),
        }
        save_tensors(path, "checkpoint", tensors, info)

    def restore(self, path: str | os.PathLike[str], fingerprint: str) -> None:
        """Take up the state of a checkpoint of this very fit."""
        tensors, info = load_tensors(path, "checkpoint")
        if info["fingerprint"] != fingerprint:
            raise FileFormatError(
                f"Expected checkpoint {path} to belong to this fit; got one of other data or "
                "settings. Delete it to start anew, or pass another file name."
            )
        self.step, self.bad_in_a_row = info["step"], info["bad_in_a_row"]
        self.history = History(**info["history"])
        by_group: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "adam": {}}
        for key, tensor in tensors.items():
            group, name = key.split("/", 1)
            by_group[group][name] = tensor
        self.model.load_state_dict(by_group["model"])
        self.best = by_group["best"]
        for key, tensor in by_group["adam"].items():
            index, name = key.split("/", 1)
            parameter = self.parameters[int(index)]
            self.optimizer.state[parameter][name] = tensor.to(parameter.device)
