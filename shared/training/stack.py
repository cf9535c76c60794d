"""The steps of one model, or of several of one form that are differentiated as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from shared.compilation import Compilation, Function
from shared.random import Randomness, standard_normal
from shared.training.course import Course
from shared.training.noise import DrawnBefore, RecordedShapes
from shared.training.run import Model

# The numbers of more models do not fit in a core's cache, and are then slower to work with.
AT_ONCE = 4


class NotStackableError(RuntimeError):
    """`torch.func.vmap` cannot run this model."""


class Stack:
    """Takes the steps of S courses at once, whose models are of one form.

    The parameters of S models are rows of one matrix (S, P), and their losses and gradients a
    function of that, by `torch.func.vmap`; those of one model a function of its vector (P,). Either
    is compiled where that pays. Each model then steps along its own row, so that clipping, skipped
    steps, best weights and checkpoints are those of a model trained alone.

    Raises:
        NotStackableError: for several models that can not be differentiated as one.
    """

    def __init__(self, courses: Sequence[Course]) -> None:
        self.courses, self.many = list(courses), len(courses) > 1
        stage, self.flat = courses[0].stage, courses[0].run.flat
        self.compilation = Compilation(stage.compile, stage.model, stage.max_steps)
        self.loss = LossOf(stage.model)
        names = {id(parameter): name for name, parameter in self.loss.named_parameters()}
        self.names = [names[id(parameter)] for parameter in self.flat.parameters]
        self.fixed: Mapping[str, Tensor] = {}
        self.differing: set[str] = set()
        self.function: Function | None = None
        if self.many:
            self._stack()
        elif self.compilation.on:
            self.fixed = _what_is_fixed(self.loss, set(self.names))
            self.noise_shapes = self._record_noise()

    def take_step(self, courses: Sequence[Course]) -> None:
        """One step of each of these courses, which are at the same step."""
        losses, gradients = self.differentiate(courses)
        if not self.many:
            courses[0].update(losses, gradients)
            return
        for course, loss, gradient in zip(courses, losses, gradients, strict=True):
            course.update(loss, gradient)

    def differentiate(self, courses: Sequence[Course]) -> tuple[Tensor, Tensor]:
        """Losses (S,) and gradients (S, P) of the step to come; () and (P,) of one model alone."""
        if not self.loss.model.training:  # it takes as long as a layer to go through all modules
            self.loss.model.train()
        if not (self.many or self.compilation.on):
            (course,) = courses
            return self._of_vectors(self.flat.vector, *course.batch(), {}, course.noise)
        x, u = self._gather([course.batch() for course in courses])
        draws = [
            self._together([standard_normal(shape, x, course.noise) for course in courses])
            for shape in self.noise_shapes
        ]
        if len(courses) < len(self.courses):
            # Compiled for all of them: once some are done, the others go on as they are.
            rows = [self.courses.index(course) for course in courses]
            fixed = [v[rows] if n in self.differing else v for n, v in self.fixed.items()]
            return self._of_tensors(self.matrix[rows], x, u, *fixed, *draws)
        vectors = self.matrix if self.many else self.flat.vector
        inputs = [vectors, x, u, *self.fixed.values(), *draws]
        if self.function is None:
            self.function = self.compilation.version(self._of_tensors, inputs)
        losses, gradients = self.function(*inputs)
        return losses, gradients

    def _of_tensors(
        self, vectors: Tensor, x: Tensor, u: Tensor, *rest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`_of_vectors` as a function of tensors alone: what is fixed follows, then the noise."""
        fixed = dict(zip(self.fixed, rest, strict=False))
        return self._of_vectors(vectors, x, u, fixed, rest[len(fixed) :])

    def _of_vectors(
        self,
        vectors: Tensor,
        x: Tensor,
        u: Tensor,
        fixed: Mapping[str, Tensor],
        noise: Randomness | Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Mean losses and their gradients, for batches x (..., B, d), u (..., B, ...)."""
        lead = vectors.shape[:-1]
        leaves = [
            vectors[..., part].reshape(lead + p.shape).detach().requires_grad_()
            for part, p in zip(self.flat.slices, self.flat.parameters, strict=True)
        ]
        with torch.enable_grad():
            losses = self._losses(leaves, fixed, x, u, noise)
            gradients = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
        return losses.detach(), torch.cat([g.reshape(*lead, -1) for g in gradients], dim=-1)

    @property
    def _losses(self) -> Callable[..., Tensor]:
        if not self.many:
            return self._loss
        dims = {name: 0 if name in self.differing else None for name in self.fixed}
        return vmap(self._loss, in_dims=(0, dims, 0, 0, 0))

    def _loss(
        self,
        weights: Sequence[Tensor],
        fixed: Mapping[str, Tensor],
        x: Tensor,
        u: Tensor,
        noise: Randomness | Sequence[Tensor],
    ) -> Tensor:
        """The mean loss () of one model."""
        named = dict(zip(self.names, weights, strict=True)) | dict(fixed)
        source = DrawnBefore(noise) if isinstance(noise, Sequence) else noise
        return functional_call(self.loss, named, (x, u, source)).mean()

    def _gather(self, batches: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        x, u = map(self._together, zip(*batches, strict=True))
        return x, u

    def _together(self, tensors: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(tensors)) if self.many else tensors[0]

    def _stack(self) -> None:
        """Move all parameters into one matrix, and see whether the models work as one."""
        models = [LossOf(course.stage.model) for course in self.courses]
        fixed = [_what_is_fixed(model, set(self.names)) for model in models]
        differing = _what_differs(fixed)
        self.differing, self.fixed = set(differing), {**fixed[0], **differing}
        with _refusals():
            self.noise_shapes = self._record_noise()
        self.matrix = torch.stack([course.run.flat.vector for course in self.courses])
        for course, row in zip(self.courses, self.matrix, strict=True):
            course.run.flat.move_to(row)
        with _refusals():
            self.differentiate(self.courses)

    @torch.no_grad()
    def _record_noise(self) -> list[tuple[int, ...]]:
        """The shapes of the noise that a loss draws at each step."""
        x, u = self.courses[0].batch()
        recorder = RecordedShapes(self.courses[0].noise)
        self.loss.model.train()
        self.loss(x, u, recorder)
        return recorder.shapes


class Stacks:
    """Takes the steps of any number of courses, in stacks of a size that is fast."""

    def __init__(self, courses: Sequence[Course]) -> None:
        self.courses = list(courses)
        n_stacks = -(-len(courses) // AT_ONCE)
        ends = [stack * len(courses) // n_stacks for stack in range(n_stacks + 1)]
        self.stacks = [Stack(courses[first:last]) for first, last in pairwise(ends)]

    def take_step(self, courses: Sequence[Course]) -> None:
        """One step of each of these courses, which are at the same step."""
        for stack in self.stacks:
            members = [course for course in stack.courses if course in courses]
            if members:
                stack.take_step(members)


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


def _what_is_fixed(model: nn.Module, trained: set[str]) -> Mapping[str, Tensor]:
    """Buffers, and parameters that are not trained."""
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: tensor.detach() for name, tensor in state.items() if name not in trained}


def _what_differs(states: Sequence[Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """What is not the same in all of them, stacked: name → (S, ...)."""
    values = {name: [state[name] for state in states] for name in states[0]}
    return {
        name: torch.stack(tensors)
        for name, tensors in values.items()
        if not all(torch.equal(tensors[0], other) for other in tensors[1:])
    }
