"""Steps by a compiled function: the loss and gradient of one model, which serves all seeds in turn.

Stacked, seeds would no longer stay in a core's cache, and be slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from identiflow.shared.compute.compilation import Compilation, Function
from identiflow.shared.training.steps import LossFunction, draws_of
from identiflow.shared.training.training import Training


class Compiled:
    """Calls a function of a step's tensors that was compiled; see `compiled_steps`.

    Args:
        loss: of the models, which are of one form.
        shapes: of the noise of a step.
    """

    def __init__(self, loss: LossFunction, shapes: Sequence[tuple[int, ...]]) -> None:
        self.loss, self.shapes = loss, shapes
        self.function: Function = self.of_tensors

    def differentiate(self, trainings: Sequence[Training]) -> list[tuple[Tensor, Tensor]]:
        """As `Steps` says."""
        self.loss.set_training()
        return [self._of_one(training) for training in trainings]

    def _of_one(self, training: Training) -> tuple[Tensor, Tensor]:
        loss, gradient = self.function(*self.tensors_of(training))
        return loss, gradient

    def tensors_of(self, training: Training) -> list[Tensor]:
        """The arguments of the function in the step to come."""
        batch, fixed = training.batch(), self.loss.fixed[training].values()
        return [
            training.optimizer.flat.vector,
            *batch,
            *fixed,
            *draws_of(training, self.shapes),
        ]

    def of_tensors(
        self, vector: Tensor, x: Tensor, u: Tensor, *rest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss and gradient of one model; what is fixed follows, then the noise."""
        names = self.loss.fixed[self.loss.first]
        fixed = dict(zip(names, rest, strict=False))
        return self.loss.differentiate(vector, x, u, fixed, rest[len(fixed) :])


def compiled_steps(
    trainings: Sequence[Training],
    compilation: Compilation,
    say: Callable[[str], object] = str,
) -> Compiled | None:
    """The compiled steps of these trainings, where they are asked for or pay; else None.

    Args:
        trainings: of models of one form.
        compilation: of the first of them.
        say: told what goes on, since it can take long.
    """
    if not compilation.on:
        return None
    loss = LossFunction(trainings)
    steps = Compiled(loss, loss.shapes_of_noise())
    loss.set_training()
    function = compilation.version(steps.of_tensors, steps.tensors_of(trainings[0]), say)
    if function is None:
        return None
    steps.function = function
    return steps
