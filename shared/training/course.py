"""One stage under way: its run, its batches, its noise and its checkpoint."""

from __future__ import annotations

import hashlib
import time
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from identiflow.shared.compute.random import Randomness
from identiflow.shared.files import discard_parts, load_tensors
from identiflow.shared.inputs.rows import CHUNK
from identiflow.shared.training.history import History
from identiflow.shared.training.noise import ShareOfRows
from identiflow.shared.training.run import Run
from identiflow.shared.training.schedule import Batches, mix
from identiflow.shared.training.stage import Stage
from identiflow.shared.training.workers import Workers


class Course:
    """Takes a stage step by step. Everything random is a function of its seed and the step."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.schedule = stage, stage.schedule
        self.run = Run(stage.model, History(stage.model.loss_name), stage.weight_decay)
        self.batches = Batches(len(stage.x), stage.batch_size, stage.seed)
        self.generator = torch.Generator(device=stage.x_held_out.device)
        self.workers = Workers()
        self.rows = self.workers.share(self.batches.size)
        self.noise: Randomness = self.generator
        if self.workers.many:
            self.noise = ShareOfRows(self.generator, self.batches.size, self.rows)
        self.fingerprint = _fingerprint(stage) if stage.checkpoint is not None else ""
        self._resume()
        self.seconds_before, self.started = self.run.history.seconds, time.perf_counter()

    @property
    def done(self) -> bool:
        """Whether nothing is left to train."""
        return bool(self.run.history.stopped)

    @property
    def evaluation_due(self) -> bool:
        """Whether it is time for the held-out rows, after a step."""
        step, every = self.run.step, self.stage.steps_between_evaluations
        return step % every == 0 or step == self.stage.max_steps

    def batch(self) -> tuple[Tensor, Tensor]:
        """This process's x and u of the step to come; its noise is set as well."""
        step = self.run.step
        rows = self.batches.rows(step)[self.rows]
        self.generator.manual_seed(mix(self.stage.seed, step))
        return self.stage.x[rows], self.stage.u[rows]

    def evaluate(self) -> None:
        """Score the held-out rows, decide whether to go on, and write the checkpoint."""
        run, stage = self.run, self.stage
        noise = self.generator.manual_seed(stage.seed)
        held_out = run.loss_of(stage.x_held_out, stage.u_held_out, noise)
        run.record(self.workers.from_first(lambda: held_out))
        run.stop_if_done(stage.max_steps, stage.patience * stage.steps_between_evaluations)
        self.save()

    def save(self) -> None:
        """Write the checkpoint, if there is to be one."""
        path = self.stage.checkpoint
        self.run.history.seconds = self.seconds_before + time.perf_counter() - self.started
        if path is not None and self.workers.rank == 0:
            self.run.save(path, self.fingerprint)

    def update(self, loss: Tensor, gradient: Tensor) -> None:
        """Step along the gradient (P,) of this process's rows, once it is that of all of them."""
        share = (self.rows.stop - self.rows.start) / self.batches.size
        loss, gradient = self.workers.whole_batch(loss, gradient, share)
        self.run.update(loss, gradient, self.stage.clip, self.schedule.rate(self.run.step))

    def _resume(self) -> None:
        path = self.stage.checkpoint
        if path is not None and self.workers.rank == 0:
            discard_parts(path)
        if path is not None and self.workers.from_first(Path(path).exists):
            contents = self.workers.from_first(partial(load_tensors, path, "checkpoint"))
            self.run.restore(*contents, path, self.fingerprint)

    def finish(self) -> History:
        """Give the model its best weights."""
        self.stage.model.load_state_dict(self.run.best)
        return self.run.history


def _fingerprint(stage: Stage) -> str:
    """Identifies a fit by its model, its starting weights, its data and its settings."""
    # Models that start alike may still differ in their layers' kinds and in what they minimise.
    what = (stage.settings, stage.model.loss_name, stage.model)
    digest = hashlib.sha256(repr(what).encode())
    data = (stage.x, stage.u, stage.x_held_out, stage.u_held_out)
    for tensor in (*stage.model.state_dict().values(), *(p for d in data for p in d.split(CHUNK))):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
