"""Several models take their steps as one, each along its own gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from identiflow.shared.training import Stage
from identiflow.shared.training.stacked import Stacked
from identiflow.shared.training.steps import Eager, NotStackableError, take
from identiflow.shared.training.training import Training


class Shifted(nn.Module):
    """|x − w_u|², with w_0 = w_1 = 0 at first."""

    loss_name = "squared distance"

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, 2))

    def loss(self, x: Tensor, u: Tensor, generator: object = None) -> Tensor:
        return (x - self.w[u]).square().sum(-1)


def trainings_of(models: list[nn.Module]) -> list[Training]:
    x, u = torch.arange(16.0).view(8, 2), torch.arange(8) % 2
    rows = {"x": x, "u": u, "x_held_out": x[:1], "u_held_out": u[:1]}
    return [Training(Stage(model=model, **rows, seed=seed)) for seed, model in enumerate(models)]


@pytest.mark.parametrize("kind", [Stacked, Eager])
def test_several_models_step_as_each_would(kind: type[Stacked | Eager]) -> None:
    together, alone = (trainings_of([Shifted() for _ in range(3)]) for _ in range(2))
    steps = kind(together)
    take(steps, together)
    take(steps, together[1:])  # those that are not done
    for training, taken in zip(alone, (1, 2, 2), strict=True):
        for _ in range(taken):
            take(Eager([training]), [training])
    assert [training.step for training in together] == [1, 2, 2]
    for got, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(got.model.w, expected.model.w)
        assert got.model.w.abs().min() > 0


def test_models_of_different_forms_are_refused() -> None:
    other = Shifted()
    other.w = nn.Parameter(torch.zeros(3, 2))
    with pytest.raises(NotStackableError, match="their tensors differ in number, name or shape"):
        Stacked(trainings_of([Shifted(), other]))
    other = Shifted()
    other.register_buffer("scale", torch.ones(2))
    with pytest.raises(NotStackableError, match="their tensors differ"):
        Stacked(trainings_of([Shifted(), other]))


class Counting(Shifted):
    """It counts its steps in a tensor that is no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros(()))

    def loss(self, x: Tensor, u: Tensor, generator: object = None) -> Tensor:
        self.steps += 1
        return super().loss(x, u)


def test_a_model_that_is_refused_is_as_it_was() -> None:
    trainings = trainings_of([Counting(), Counting()])
    with pytest.raises(NotStackableError, match="vmap cannot run the model"):
        Stacked(trainings)
    assert all(training.model.steps == 0 for training in trainings)
