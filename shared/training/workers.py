"""One training shared by several processes: the same batches, and the same result up to rounding.

Under `torchrun`, or in any process group of torch.distributed, every process makes the same call of
`fit` with the same data. Each differentiates its share of the rows of a batch; one sum over all
processes gives all of them the gradient of the whole batch, and so they take the same step.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


class Workers:
    """The processes of a training, this one among them; one alone without torch.distributed."""

    def __init__(self) -> None:
        self.many = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if self.many else 0
        self.count = dist.get_world_size() if self.many else 1

    def share(self, n_rows: int) -> slice:
        """Which rows of a batch are this process's."""
        if n_rows < self.count:
            raise ValueError(
                f"Expected batches with a row for each of {self.count} processes; got {n_rows} "
                "row(s). Raise batch_size, or start fewer processes."
            )
        return slice(self.rank * n_rows // self.count, (self.rank + 1) * n_rows // self.count)

    def whole_batch(self, loss: Tensor, gradient: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Means over the whole batch, (...) and (..., P), from those over this share of it."""
        if not self.many:
            return loss, gradient
        both = share * torch.cat([gradient, loss.unsqueeze(-1)], dim=-1)
        dist.all_reduce(both)
        return both[..., -1], both[..., :-1]

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` returns in the first process, in all of them."""
        if not self.many:
            return make()
        values: list[Any] = [make() if self.rank == 0 else None]
        dist.broadcast_object_list(values)
        return values[0]


def join_process_group() -> None:
    """Join the process group that torchrun has announced, if there is one to join, to stay."""
    announced = int(os.environ.get("WORLD_SIZE", 1)) > 1 and "MASTER_ADDR" in os.environ
    if announced and dist.is_available() and not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(dist.destroy_process_group)
