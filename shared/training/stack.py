"""The steps of one model, or of several of one form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from identiflow.shared.compute.compilation import Compilation, Function
from identiflow.shared.compute.random import Randomness, standard_normal
from identiflow.shared.training.course import Course
from identiflow.shared.training.noise import DrawnBefore, RecordedShapes
from identiflow.shared.training.run import Model


class NotStackableError(RuntimeError):
    """`torch.func.vmap` cannot run these models as one."""


class Stack:
    """Takes the steps of S courses, whose models are of one form.

    Where it pays, the loss and gradient of one model are compiled, as a function of tensors that
    serves them all in turn. Otherwise one call of `torch.func.vmap` is for all of them, whose
    parameters are then the rows of one matrix (S, P). Each model steps along its own gradient, so
    that clipping, skipped steps, best weights and checkpoints are those of a model trained alone.

    Raises:
        NotStackableError: for several models that can not be differentiated as one.
    """

    def __init__(self, courses: Sequence[Course]) -> None:
        self.courses, self.many = list(courses), len(courses) > 1
        stage, self.flat = courses[0].stage, courses[0].run.flat
        compilation = Compilation(stage.compile, stage.model, stage.max_steps)
        self.loss = LossOf(stage.model)
        names = {id(parameter): name for name, parameter in self.loss.named_parameters()}
        self.names = [names[id(parameter)] for parameter in self.flat.parameters]
        self.fixed = [_what_is_fixed(course, set(self.names)) for course in courses]
        self.compiled: Function | None = None
        if self.many:
            with _refusals():
                _check_form(self.courses, self.fixed)
                self.noise_shapes = self._record_noise()
        elif compilation.on:
            self.noise_shapes = self._record_noise()
        if compilation.on:
            self.compiled = self._compile(compilation)
        if self.many and self.compiled is None:
            self._stack()

    def take_step(self, courses: Sequence[Course]) -> None:
        """One step of each of these courses, which are at the same step."""
        for course, (loss, gradient) in zip(courses, self.differentiate(courses), strict=True):
            course.update(loss, gradient)

    def differentiate(self, courses: Sequence[Course]) -> Iterable[tuple[Tensor, ...]]:
        """The loss () and the gradient (P,) of each course's step to come."""
        if not self.loss.model.training:  # it takes as long as a layer to go through all modules
            self.loss.model.train()
        if self.compiled is not None:
            return [self.compiled(*self._tensors_of(course)) for course in courses]
        if self.many:
            return zip(*self._differentiate_together(courses), strict=True)
        (course,) = courses
        return [self._of_vectors(self.flat.vector, *course.batch(), {}, course.noise, self._loss)]

    def _compile(self, compilation: Compilation) -> Function | None:
        """`_of_tensors`, if it pays to compile that."""
        version = compilation.version(self._of_tensors, self._tensors_of(self.courses[0]))
        return None if version == self._of_tensors else version

    def _tensors_of(self, course: Course) -> list[Tensor]:
        """The arguments of `_of_tensors` in the step to come."""
        fixed = self.fixed[self.courses.index(course)].values()
        return [course.run.flat.vector, *course.batch(), *fixed, *self._draw(course)]

    def _of_tensors(
        self, vector: Tensor, x: Tensor, u: Tensor, *rest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`_of_vectors` of one model; what is fixed follows, then the noise."""
        fixed = dict(zip(self.fixed[0], rest, strict=False))
        return self._of_vectors(vector, x, u, fixed, rest[len(fixed) :], self._loss)

    def _of_vectors(
        self,
        vectors: Tensor,
        x: Tensor,
        u: Tensor,
        fixed: Mapping[str, Tensor],
        noise: Randomness | Sequence[Tensor],
        losses_of: Callable[..., Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Mean losses (...) and their gradients (..., P), for x (..., B, d), u (..., B, ...)."""
        lead = vectors.shape[:-1]
        leaves = [
            vectors[..., part].reshape(lead + p.shape).detach().requires_grad_()
            for part, p in zip(self.flat.slices, self.flat.parameters, strict=True)
        ]
        with torch.enable_grad():
            losses = losses_of(leaves, fixed, x, u, noise)
            gradients = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
        return losses.detach(), torch.cat([g.reshape(*lead, -1) for g in gradients], dim=-1)

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

    def _differentiate_together(self, courses: Sequence[Course]) -> tuple[Tensor, Tensor]:
        """Losses (S,) and gradients (S, P)."""
        rows = [self.courses.index(course) for course in courses]
        whole = len(rows) == len(self.courses)
        vectors = self.matrix if whole else self.matrix[rows]
        fixed = self.fixed[0] | {
            name: values if whole else values[rows] for name, values in self.differing.items()
        }
        x, u = map(torch.stack, zip(*[course.batch() for course in courses], strict=True))
        draws = [self._draw(course) for course in courses]
        noise = [torch.stack(same) for same in zip(*draws, strict=True)]
        dims = {name: 0 if name in self.differing else None for name in fixed}
        losses_of = vmap(self._loss, in_dims=(0, dims, 0, 0, 0))
        return self._of_vectors(vectors, x, u, fixed, noise, losses_of)

    def _stack(self) -> None:
        """Move all parameters into one matrix, and see whether the models work as one."""
        self.differing = _what_differs(self.fixed)
        self.matrix = torch.stack([course.run.flat.vector for course in self.courses])
        for course, row in zip(self.courses, self.matrix, strict=True):
            course.run.flat.move_to(row)
        before = {name: values.clone() for name, values in self.differing.items()}
        with _refusals():
            self.differentiate(self.courses)
            if not all(torch.equal(before[name], now) for name, now in self.differing.items()):
                raise ValueError("it changes tensors in a step that are no parameters")

    def _draw(self, course: Course) -> list[Tensor]:
        """The noise of the step whose batch was drawn last."""
        x = course.stage.x_held_out  # whose kind all noise has
        return [standard_normal(shape, x, course.noise) for shape in self.noise_shapes]

    @torch.no_grad()
    def _record_noise(self) -> list[tuple[int, ...]]:
        """The shapes of the noise that a loss draws at each step."""
        x, u = self.courses[0].batch()
        recorder = RecordedShapes(self.courses[0].noise)
        self.loss.model.train()
        copies = {name: tensor.clone() for name, tensor in self.fixed[0].items()}
        functional_call(self.loss, copies, (x, u, recorder))
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
    except (RuntimeError, TypeError, ValueError) as error:
        raise NotStackableError(f"torch.func.vmap cannot run the model ({error})") from error


def _what_is_fixed(course: Course, trained: set[str]) -> dict[str, Tensor]:
    """Buffers, and parameters that are not trained."""
    model = LossOf(course.stage.model)
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: tensor.detach() for name, tensor in state.items() if name not in trained}


def _check_form(courses: Sequence[Course], fixed: Sequence[Mapping[str, Tensor]]) -> None:
    """Raise unless all models have tensors of the same names and shapes."""
    forms = [
        (
            [parameter.shape for parameter in course.run.flat.parameters],
            {name: tensor.shape for name, tensor in tensors.items()},
        )
        for course, tensors in zip(courses, fixed, strict=True)
    ]
    if any(form != forms[0] for form in forms):
        raise ValueError("their tensors differ in number, name or shape")


def _what_differs(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What is not the same in all of them, stacked: name → (S, ...)."""
    values = {name: [state[name] for state in states] for name in states[0]}
    return {
        name: torch.stack(tensors)
        for name, tensors in values.items()
        if not all(torch.equal(tensors[0], other) for other in tensors[1:])
    }
