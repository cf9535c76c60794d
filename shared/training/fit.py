"""One function that trains either front end."""

from __future__ import annotations

import hashlib
import math
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from shared.training.history import History
from shared.training.run import Model, Run
from shared.training.schedule import Batches, OneCycle, mix
from shared.validation import check_counts


def fit(
    model: Model,
    x: Tensor,
    u: Tensor,
    *,
    x_held_out: Tensor,
    u_held_out: Tensor,
    max_steps: int = 6000,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    warmup: float = 0.1,
    last_rate: float = 0.0,
    clip: float = 5.0,
    n_evaluations: int = 60,
    patience: int = 20,
    seed: int = 0,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> History:
    """Minimise the mean of `model.loss(x, u)` by Adam; keep the weights best on held-out rows.

    The learning rate rises linearly over the first `warmup` of the steps and falls along a cosine.
    Steps whose gradient is not finite are skipped and counted. Everything random is a function of
    `seed` and the step number, so a resumed fit equals an uninterrupted one bit for bit; no global
    random state is touched.

    Args:
        model: `loss(x, u, generator) -> (B,)` in nats, and `loss_name`.
        x: training rows (N, d); u: their encoded auxiliary variable.
        x_held_out, u_held_out: rows for choosing weights and stopping.
        max_steps: gradient steps at most.
        batch_size: rows a step; all of them if there are fewer.
        learning_rate: at its peak.
        warmup: share of the steps over which the learning rate rises.
        last_rate: the learning rate at the end, as a share of its peak.
        clip: largest norm of the gradient.
        n_evaluations: how often the held-out loss is computed.
        patience: evaluations without a better held-out loss after which to stop.
        seed: of the batches and of the model's own noise.
        progress: show a bar; by default only on a terminal.
        checkpoint: file written at every evaluation. If it exists, the fit goes on from there.

    Returns:
        History, and `model` holds the best weights.

    Raises:
        DivergedError: after too many skipped steps in a row, naming the loss term.
        ValueError: if `checkpoint` belongs to another fit, or is damaged; for counts below 1.
    """
    check_counts(
        max_steps=max_steps, batch_size=batch_size, n_evaluations=n_evaluations, patience=patience
    )
    schedule = OneCycle(max_steps, learning_rate, warmup, last_rate)
    settings = (schedule, batch_size, clip, n_evaluations, patience, seed)
    run = Run(model, History(model.loss_name), learning_rate)
    batches = Batches(len(x), batch_size, seed)
    fingerprint = _fingerprint(model, (x, u, x_held_out, u_held_out), settings)
    if checkpoint is not None and Path(checkpoint).exists():
        run.restore(checkpoint, fingerprint)
    every = max(1, math.ceil(max_steps / n_evaluations))
    noise = torch.Generator(device=x.device)
    before, started = run.history.seconds, time.perf_counter()
    bar = tqdm(total=max_steps, initial=run.step, disable=_no_bar(progress), unit="step")
    with bar:
        while run.step < max_steps and not run.history.stopped:
            total, skipped = torch.zeros((), dtype=torch.float64), run.history.skipped_steps
            steps = min(every, max_steps - run.step)
            for _ in range(steps):
                rows = batches.rows(run.step)
                noise.manual_seed(mix(seed, run.step))
                for group in run.optimizer.param_groups:
                    group["lr"] = schedule.rate(run.step)
                total += run.take_step(x[rows], u[rows], noise, clip)
                bar.update()
            taken = steps - (run.history.skipped_steps - skipped)
            train_loss = float(total) / taken if taken else math.inf
            run.evaluate(train_loss, x_held_out, u_held_out, noise.manual_seed(seed))
            run.stop_if_done(max_steps, patience * every)
            run.history.seconds = before + time.perf_counter() - started
            bar.set_postfix_str(run.summary())
            if checkpoint is not None:
                run.save(checkpoint, fingerprint)
    model.load_state_dict(run.best)
    return run.history


def _fingerprint(model: Model, data: tuple[Tensor, ...], settings: tuple[Any, ...]) -> str:
    """Identifies a fit by its starting weights, its data and its settings."""
    digest = hashlib.sha256(repr(settings).encode())
    for tensor in (*model.state_dict().values(), *data):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _no_bar(progress: bool | None) -> bool | None:
    return None if progress is None else not progress
