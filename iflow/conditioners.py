"""Networks that compute an element's parameters from the variables that pass through.

They take columns (n_passed, B) and return (n_parameters, n_steered, B), parameters first and rows
last: the order that elements work in, and that the last product is written in for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from identiflow.shared.compute.networks import ACTIVATIONS, mlp

# The last layer starts this much smaller than torch's default: near the identity, yet with a
# gradient in every parameter.
INITIAL_SHRINKAGE = 0.1


class CouplingConditioner(nn.Module):
    """(n_passed, B) → shape (n_parameters, n_steered), B; free parameters where nothing passes."""

    def __init__(
        self, n_passed: int, hidden: Sequence[int], shape: tuple[int, int], activation: str
    ) -> None:
        super().__init__()
        self.shape = shape
        size = shape[0] * shape[1]
        if n_passed:
            network = mlp(n_passed, hidden, size, activation)
            self.body, last = network[:-1], network[-1]
            assert isinstance(last, nn.Linear)
            self.last = last
            _shrink(self.last)
        else:
            self.constant = nn.Parameter(INITIAL_SHRINKAGE * torch.randn(size))

    def forward(self, passed: Tensor) -> Tensor:
        if len(passed):
            columns = _columns(self.body(passed.T), self.last.weight, self.last.bias)
        else:
            columns = self.constant[:, None].expand(-1, passed.shape[1])
        return columns.unflatten(0, self.shape)


class AutoregressiveConditioner(nn.Module):
    """(d, B) → shape (n_parameters, d), B; those of variable i depend on 0 … i − 1 only.

    Reference: Germain, Gregor, Murray & Larochelle 2015, "MADE".
    """

    def __init__(
        self, features: int, hidden: Sequence[int], shape: tuple[int, int], activation: str
    ) -> None:
        super().__init__()
        self.shape = shape
        inputs = torch.arange(1, features + 1)
        degrees = [inputs, *(_degrees(width, features - 1) for width in hidden)]
        body: list[nn.Module] = []
        for before, after in zip(degrees[:-1], degrees[1:], strict=True):
            mask = after[:, None] >= before[None, :]
            body += [MaskedLinear(mask), ACTIVATIONS[activation]()]
        self.body = nn.Sequential(*body)
        self.last = MaskedLinear(inputs.repeat(shape[0])[:, None] > degrees[-1][None, :])
        _shrink(self.last)

    def forward(self, x: Tensor) -> Tensor:
        columns = _columns(self.body(x.T), self.last.masked_weight, self.last.bias)
        return columns.unflatten(0, self.shape)


def _degrees(width: int, largest: int) -> Tensor:
    """Of hidden units: from 1, without which variable 1 is steered by nothing, to the largest."""
    if width < largest:
        return torch.linspace(1, largest, width).round().long()
    return torch.arange(width) % max(largest, 1) + 1


class MaskedLinear(nn.Linear):
    """A linear layer whose weights are multiplied by a fixed 0/1 mask, (out, in)."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float(), persistent=False)

    @property
    def masked_weight(self) -> Tensor:
        """The matrix that multiplies the inputs, (out, in)."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.masked_weight, self.bias)


def _columns(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The transpose (out, B) of a linear layer's outputs, contiguous."""
    return torch.addmm(bias[:, None], weight, rows.T)


@torch.no_grad()
def _shrink(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.mul_(INITIAL_SHRINKAGE)
