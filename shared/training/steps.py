"""Steps of trainings: what gives the loss and the gradient of each, and that each takes its step.

There are three ways. Each model by itself, here, takes any model. `stacked.Stacked` differentiates
models of one form in one pass, `compiled.Compiled` by a compiled function; both need a loss that is
a function of tensors, which `LossFunction` makes of it. `fit.choose_steps` chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from identiflow.shared.compute.random import Randomness, standard_normal
from identiflow.shared.training.model import Model
from identiflow.shared.training.noise import DrawnBefore, RecordedShapes
from identiflow.shared.training.training import Training


class NotStackableError(RuntimeError):
    """These models cannot be differentiated as one."""


class Steps(Protocol):
    """One way of differentiating a number of trainings."""

    def differentiate(self, trainings: Sequence[Training]) -> Iterable[tuple[Tensor, Tensor]]:
        """The loss () and the gradient (P,) of the step to come of some of the trainings."""
        ...


def take(steps: Steps, trainings: Sequence[Training]) -> None:
    """One step of each of these trainings, which are at the same step.

    Each goes along its own gradient, so that clipping, skipped steps, best weights and checkpoints
    are those of a model trained alone.
    """
    each = zip(trainings, steps.differentiate(trainings), strict=True)
    for training, (loss, gradient) in each:
        training.update(loss, gradient)


class Eager:
    """Each model by itself, its operations one after another."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.functions = {training: LossFunction([training]) for training in trainings}

    def differentiate(self, trainings: Sequence[Training]) -> list[tuple[Tensor, Tensor]]:
        """As `Steps` says."""
        return [self._of_one(training) for training in trainings]

    def _of_one(self, training: Training) -> tuple[Tensor, Tensor]:
        function = self.functions[training]
        function.set_training()
        vector = training.optimizer.flat.vector
        return function.differentiate(vector, *training.batch(), {}, training.noise)


class LossFunction:
    """The mean loss of models of one form, and its gradient, as functions of tensors.

    Args:
        trainings: of the models, whose buffers and fixed parameters are kept as `fixed`.

    Raises:
        NotStackableError: for models whose tensors differ in number, name or shape.
    """

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.first = trainings[0]
        self.module, self.flat = LossOf(self.first.model), self.first.optimizer.flat
        names = {id(parameter): name for name, parameter in self.module.named_parameters()}
        self.names = [names[id(parameter)] for parameter in self.flat.parameters]
        self.fixed = {training: self._fixed(training) for training in trainings}
        if any(self._form(training) != self._form(self.first) for training in trainings[1:]):
            raise NotStackableError("their tensors differ in number, name or shape")

    def _fixed(self, training: Training) -> dict[str, Tensor]:
        """Buffers of its model, and parameters that are not trained."""
        module, trained = LossOf(training.model), set(self.names)
        state = dict(module.named_parameters()) | dict(module.named_buffers())
        return {name: tensor.detach() for name, tensor in state.items() if name not in trained}

    def _form(self, training: Training) -> object:
        """Equal for models that have tensors of the same names and shapes."""
        fixed = {name: tensor.shape for name, tensor in self.fixed[training].items()}
        return [p.shape for p in training.optimizer.flat.parameters], fixed

    def set_training(self) -> None:
        """Put the model in training mode, if it is in another."""
        if not self.first.model.training:  # it takes as long as a layer to go through all modules
            self.first.model.train()

    @torch.no_grad()
    def shapes_of_noise(self) -> list[tuple[int, ...]]:
        """The shapes of what a loss draws at each step."""
        x, u = self.first.batch()
        recorder = RecordedShapes(self.first.noise)
        self.first.model.train()
        copies = {name: tensor.clone() for name, tensor in self.fixed[self.first].items()}
        functional_call(self.module, copies, (x, u, recorder))
        return recorder.shapes

    def mean(
        self,
        weights: Sequence[Tensor],
        fixed: Mapping[str, Tensor],
        x: Tensor,
        u: Tensor,
        noise: Randomness | Sequence[Tensor],
    ) -> Tensor:
        """The mean loss () of one model, whose noise is drawn here or was drawn before."""
        named = dict(zip(self.names, weights, strict=True)) | dict(fixed)
        source = DrawnBefore(noise) if isinstance(noise, Sequence) else noise
        return functional_call(self.module, named, (x, u, source)).mean()

    def differentiate(
        self,
        vectors: Tensor,
        x: Tensor,
        u: Tensor,
        fixed: Mapping[str, Tensor],
        noise: Randomness | Sequence[Tensor],
        mean: Callable[..., Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Mean losses (...) and their gradients (..., P), for x (..., B, d), u (..., B, ...).

        Args:
            vectors: parameters (..., P).
            x, u, fixed, noise: see `mean`.
            mean: that function for several models at once; by default for one.
        """
        lead = vectors.shape[:-1]
        leaves = [
            vectors[..., part].reshape(lead + p.shape).detach().requires_grad_()
            for part, p in zip(self.flat.slices, self.flat.parameters, strict=True)
        ]
        with torch.enable_grad():
            losses = (mean or self.mean)(leaves, fixed, x, u, noise)
            gradients = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
        return losses.detach(), torch.cat([g.reshape(*lead, -1) for g in gradients], dim=-1)


class LossOf(nn.Module):
    """A model's loss as a module's forward, which is what `functional_call` calls."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, x: Tensor, u: Tensor, generator: Any) -> Tensor:
        """The loss of each row, (B,)."""
        return self.model.loss(x, u, generator)


def draws_of(training: Training, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """The noise of the step whose batch was drawn last."""
    like = training.stage.x_held_out  # whose kind all noise has
    return [standard_normal(shape, like, training.noise) for shape in shapes]
