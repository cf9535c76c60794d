"""Networks that compute an element's parameters from the variables that pass through."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from shared.networks import ACTIVATIONS, mlp

# The last layer starts this much smaller than torch's default: near the identity, yet with a
# gradient in every parameter.
INITIAL_SHRINKAGE = 0.1


class CouplingConditioner(nn.Module):
    """(B, n_passed) → (B, n_steered, n_parameters); free parameters where nothing passes."""

    def __init__(
        self, n_passed: int, hidden: Sequence[int], shape: tuple[int, int], activation: str
    ) -> None:
        super().__init__()
        self.shape = shape
        size = shape[0] * shape[1]
        if n_passed:
            self.network: nn.Module = mlp(n_passed, hidden, size, activation)
            _shrink(self.network[-1])
        else:
            self.constant = nn.Parameter(INITIAL_SHRINKAGE * torch.randn(size))

    def forward(self, passed: Tensor) -> Tensor:
        if passed.shape[1]:
            return self.network(passed).unflatten(-1, self.shape)
        return self.constant.unflatten(-1, self.shape).expand(len(passed), -1, -1)


class AutoregressiveConditioner(nn.Module):
    """(B, d) → (B, d, n_parameters), row i depending on variables 0 … i − 1 only.

    Reference: Germain, Gregor, Murray & Larochelle 2015, "MADE".
    """

    def __init__(
        self, features: int, hidden: Sequence[int], shape: tuple[int, int], activation: str
    ) -> None:
        super().__init__()
        self.shape = shape
        inputs = torch.arange(1, features + 1)
        degrees = [inputs, *(torch.arange(width) % max(features - 1, 1) + 1 for width in hidden)]
        layers: list[nn.Module] = []
        for before, after in zip(degrees[:-1], degrees[1:], strict=True):
            mask = after[:, None] >= before[None, :]
            layers += [MaskedLinear(mask), ACTIVATIONS[activation]()]
        outputs = inputs.repeat_interleave(shape[1])
        layers.append(MaskedLinear(outputs[:, None] > degrees[-1][None, :]))
        self.network = nn.Sequential(*layers)
        _shrink(layers[-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).unflatten(-1, self.shape)


class MaskedLinear(nn.Linear):
    """A linear layer whose weights are multiplied by a fixed 0/1 mask, (out, in)."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight * self.mask, self.bias)


@torch.no_grad()
def _shrink(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.mul_(INITIAL_SHRINKAGE)
