"""Several models take their steps as one, each along its own gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from identiflow.shared.training import Stage
from identiflow.shared.training.course import Course
from identiflow.shared.training.stack import NotStackableError, Stack


class Shifted(nn.Module):
    """|x − w_u|², with w_0 = w_1 = 0 at first."""

    loss_name = "squared distance"

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, 2))

    def loss(self, x: Tensor, u: Tensor, generator: object = None) -> Tensor:
        return (x - self.w[u]).square().sum(-1)


def courses_of(models: list[nn.Module]) -> list[Course]:
    x, u = torch.arange(16.0).view(8, 2), torch.arange(8) % 2
    rows = {"x": x, "u": u, "x_held_out": x[:1], "u_held_out": u[:1]}
    return [Course(Stage(model=model, **rows, seed=seed)) for seed, model in enumerate(models)]


def test_a_stack_steps_as_its_models_would() -> None:
    together, alone = (courses_of([Shifted() for _ in range(3)]) for _ in range(2))
    stack = Stack(together)
    stack.take_step(together)
    stack.take_step(together[1:])  # those that are not done
    for course, taken in zip(alone, (1, 2, 2), strict=True):
        for _ in range(taken):
            Stack([course]).take_step([course])
    assert [course.run.step for course in together] == [1, 2, 2]
    for got, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(got.stage.model.w, expected.stage.model.w)
        assert got.stage.model.w.abs().min() > 0


def test_models_of_different_forms_are_refused() -> None:
    other = Shifted()
    other.w = nn.Parameter(torch.zeros(3, 2))
    with pytest.raises(NotStackableError, match="their tensors differ in number, name or shape"):
        Stack(courses_of([Shifted(), other]))
    other = Shifted()
    other.register_buffer("scale", torch.ones(2))
    with pytest.raises(NotStackableError, match="their tensors differ"):
        Stack(courses_of([Shifted(), other]))
