"""The flow that is timed, and random rows for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from experiments.benchmarks.plan import FlowShape
from identiflow.iflow import IdentifiableFlow, spline_coupling_flow
from identiflow.shared.priors import GaussianPrior


class FlowModel(Protocol):
    """A flow as it is timed, ours or a peer's: a torch module with two methods."""

    def log_prob(self, x: Tensor, u: Tensor, /) -> Tensor:
        """log p(x | u), (B,)."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """x = f(z), (B, d)."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def train(self) -> Any: ...


def our_flow(shape: FlowShape) -> IdentifiableFlow:
    """Our default architecture, of this shape."""
    bijection = spline_coupling_flow(
        shape.features,
        n_layers=shape.n_layers,
        hidden=shape.hidden,
        n_bins=shape.n_bins,
        bound=shape.bound,
    )
    return IdentifiableFlow(bijection, GaussianPrior(shape.features, n_labels=shape.n_labels))


def random_rows(n_rows: int, features: int, n_labels: int) -> tuple[Tensor, Tensor]:
    """Standard normal x (N, d) and labels u (N,): no step's cost depends on what is learned."""
    return torch.randn(n_rows, features), torch.randint(n_labels, (n_rows,))


def count(parameters: Iterable[Tensor]) -> int:
    """The number of entries of all parameters."""
    return sum(parameter.numel() for parameter in parameters)
