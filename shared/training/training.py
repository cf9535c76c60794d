"""One stage under way: its state, what a step changes of it, when it ends, and its checkpoint."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from identiflow.shared.compute.compilation import Compilation
from identiflow.shared.compute.random import Randomness
from identiflow.shared.files import FileFormatError, discard_parts, load_tensors, save_tensors
from identiflow.shared.inputs.remarks import remark
from identiflow.shared.training.fingerprint import fingerprint, sums_of
from identiflow.shared.training.history import History
from identiflow.shared.training.loss import mean_loss
from identiflow.shared.training.noise import ShareOfRows
from identiflow.shared.training.optimizer import Optimizer
from identiflow.shared.training.parallel import Workers
from identiflow.shared.training.stage import Stage, mix

MAX_BAD_STEPS_IN_A_ROW = 100


class DivergedError(RuntimeError):
    """Training gave up: steps had no finite gradient, or held-out rows no finite loss."""


class Training:
    """A stage under way: `update` it along the gradient of its `batch`, and `evaluate` it at times.

    Everything random is a function of the stage's seed and the step number. A training whose stage
    has a checkpoint starts from what is in it.

    Attributes:
        model: what is trained; its weights are parts of the optimizer's vector.
        optimizer: the weights as one vector, and moments of their gradients.
        step: how many steps were taken.
        failed: why it gave up, if it did.
        history: what came of them.
        best: the weights with the lowest held-out loss so far.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage, self.model, self.schedule = stage, stage.model, stage.schedule
        self.batches = stage.batches
        self.generator = torch.Generator(device=stage.x_held_out.device)
        self.workers = Workers()
        self.rows = self.workers.share(self.batches.size)
        self.noise: Randomness = self.generator
        if self.workers.many:
            self.noise = ShareOfRows(self.generator, self.batches.size, self.rows)
        self.fingerprint = self._fingerprint() if stage.checkpoint is not None else ""
        self.form = self._form() if stage.checkpoint is not None else ""
        self._expect_alike()
        self._begin()
        self._resume()
        self.seconds_before, self.started = self.history.seconds, time.perf_counter()

    def _begin(self) -> None:
        """The state before the first step: what `update` and `evaluate` change, `save` keeps."""
        self.step, self.history = 0, History(self.model.loss_name)
        self.failed: DivergedError | None = None
        self.best: dict[str, Tensor] = {}
        self.optimizer = Optimizer(self.model, self.stage.weight_decay)
        vector = self.optimizer.flat.vector
        # Counted where the parameters are: to read a number off a GPU is to wait for it.
        self.bad_in_a_row, self.skipped = vector.new_zeros(2)
        self.sum_of_losses = torch.zeros((), dtype=torch.float64, device=vector.device)

    @property
    def steps_in_all(self) -> int:
        """The steps it takes unless it ends sooner."""
        return self.stage.max_steps

    @property
    def compilation(self) -> Compilation | None:
        """What compiles its steps, unless they are not to be."""
        wanted = self.stage.compile
        return Compilation(wanted, self.model, self.steps_in_all) if wanted else None

    # One step ------------------------------------------------------------------------------------

    def batch(self) -> tuple[Tensor, Tensor]:
        """This process's x and u of the step to come; its noise is set as well."""
        rows = self.batches.rows(self.step)[self.rows]
        self.generator.manual_seed(mix(self.batches.seed, self.step))
        return self.stage.x[rows], self.stage.u[rows]

    @torch.no_grad()
    def update(self, loss: Tensor, gradient: Tensor) -> None:
        """Step along the gradient (P,) of this process's rows, once it is that of all of them.

        Its norm is clipped; if it is not finite, the step is skipped.
        """
        share = (self.rows.stop - self.rows.start) / self.batches.size
        loss, gradient = self.workers.whole_batch(loss, gradient, share)
        norm = torch.linalg.vector_norm(gradient)
        total = norm + loss
        bad = total - total != 0  # NaN − NaN and ∞ − ∞ are NaN
        divisor = (norm / self.stage.clip).clamp(min=1.0)
        self.optimizer.take(gradient, self.schedule.rate(self.step), divisor, bad)
        self.step += 1
        self.skipped += bad
        self.bad_in_a_row.add_(1).mul_(bad)
        self.sum_of_losses += torch.where(bad, 0.0, loss)
        if loss.device.type == "cpu" or self.step % MAX_BAD_STEPS_IN_A_ROW == 0:
            self._give_up_if_all_is_bad(loss, norm)

    def _give_up_if_all_is_bad(self, loss: Tensor, norm: Tensor) -> None:
        if float(self.bad_in_a_row) >= MAX_BAD_STEPS_IN_A_ROW:
            self._fail_by_steps(f" (loss {loss.item()}, gradient norm {norm.item()})")

    def _fail_by_steps(self, last: str = "") -> None:
        self.failed = DivergedError(
            f"Expected a finite {self.history.loss_name} and gradient; got "
            f"{int(self.bad_in_a_row)} steps in a row without{last} up to step {self.step}. "
            "Lower learning_rate, or look for outliers in x."
        )

    def _fail_by_rows(self) -> None:
        self.failed = DivergedError(
            f"Expected a finite {self.history.loss_name} of the held-out rows, by which weights are"
            f" chosen; got none up to step {self.step}. Lower learning_rate, or look for values of "
            "x in these rows that are far beyond all others, of which fit warns."
        )

    # Evaluation and end --------------------------------------------------------------------------

    @property
    def evaluation_due(self) -> bool:
        """True when it is time for the held-out rows, after a step."""
        every = self.stage.steps_between_evaluations
        return self.step % every == 0 or self.step == self.steps_in_all

    @property
    def done(self) -> bool:
        """True when nothing is left to train."""
        return bool(self.history.stopped) or self.failed is not None

    def evaluate(self) -> None:
        """Score the held-out rows, decide whether to go on, and write the checkpoint."""
        held_out = self.held_out_loss()
        self.record(self.workers.from_first(lambda: held_out))
        self._stop_if_done()
        self.save()

    def held_out_loss(self) -> float:
        """The mean loss of the held-out rows, in parts of bounded size."""
        self.model.eval()
        noise = self.generator.manual_seed(self.batches.seed)
        return mean_loss(self.model, self.stage.x_held_out, self.stage.u_held_out, noise)

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

    def _stop_if_done(self) -> None:
        """Say why training ends, if it does: in the history, or that it failed."""
        patience = self.stage.patience * self.stage.steps_between_evaluations
        is_last = self.step >= self.steps_in_all
        is_late = self.step - self.history.best_step >= patience
        if is_late and not is_last and self.bad_in_a_row >= patience:
            self._fail_by_steps()
        elif is_last or is_late:
            if not math.isfinite(self.history.best_loss):
                return self._fail_by_rows()
            self.history.stopped = "budget" if is_last else "patience"
        return None

    def finish(self) -> History | DivergedError:
        """Give the model its best weights; the history, or why there are none."""
        if self.failed is not None:
            return self.failed
        self.model.load_state_dict(self.best)
        return self.history

    def summary(self) -> str:
        """One line for the progress bar."""
        last = self.history.held_out_loss[-1]
        return f"held-out {self.history.loss_name} {last:.3f} (best {self.history.best_loss:.3f})"

    # Checkpoint ----------------------------------------------------------------------------------

    def _fingerprint(self, exactly: bool = True) -> str:
        """Identifies the fit by all that changes a step of it; or by all but its numbers."""
        parts = (self.stage.settings, self.model.loss_name, self.model, self.stage.rows)
        return fingerprint(*parts, exactly=exactly)

    def _form(self) -> str:
        """All of the model but its numbers, as they are in tensors that a checkpoint holds."""
        return fingerprint(self.model, exactly=False)

    def _remark_on_state(self) -> None:
        """Warn, once, of parts that change as they are called, in what no checkpoint holds."""
        if self.form and self.form != self._form():
            self.form = ""
            remark(
                "A part of the model changes as it is called, as one that counts its calls does: a "
                "checkpoint holds tensors alone, so that a fit that goes on from it is another. "
                "Keep what changes in a buffer of a torch module."
            )

    def _expect_alike(self) -> None:
        """Raise, where several processes share the fit, if they are not to make the same one."""
        if self.workers.many:
            tensors = (*self.stage.rows, *self.model.state_dict().values())
            numbers = [sums_of(tensor) for tensor in tensors]
            self.workers.expect_alike(self._fingerprint(exactly=False), numbers)

    def save(self) -> None:
        """Write the checkpoint, if there is to be one, from which the fit goes on bit for bit."""
        self.history.seconds = self.seconds_before + time.perf_counter() - self.started
        if self.stage.checkpoint is not None:
            self._remark_on_state()
            self.workers.from_first(partial(self._write, self.stage.checkpoint))

    def _write(self, path: str | os.PathLike[str]) -> None:
        groups: dict[str, Mapping[str, Tensor]] = {
            "model": self.model.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state,
        }
        tensors = {f"{group}/{name}": t for group, ts in groups.items() for name, t in ts.items()}
        info: dict[str, Any] = {
            "fingerprint": self.fingerprint,
            "step": self.step,
            "bad_in_a_row": int(self.bad_in_a_row),
            "skipped": int(self.skipped),
            "sum_of_losses": float(self.sum_of_losses),
            "history": self.history.to_dict(),
        }
        save_tensors(path, "checkpoint", tensors, info)

    def _resume(self) -> None:
        path = self.stage.checkpoint
        if path is None:
            return
        self.workers.from_first(partial(discard_parts, path))
        if self.workers.from_first(Path(path).exists):
            self.restore(*self.workers.from_first(partial(load_tensors, path, "checkpoint")))

    def restore(self, tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> None:
        """Take up what `save` has written, if it was in this very fit."""
        if info["fingerprint"] != self.fingerprint:
            raise FileFormatError(
                f"Expected checkpoint {self.stage.checkpoint} to belong to this fit; got one of "
                "other data, settings, number of threads or version, or with parts of your own "
                "that have changed, such as a list that they fill: make these anew. Delete it to "
                "start anew, or pass another file name."
            )
        by_group: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
        for key, tensor in tensors.items():
            group, name = key.split("/", 1)
            by_group[group][name] = tensor
        self.step, self.history = info["step"], History(**info["history"])
        for name in ("bad_in_a_row", "skipped", "sum_of_losses"):
            getattr(self, name).fill_(info[name])
        self.model.load_state_dict(by_group["model"])
        self.best = by_group["best"]
        device = self.optimizer.flat.vector.device
        self.optimizer.state = {n: t.to(device) for n, t in by_group["optimizer"].items()}
