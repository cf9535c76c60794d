"""One function that trains either front end, alone or as many models at once."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from identiflow.shared.compute.random import single_precision
from identiflow.shared.training.course import Course
from identiflow.shared.training.history import History
from identiflow.shared.training.interruption import Interruption
from identiflow.shared.training.run import Model
from identiflow.shared.training.stack import NotStackableError, Stack
from identiflow.shared.training.stage import Stage
from identiflow.shared.training.workers import join_process_group

T = TypeVar("T")
# Yields what is to be trained next, and is sent the history of that.
Plan: TypeAlias = Generator[Stage, History, T]


def fit(
    model: Model, x: Tensor, u: Tensor, *, x_held_out: Tensor, u_held_out: Tensor, **options: Any
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
        **options: max_steps, batch_size, learning_rate, seed, checkpoint and others; see `Stage`.

    Returns:
        History, and `model` holds the best weights.

    Raises:
        DivergedError: after too many skipped steps in a row, naming the loss term.
        ValueError: if `checkpoint` belongs to another fit, or is damaged; for counts below 1.
    """
    held_out: dict[str, Any] = {"x_held_out": x_held_out, "u_held_out": u_held_out}
    return fit_together([Stage(model=model, x=x, u=u, **held_out, **options)])[0]


def fit_together(stages: Sequence[Stage]) -> list[History]:
    """`fit` of several stages that differ in weights, rows and seed, taking their steps together.

    Each ends as it would alone, up to rounding. Models that `torch.func.vmap` cannot run, such as
    those with data-dependent shapes, are trained one after another, with a warning.
    """
    join_process_group()
    starts = [_copy(stage.model.state_dict()) for stage in stages if len(stages) > 1]
    courses = [Course(stage) for stage in stages]
    try:
        stack = Stack(courses)
    except NotStackableError as error:
        warnings.warn(f"Seeds are fitted one after another: {error}", UserWarning, stacklevel=3)
        for stage, start in zip(stages, starts, strict=True):
            stage.model.load_state_dict(start)
        return [fit_together([stage])[0] for stage in stages]
    _train(stack)
    return [course.finish() for course in courses]


def run_plans(plans: Sequence[Plan[T]]) -> list[T]:
    """Run plans side by side, stage by stage; what each of them returns."""
    replies: list[Any] = [None] * len(plans)
    values: list[T] = []
    with single_precision(), torch.inference_mode(False):
        while not values:
            stages = []
            for plan, reply in zip(plans, replies, strict=True):
                try:
                    stages.append(plan.send(reply))
                except StopIteration as end:
                    values.append(end.value)
            if stages:
                replies = fit_together(stages)
    return values


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def _train(stack: Stack) -> None:
    """Step and evaluate until all are done, behind a progress bar."""
    courses = stack.courses
    progress = courses[0].stage.progress
    total = sum(course.stage.max_steps for course in courses)
    done = sum(course.run.step for course in courses)
    hidden = None if progress is None else not progress
    if courses[0].workers.rank:
        hidden = True
    kept = any(course.stage.checkpoint is not None for course in courses)
    with (
        tqdm(total=total, initial=done, disable=hidden, unit="step") as bar,
        Interruption(wait=kept) as interruption,
    ):
        while behind := _behind(courses):
            stack.take_step(behind)
            bar.update(len(behind))
            if behind[0].evaluation_due:
                for course in behind:
                    course.evaluate()
                bar.set_postfix_str(behind[0].run.summary())
            if interruption.received:
                for course in courses:
                    course.save()
                interruption.act()


def _behind(courses: Sequence[Course]) -> list[Course]:
    """Those with the fewest steps of the ones that are not done: all of them, but after a crash."""
    left = [course for course in courses if not course.done]
    first = min((course.run.step for course in left), default=0)
    return [course for course in left if course.run.step == first]
