"""Many models in steps together are stacked in parts of bounded size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from shared.training import Stage
from shared.training.course import Course
from shared.training.stack import AT_ONCE, Stacks


class Shifted(nn.Module):
    """|x − w_u|², with w_0 = w_1 = 0 at first."""

    loss_name = "squared distance"

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, 2))

    def loss(self, x: Tensor, u: Tensor, generator: object = None) -> Tensor:
        return (x - self.w[u]).square().sum(-1)


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_many_models_are_stacked_in_parts(count: int) -> None:
    x, u = torch.randn(8, 2), torch.arange(8) % 2
    rows = {"x": x, "u": u, "x_held_out": x[:1], "u_held_out": u[:1]}
    courses = [Course(Stage(model=Shifted(), **rows, seed=seed)) for seed in range(count)]
    stacks = Stacks(courses)
    assert [course for stack in stacks.stacks for course in stack.courses] == courses
    assert max(len(stack.courses) for stack in stacks.stacks) <= AT_ONCE
    stacks.take_step(courses[1:])
    assert [course.run.step for course in courses] == [0] + (count - 1) * [1]
