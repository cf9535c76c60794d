"""Laws of the training before a fit: it is a fit to its last step, on rows of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from identiflow.shared.compute.random import seeded
from identiflow.shared.training import fit, fit_together, start_stage

X, U = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) + 3, torch.zeros(50)
OPTIONS = {"batch_size": 9, "learning_rate": 0.1, "seed": 4, "progress": False}


class Centre(nn.Module):
    """½ |x − w|²; it keeps every row that it is shown."""

    loss_name = "half squared distance"

    def __init__(self) -> None:
        super().__init__()
        with seeded(0):
            self.w = nn.Parameter(torch.randn(2))
        self.trained_on: set[tuple[float, ...]] = set()

    def loss(self, x: Tensor, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        if self.training:
            self.trained_on |= {tuple(row) for row in x.tolist()}
        return 0.5 * (x - self.w).square().sum(-1)


class Flat(Centre):
    """A loss that no step changes; it counts them."""

    steps = 0

    def loss(self, x: Tensor, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        self.steps += self.training
        return 0 * super().loss(x, u, generator)


def test_the_first_tenth_of_the_rows_chooses_the_weights() -> None:
    start, expected = Centre(), Centre()
    fit_together([start_stage(start, X, U, max_steps=30, **OPTIONS)])
    fit(expected, X[5:], U[5:], x_held_out=X[:5], u_held_out=U[:5], max_steps=30, **OPTIONS)
    torch.testing.assert_close(start.w, expected.w, rtol=0, atol=0)
    assert start.trained_on == {tuple(row) for row in X[5:].tolist()}


def test_a_start_ends_with_its_steps_though_nothing_improves() -> None:
    flat = Flat()
    fit_together([start_stage(flat, X, U, max_steps=120, **OPTIONS)])
    assert flat.steps == 120
