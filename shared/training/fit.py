"""One function that trains either front end, alone or as many models at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from identiflow.shared.compute.random import single_precision, usual_modes
from identiflow.shared.files import used_alone
from identiflow.shared.training.compiled import compiled_steps
from identiflow.shared.training.history import History
from identiflow.shared.training.interruption import Interruption
from identiflow.shared.training.model import Model
from identiflow.shared.training.parallel import Workers, join_process_group
from identiflow.shared.training.stacked import Stacked
from identiflow.shared.training.stage import Stage
from identiflow.shared.training.steps import Eager, NotStackableError, Steps, take
from identiflow.shared.training.training import DivergedError, Training

T = TypeVar("T")
# Yields what is to be trained next, and is sent the history of that, or thrown why it failed.
Plan: TypeAlias = Generator[Stage, History, T]


def fit(
    model: Model, x: Tensor, u: Tensor, *, x_held_out: Tensor, u_held_out: Tensor, **options: Any
) -> History:
    """Minimise the mean of `model.loss(x, u)` by Muon and Adam; keep the best weights.

    The best are those with the lowest loss on held-out rows. The matrices of hidden layers move by
    Muon, everything else by Adam (see `Optimizer`), at a learning rate that rises linearly over the
    first `warmup` of the steps and falls along a cosine. Steps whose gradient is not finite are
    skipped and counted. Everything random is a function of `seed` and the step number, so a resumed
    fit equals an uninterrupted one bit for bit; no global random state is touched.

    Args:
        model: `loss(x, u, generator) -> (B,)` in nats, and `loss_name`.
        x: training rows (N, d); u: their encoded auxiliary variable.
        x_held_out, u_held_out: rows for choosing weights and stopping.
        **options: max_steps, batch_size, learning_rate, seed, checkpoint and others; see `Stage`.

    Returns:
        History, and `model` holds the best weights.

    Raises:
        DivergedError: after too many skipped steps in a row, naming the loss term, or if no loss of
            held-out rows is finite.
        ValueError: if `checkpoint` belongs to another fit, or is damaged; for counts below 1.
    """
    held_out: dict[str, Any] = {"x_held_out": x_held_out, "u_held_out": u_held_out}
    return _or_raise(fit_together([Stage(model=model, x=x, u=u, **held_out, **options)]))[0]


def fit_together(stages: Sequence[Stage]) -> list[History | DivergedError]:
    """`fit` of several stages that differ in weights, rows and seed, taking their steps together.

    Each ends as it would alone, up to rounding, and fails alone. Models that `torch.func.vmap`
    cannot run, such as those with data-dependent shapes, take their steps one after another, with a
    warning.
    """
    if not stages:
        return []
    join_process_group()
    with ExitStack() as locks:
        for stage in stages:
            if stage.checkpoint is not None:
                lock = used_alone(stage.checkpoint)
                Workers().from_first(partial(locks.enter_context, lock))
        trainings = [Training(stage) for stage in stages]
        if _behind(trainings):
            _train(trainings)
        return [training.finish() for training in trainings]


def run_plans(plans: Sequence[Plan[T]]) -> list[T]:
    """Run plans side by side, stage by stage; what each of them returns.

    Raises:
        DivergedError: if one of them fails, when all others have ended.
    """
    return _or_raise(outcomes_of(plans))


def outcomes_of(plans: Sequence[Plan[T]]) -> list[T | DivergedError]:
    """Run plans side by side, stage by stage; what each of them returns, or why it failed."""
    outcomes: dict[int, Any] = {}
    replies: dict[int, Any] = dict.fromkeys(range(len(plans)))
    with single_precision(), usual_modes(), torch.inference_mode(False):
        while replies:
            stages: dict[int, Stage] = {}
            for number, reply in replies.items():
                try:
                    stages[number] = _next_of(plans[number], reply)
                except StopIteration as end:
                    outcomes[number] = end.value
                except DivergedError as error:
                    outcomes[number] = error
            replies = dict(zip(stages, fit_together(list(stages.values())), strict=True))
    return [outcomes[number] for number in range(len(plans))]


def _next_of(plan: Plan[T], reply: Any) -> Stage:
    return plan.throw(reply) if isinstance(reply, DivergedError) else plan.send(reply)


def _or_raise(outcomes: Sequence[T | DivergedError]) -> list[T]:
    """The outcomes; the first error is raised if there is one."""
    for outcome in outcomes:
        if isinstance(outcome, DivergedError):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, DivergedError)]


def choose_steps(trainings: Sequence[Training], say: Callable[[str], object] = str) -> Steps:
    """The way of taking steps that is fastest: compiled, as one model, or each model by itself."""
    try:
        compilation = trainings[0].compilation
        if compilation and (steps := compiled_steps(trainings, compilation, say)):
            return steps
        if len(trainings) > 1:
            return Stacked(trainings)
    except NotStackableError as error:
        warnings.warn(f"Seeds take their steps one after another: {error}.", stacklevel=4)
    return Eager(trainings)


def _train(trainings: Sequence[Training]) -> None:
    """Step and evaluate until all are done, behind a progress bar."""
    kept = any(training.stage.checkpoint is not None for training in trainings)
    listening: AbstractContextManager[Interruption | None] = (
        Interruption() if kept else nullcontext()
    )
    with _bar(trainings) as bar:
        steps = choose_steps(trainings, bar.set_description_str)
        bar.set_description_str(None)
        with listening as interruption:
            while behind := _behind(trainings):
                take(steps, behind)
                bar.update(len(behind))
                going_on = [training for training in behind if not training.done]
                if going_on and going_on[0].evaluation_due:
                    for training in going_on:
                        training.evaluate()
                    bar.set_postfix_str(going_on[0].summary())
                if interruption and interruption.received:
                    for training in trainings:
                        training.save()
                    interruption.act()


def _bar(trainings: Sequence[Training]) -> Any:
    """A progress bar over the steps of all trainings, if one is to be shown."""
    first = trainings[0]
    hidden = None if first.stage.progress is None else not first.stage.progress
    return tqdm(
        total=sum(training.steps_in_all for training in trainings),
        initial=sum(training.step for training in trainings),
        disable=True if first.workers.rank else hidden,
        unit="step",
    )


def _behind(trainings: Sequence[Training]) -> list[Training]:
    """Those with the fewest steps of the ones that are not done: all of them, but after a crash."""
    left = [training for training in trainings if not training.done]
    fewest = min((training.step for training in left), default=0)
    return [training for training in left if training.step == fewest]
