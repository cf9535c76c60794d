"""The optimiser: Adam as torch's, hidden layers in all directions, nothing in bad steps."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from identiflow.shared.training.optimizer import Optimizer, with_equal_singular_values

SHAPES = [(1, 16, 16), (3, 24, 40), (2, 40, 9)]


def matrices(shape: tuple[int, ...], smallest: float) -> Tensor:
    """With singular values from 1 down to `smallest`."""
    generator = torch.Generator().manual_seed(0)
    u, s, v = torch.linalg.svd(torch.randn(shape, generator=generator), full_matrices=False)
    return u * torch.logspace(0, torch.tensor(smallest).log10(), s.shape[1])[:, None].mT @ v


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_singular_vectors_stay_and_singular_values_become_nearly_equal(
    shape: tuple[int, ...], size: float
) -> None:
    before = matrices(shape, 0.01)
    after = with_equal_singular_values(size * before)
    u, _, v = torch.linalg.svd(before, full_matrices=False)
    inner = u.mT @ after @ v.mT
    values = inner.diagonal(dim1=1, dim2=2)
    assert (values > 0.6).all() and (values < 1.3).all()
    torch.testing.assert_close(inner, torch.diag_embed(values), atol=1e-3, rtol=0)


@pytest.mark.parametrize("size", [0.0, 1e-44, 1e-30, 1e-22, 1e-19])
def test_a_matrix_that_vanishes_stays_small(size: float) -> None:
    """The squares of its entries are 0 in single precision, or have lost their digits."""
    vanishing = size * matrices((2, 16, 16), 0.01)
    assert with_equal_singular_values(vanishing).abs().max() <= 1e10 * size


ONE, NO = torch.ones(()), torch.zeros(()).bool()


@pytest.fixture
def model() -> nn.Module:
    """Weights of two hidden layers of one shape and one of another; the first is too narrow."""
    torch.manual_seed(0)
    widths = [3, 16, 16, 16, 9]
    return nn.Sequential(*[nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False)])


def gradient_of(optimizer: Optimizer, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(optimizer.flat.vector), generator=generator)


def test_hidden_weights_move_by_one_size_whatever_the_gradient(model: nn.Module) -> None:
    optimizer = Optimizer(model)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.take(1e-3 * gradient_of(optimizer), 0.01, ONE, NO)
    for parameter, old in zip(model.parameters(), before, strict=True):
        moved = (parameter.detach() - old).square().mean().sqrt()
        hidden = parameter.ndim == 2 and min(parameter.shape) >= 8
        # 0.2 √(max side) in every singular direction, or a step of Adam
        short = min(parameter.shape) if hidden else 1
        expected = 0.01 * (0.2 * (short / min(old.shape)) ** 0.5 if hidden else 1.0)
        assert moved == pytest.approx(expected, rel=0.25)


def test_all_other_parameters_take_the_steps_of_adam(model: nn.Module) -> None:
    optimizer = Optimizer(model)
    others = optimizer.flat.vector[optimizer.size :]
    reference = nn.Parameter(others.clone())
    adam = torch.optim.Adam([reference], lr=0.01)
    for step in range(3):
        gradient = gradient_of(optimizer, step)
        reference.grad = gradient[optimizer.size :] / 2
        adam.step()
        optimizer.take(gradient, 0.01, 2 * ONE, NO)
    torch.testing.assert_close(others, reference.detach())


def test_decay_takes_a_share_of_hidden_weights_and_of_nothing_else(model: nn.Module) -> None:
    plain, decaying = Optimizer(deepcopy(model)), Optimizer(model, weight_decay=3.0)
    start = plain.flat.vector.clone()
    for optimizer in (plain, decaying):
        optimizer.take(gradient_of(optimizer), 0.01, ONE, NO)
    difference = plain.flat.vector - decaying.flat.vector
    expected = 0.03 * start
    expected[plain.size :] = 0
    torch.testing.assert_close(difference, expected, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("weight_decay", [0.0, 3.0])
def test_a_bad_step_changes_nothing(model: nn.Module, weight_decay: float) -> None:
    optimizer = Optimizer(model, weight_decay)
    optimizer.take(gradient_of(optimizer), 0.01, ONE, NO)
    kept = optimizer.flat.vector.clone(), {k: v.clone() for k, v in optimizer.state.items()}
    nan = torch.tensor(torch.nan)
    optimizer.take(gradient_of(optimizer) * nan, 0.01, nan, ~NO)
    assert torch.equal(optimizer.flat.vector, kept[0])
    for name, value in optimizer.state.items():
        assert torch.equal(value, kept[1][name]), name


def test_a_layer_that_is_used_twice_or_fixed_is_no_trouble() -> None:
    shared, fixed = nn.Linear(9, 9), nn.Linear(9, 9).requires_grad_(False)
    optimizer = Optimizer(nn.Sequential(shared, shared, fixed))
    assert optimizer.size == 81 and len(optimizer.flat.vector) == 90


def test_directions_that_the_loss_asks_for_weakly_are_learned_as_well() -> None:
    """A linear regression whose inputs differ in size by a factor of 1,000."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(256, 16, generator=generator) * torch.logspace(0, -3, 16)
    truth = torch.randn(16, 16, generator=generator)
    layer = nn.Linear(16, 16, bias=False)
    nn.init.zeros_(layer.weight)
    optimizer = Optimizer(layer)
    for step in range(400):
        error = x @ (optimizer.flat.vector.view(16, 16) - truth).T
        gradient = 2 * error.T @ x / len(x)
        optimizer.take(gradient.reshape(-1), 0.2 * (1 - step / 400), ONE, NO)
    assert (layer.weight.detach() - truth).square().mean() < 0.05 * truth.square().mean()


def turned_by(model: nn.Module, steps: int, against: float) -> float:
    """How far hidden weights move along a gradient at the step after `steps` of its kind.

    The step's own gradient is `against` times as large, and against them.
    """
    optimizer = Optimizer(model)
    gradient, size = gradient_of(optimizer), optimizer.size
    for _ in range(steps):
        optimizer.take(gradient, 0.01, ONE, NO)
    before = optimizer.flat.vector[:size].clone()
    optimizer.take(-against * gradient, 0.01, ONE, NO)
    return float((optimizer.flat.vector[:size] - before) @ gradient[:size])


def test_hidden_weights_move_along_the_mean_of_many_gradients(model: nn.Module) -> None:
    assert turned_by(deepcopy(model), steps=30, against=5.0) < 0
    assert turned_by(model, steps=30, against=100.0) > 0


def test_hidden_weights_look_ahead_of_that_mean(model: nn.Module) -> None:
    """Of G and −0.7 G the mean, which forgets, is along G still; by another step it will not be."""
    assert turned_by(model, steps=1, against=0.7) > 0
