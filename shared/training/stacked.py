"""Steps of several models at once, by `torch.func.vmap`.

For short fits of many seeds: a flow of eight seeds takes half the time for each that it takes by
itself, a small VAE about the same. Long fits on a CPU are compiled, and do not come here.

vmap asks things of models that know nothing of seeds, and each of them says so where it is done:

- noise comes from `standard_normal`, which takes draws made before for a generator
  (`shared/compute/random.py`, `shared/training/noise.py`);
- nothing is added or written in place to a tensor that belongs to no model (`Composition` in
  `iflow/transforms.py`, for nflows' composite);
- gathering and indexing by tensors have forms that vmap knows (`iflow/elements.py`,
  `ivae/encoders.py`), and no shape depends on a value;
- a gradient is scaled by a factor that is known later by a function of autograd, not by a hook
  (`ivae/late_scale.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.func import vmap

from identiflow.shared.training.steps import LossFunction, NotStackableError, draws_of
from identiflow.shared.training.training import Training


class Stacked:
    """One call of `torch.func.vmap` for all models, whose parameters are rows of one matrix (S, P).

    Raises:
        NotStackableError: for models that cannot be differentiated as one; they are as before.
    """

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.trainings = list(trainings)
        self.loss = LossFunction(trainings)
        with _refusals():
            self.shapes = self.loss.shapes_of_noise()
        self.fixed = dict(self.loss.fixed[trainings[0]])
        self.differing = _what_differs(list(self.loss.fixed.values()))
        self.matrix = torch.stack([training.optimizer.flat.vector for training in trainings])
        with _refusals():
            self._try()
        for training, row in zip(trainings, self.matrix, strict=True):
            training.optimizer.flat.move_to(row)

    def differentiate(self, trainings: Sequence[Training]) -> Iterable[tuple[Tensor, Tensor]]:
        """As `Steps` says."""
        self.loss.set_training()
        rows = [self.trainings.index(training) for training in trainings]
        if len(rows) == len(self.trainings):
            return self._of(trainings, self.matrix, self.differing)
        some = {name: values[rows] for name, values in self.differing.items()}
        return self._of(trainings, self.matrix[rows], some)

    def _of(
        self, trainings: Sequence[Training], vectors: Tensor, differing: dict[str, Tensor]
    ) -> Iterable[tuple[Tensor, Tensor]]:
        """The loss and gradient of each, from parameters (S, P) and what else is not the same."""
        x, u = map(torch.stack, zip(*[training.batch() for training in trainings], strict=True))
        draws = [draws_of(training, self.shapes) for training in trainings]
        noise = [torch.stack(same) for same in zip(*draws, strict=True)]
        fixed = self.fixed | differing
        dims = {name: 0 if name in differing else None for name in fixed}
        mean = vmap(self.loss.mean, in_dims=(0, dims, 0, 0, 0))
        losses, gradients = self.loss.differentiate(vectors, x, u, fixed, noise, mean)
        return zip(losses, gradients, strict=True)

    def _try(self) -> None:
        """Differentiate copies once, to see whether it works and leaves fixed tensors alone."""
        kept, self.fixed = self.fixed, {name: t.clone() for name, t in self.fixed.items()}
        copies = {name: values.clone() for name, values in self.differing.items()}
        try:
            self.loss.set_training()
            self._of(self.trainings, self.matrix, copies)
            after = self.fixed | copies
        finally:
            self.fixed = kept
        if not all(torch.equal(now, after[name]) for name, now in (kept | self.differing).items()):
            raise ValueError("it changes tensors in a step that are no parameters")


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise what is wrong with models that cannot be differentiated as one, as one error."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:
        raise NotStackableError(f"torch.func.vmap cannot run the model ({error})") from error


def _what_differs(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors that are not the same in all of them, stacked: name → (S, ...)."""
    values = {name: [state[name] for state in states] for name in states[0]}
    return {
        name: torch.stack(tensors)
        for name, tensors in values.items()
        if not all(torch.equal(tensors[0], other) for other in tensors[1:])
    }
