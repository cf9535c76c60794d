"""Several models of one form, differentiated as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from shared.random import standard_normal
from shared.training.course import Course
from shared.training.noise import DrawnBefore, RecordedShapes
from shared.training.run import Model


class NotStackableError(RuntimeError):
    """`torch.func.vmap` cannot run this model."""


class Stack:
    """The parameters of S models as rows of one matrix (S, P).

    A step computes the losses and gradients of all models in one pass, by `torch.func.vmap`; each
    model then steps along its own row, so that clipping, skipped steps, best weights and
    checkpoints are those of a model trained alone.
    """

    def __init__(self, courses: Sequence[Course]) -> None:
        self.courses = list(courses)
        self.flat = courses[0].run.flat
        self.loss = LossOf(courses[0].stage.model)
        names = {id(parameter): name for name, parameter in self.loss.named_parameters()}
        self.names = [names[id(parameter)] for parameter in self.flat.parameters]
        self.fixed = _what_differs([LossOf(c.stage.model) for c in courses], set(self.names))
        with _refusals():
            self.noise_shapes = self._record_noise()
        self.matrix = torch.stack([course.run.flat.vector for course in courses])
        for course, row in zip(courses, self.matrix, strict=True):
            course.run.move_to(row)
        with _refusals():
            self._of_batches(self.courses)

    def take_step(self, courses: Sequence[Course]) -> None:
        """One step of each of these courses, which are at the same step."""
        for course, loss, gradient in zip(courses, *self._of_batches(courses), strict=True):
            course.update(loss, gradient)

    def _of_batches(self, courses: Sequence[Course]) -> tuple[Tensor, Tensor]:
        """Losses (S,) and gradients (S, P) of the step to come."""
        x, u = map(torch.stack, zip(*[course.batch() for course in courses], strict=True))
        draws = [
            torch.stack([standard_normal(shape, x, course.noise) for course in courses])
            for shape in self.noise_shapes
        ]
        everyone = len(courses) == len(self.courses)
        rows = slice(None) if everyone else [self.courses.index(course) for course in courses]
        return self._differentiate(rows, x, u, draws)

    def _differentiate(
        self, rows: Any, x: Tensor, u: Tensor, draws: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Mean losses (S,) and their gradients (S, P), for batches x (S, B, d), u (S, B, ...)."""
        self.loss.model.train()
        leaves = [
            self.matrix[rows, part].unflatten(1, p.shape).detach().requires_grad_()
            for part, p in zip(self.flat.slices, self.flat.parameters, strict=True)
        ]
        fixed = {name: values[rows] for name, values in self.fixed.items()}

        def loss(weights: list[Tensor], fixed: dict, x: Tensor, u: Tensor, draws: list) -> Tensor:
            named = dict(zip(self.names, weights, strict=True)) | fixed
            return functional_call(self.loss, named, (x, u, DrawnBefore(draws))).mean()

        # Compiled for all of them: once some are done, the others go on as they are.
        compilation = self.courses[0].run.compilation
        everyone = len(x) == len(self.courses)
        with compilation.regions(stacked=True) if everyone else nullcontext():
            losses = vmap(loss)(leaves, fixed, x, u, draws)
        gradients = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
        return losses.detach(), torch.cat([g.flatten(1) for g in gradients], dim=1)

    @torch.no_grad()
    def _record_noise(self) -> list[tuple[int, ...]]:
        """The shapes of the noise that a loss draws at each step."""
        x, u = self.courses[0].batch()
        recorder = RecordedShapes(self.courses[0].noise)
        self.loss.model.train()
        self.loss(x, u, recorder)
        return recorder.shapes


class LossOf(nn.Module):
    """A model's loss as a module's forward, which is what `functional_call` calls."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, x: Tensor, u: Tensor, generator: Any) -> Tensor:
        """The loss of each row, (B,)."""
        return self.model.loss(x, u, generator)


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise what is wrong with models that cannot be differentiated as one, as one error."""
    try:
        yield
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        raise NotStackableError(f"torch.func.vmap cannot run the model ({error})") from error


def _what_differs(models: Sequence[nn.Module], trained: set[str]) -> Mapping[str, Tensor]:
    """What is not trained and yet not the same in all models, stacked: name → (S, ...)."""
    states = [dict(model.named_parameters()) | dict(model.named_buffers()) for model in models]
    rest = [name for name in states[0] if name not in trained]
    values = {name: [state[name].detach() for state in states] for name in rest}
    return {
        name: torch.stack(tensors)
        for name, tensors in values.items()
        if not all(torch.equal(tensors[0], other) for other in tensors[1:])
    }
