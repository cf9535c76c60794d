"""The contract of a model with its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor, nn


class Model(Protocol):
    """A torch module whose loss is in nats for each row: all that training needs of a model."""

    loss_name: str
    training: bool

    def loss(self, x: Tensor, u: Tensor, generator: Any = None) -> Tensor:
        """The objective in nats, shape (B,); its noise comes from `generator`.

        That is a torch.Generator, or with many seeds or processes a `NoiseSource`: draw by
        `shared.random.standard_normal`, which takes both.
        """
        ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object: ...

    def train(self) -> object: ...

    def eval(self) -> object: ...
