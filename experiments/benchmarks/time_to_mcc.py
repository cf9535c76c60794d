"""`time_to_mcc`: seconds of training until an iVAE's MCC on held-out rows first reaches a target.

Ours is `IVAE()` with its defaults, start included; the peer is the plain loop on the same rows. The
clock stands still while the MCC is computed. A loop that does not get there is stopped, and its
seconds are then a lower bound: its best MCC is in the details.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from experiments.benchmarks.plain_ivae import PlainIVAE, PlainRows, plain_ivae_step
from experiments.benchmarks.plan import Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.timing import Action
from identiflow.ivae import IVAE
from identiflow.shared.datasets import SourceData, nonstationary_sources
from identiflow.shared.inputs.rows import scale_of
from identiflow.shared.metrics import mean_corr_coef
from identiflow.shared.training.fit import choose_steps
from identiflow.shared.training.stage import hold_out
from identiflow.shared.training.steps import take
from identiflow.shared.training.training import Training

LATENT_DIM, OBSERVED_DIM, N_SEGMENTS, HIDDEN = 5, 10, 40, 50
STEPS_BETWEEN_SCORES = 100
FIRST_DATA_SEED = 101  # of data that nothing was chosen on


class Stopwatch:
    """Runs while steps are taken, and notes the best MCC and when the target was reached."""

    def __init__(self, target: float, limit: float) -> None:
        self.target, self.limit = target, limit
        self.seconds, self.best = 0.0, 0.0

    @property
    def done(self) -> bool:
        return self.best >= self.target or self.seconds >= self.limit

    def call(self, step: Action) -> None:
        """One step, timed."""
        started = time.perf_counter()
        step()
        self.seconds += time.perf_counter() - started

    def score(self, z_true: Tensor, z: Tensor) -> None:
        """Note the MCC that is reached now."""
        self.best = max(self.best, mean_corr_coef(z_true, z.double()))


def time_to_mcc(plan: Plan) -> Iterator[Comparison]:
    """A row for each data set."""
    for seed in range(FIRST_DATA_SEED, FIRST_DATA_SEED + plan.data_sets):
        data = nonstationary_sources(
            LATENT_DIM,
            N_SEGMENTS,
            plan.rows_of_a_segment,
            observed_dim=OBSERVED_DIM,
            noise_std=0.1,
            seed=seed,
        )
        train, test = data.split(0.1, seed=0)
        ours = Stopwatch(plan.target_mcc, plan.seconds_to_mcc)
        theirs = Stopwatch(plan.target_mcc, plan.seconds_to_mcc)
        train_ours(ours, train, test, plan.compile_to_mcc)
        train_plainly(theirs, train, test, plan.vae_batch)
        details = {
            "target": plan.target_mcc,
            "mcc": ours.best,
            "peer_mcc": theirs.best,
            "data_seed": seed,
        }
        yield Comparison.of(
            "time_to_mcc", "plain torch loop", [ours.seconds], [theirs.seconds], details
        )


def train_ours(watch: Stopwatch, train: SourceData, test: SourceData, compile: bool | str) -> None:
    """The stages of a fit, one after the other, as `fit` runs them."""
    estimator = IVAE(LATENT_DIM, compile=compile, progress=False)
    plan = estimator.plan(train.x, train.u)
    stage, z_true = next(plan), torch.tensor(test.z)
    trained_on = hold_out(torch.arange(len(train.x)), estimator.validation_fraction).train
    x = torch.tensor(scale_of(train.x, trained_on).apply(test.x), dtype=torch.float32)
    while not watch.done:
        training = Training(stage)
        steps = choose_steps([training])
        while not (watch.done or training.done):
            watch.call(partial(take, steps, [training]))
            if training.evaluation_due:
                watch.call(training.evaluate)
            if training.evaluation_due or training.step % STEPS_BETWEEN_SCORES == 0:
                with torch.no_grad():
                    watch.score(z_true, stage.model.encode(x))
        if watch.done:
            return
        try:
            stage = plan.send(training.finish())
        except StopIteration:
            return


def train_plainly(watch: Stopwatch, train: SourceData, test: SourceData, batch_size: int) -> None:
    """The plain loop."""
    mean, scale = train.x.mean(0), train.x.std(0)
    x, x_test = (
        torch.tensor((rows.x - mean) / scale, dtype=torch.float32) for rows in (train, test)
    )
    u, u_test = torch.tensor(train.u), one_hot(torch.tensor(test.u), N_SEGMENTS).float()
    model = PlainIVAE(OBSERVED_DIM, LATENT_DIM, N_SEGMENTS, HIDDEN)
    step = plain_ivae_step(model, PlainRows(x, u, N_SEGMENTS), batch_size)
    while not watch.done:
        for _ in range(STEPS_BETWEEN_SCORES):
            watch.call(step)
        with torch.no_grad():
            z = model.g(torch.cat([x_test, u_test], dim=1))
        watch.score(torch.tensor(test.z), z)
