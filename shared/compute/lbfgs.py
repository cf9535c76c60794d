"""Minimising a function of all rows at once, where that takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


@torch.enable_grad()
def minimize(loss: Callable[[], Tensor], parameters: Iterable[Tensor], max_iter: int) -> None:
    """Change the parameters to where L-BFGS finds the loss lowest; their gradients are cleared."""
    optimizer = torch.optim.LBFGS(
        list(parameters), max_iter=max_iter, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    optimizer.zero_grad()
