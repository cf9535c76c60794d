"""Laws of parameters as one vector: the vector is the model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from identiflow.shared.training.optimizer import FlatParameters


@pytest.fixture
def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2, bias=False))


def test_the_vector_holds_the_parameters_and_changes_them(network: nn.Sequential) -> None:
    x, before = torch.randn(5, 3), [p.clone() for p in network.parameters()]
    y = network(x)
    flat = FlatParameters(list(network.parameters()))
    assert torch.equal(flat.vector, torch.cat([p.flatten() for p in before]))
    assert torch.equal(network(x), y)
    flat.vector.mul_(2)
    for parameter, old in zip(network.parameters(), before, strict=True):
        assert torch.equal(parameter, 2 * old)


def test_it_moves_with_its_values(network: nn.Sequential) -> None:
    flat = FlatParameters(list(network.parameters()))
    matrix = torch.stack([flat.vector, torch.zeros_like(flat.vector)])
    flat.move_to(matrix[0])
    matrix[0, 0] = 7.0
    assert network[0].weight[0, 0] == 7.0


def test_a_model_without_parameters_has_an_empty_vector() -> None:
    assert FlatParameters([]).vector.shape == (0,)


def test_parameters_of_two_dtypes_are_refused(network: nn.Sequential) -> None:
    network[2].double()
    with pytest.raises(ValueError, match="parameters of one dtype on one device; got .*float64"):
        FlatParameters(list(network.parameters()))
