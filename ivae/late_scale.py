"""Gradients scaled on their way back by a factor that is only known after the forward pass.

This file exists for `torch.func.vmap`, which trains several seeds at once. For one model a hook on
the tensor would do in three lines; under vmap the tensors that a hook sees are gone by the time of
the backward pass, so that it takes two autograd functions, each with a rule for vmap.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function


class LateScale:
    """`scale.mark(z)` is z, whose gradient (..., n) is multiplied by what `scale.set` is given.

    Example:
        >>> import torch
        >>> z = torch.ones(2, 3, requires_grad=True)
        >>> scale = LateScale()
        >>> loss = scale.mark(z).sum()
        >>> scale.set(torch.tensor([0.0, 2.0]))
        >>> loss.backward()
        >>> z.grad
        tensor([[0., 0., 0.],
                [2., 2., 2.]])
    """

    def __init__(self) -> None:
        self.factor: Tensor | None = None

    def mark(self, z: Tensor) -> Tensor:
        """z (..., n), with its gradient scaled."""
        return _Mark.apply(z, self)

    def set(self, factor: Tensor) -> None:
        """The factor (...), without a gradient of its own."""
        _Set.apply(factor.detach(), self)


class _Mark(Function):
    @staticmethod
    def forward(z: Tensor, scale: LateScale) -> Tensor:
        return z.view_as(z)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, LateScale], output: Tensor) -> None:
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.scale.factor.unsqueeze(-1), None

    @staticmethod
    def vmap(info: Any, in_dims: Any, z: Tensor, scale: LateScale) -> tuple[Tensor, int]:
        return _Mark.apply(z.movedim(in_dims[0], 0), scale), 0


class _Set(Function):
    @staticmethod
    def forward(factor: Tensor, scale: LateScale) -> Tensor:
        scale.factor = factor
        return factor.view_as(factor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, LateScale], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None]:
        return None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, factor: Tensor, scale: LateScale) -> tuple[Tensor, int]:
        return _Set.apply(factor.movedim(in_dims[0], 0), scale), 0
