"""More than one process: for one training, or for many beside each other.

Under `torchrun`, or in any process group of torch.distributed, every process makes the same call of
`fit` with the same data, and they are the `Workers` of one training. Each differentiates its share
of the rows of a batch; one sum over all processes gives all of them the gradient of the whole
batch, and so they take the same step: the result is that of one process up to rounding.

`in_processes` shares out many trainings to processes on this machine, each with its part of torch's
threads. Small models do not keep several threads busy: one process for each thread trains about
twice as many on two cores.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from joblib import Parallel, delayed
from torch import Tensor

T = TypeVar("T")


class Workers:
    """The processes of a training, this one among them; one alone without torch.distributed."""

    def __init__(self) -> None:
        self.many = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if self.many else 0
        self.number = dist.get_world_size() if self.many else 1

    def share(self, n_rows: int) -> slice:
        """The rows of a batch that are this process's."""
        if n_rows < self.number:
            raise ValueError(
                f"Expected batches with a row for each of {self.number} processes; got {n_rows} "
                "row(s). Raise batch_size, or start fewer processes."
            )
        return slice(self.rank * n_rows // self.number, (self.rank + 1) * n_rows // self.number)

    def whole_batch(self, loss: Tensor, gradient: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Means over the whole batch, (...) and (..., P), from those over this share of it."""
        if not self.many:
            return loss, gradient
        both = share * torch.cat([gradient, loss.unsqueeze(-1)], dim=-1)
        dist.all_reduce(both)
        return both[..., -1], both[..., :-1]

    def from_first(self, make: Callable[[], T]) -> T:
        """Hand all processes what `make` returns in the first."""
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


def most_processes() -> int:
    """The processes that can share this one's threads: 1 if it is itself one of several."""
    shared_already = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if shared_already or multiprocessing.current_process().daemon:
        return 1
    return torch.get_num_threads()


def in_processes(
    function: Callable[..., T], arguments: Sequence[tuple[Any, ...]], n_jobs: int
) -> list[T]:
    """function(*a) for each a of the arguments, n_jobs at a time; in this process if that is one.

    Warnings are given here, once each. All calls end before an exception of one is raised.
    """
    n_jobs = min(n_jobs, len(arguments))
    if n_jobs == 1:
        return [function(*a) for a in arguments]
    n_threads = max(1, torch.get_num_threads() // n_jobs)
    # Arrays are copied: as memory-maps, which joblib would make of them, they would be read as
    # data that do not fit in memory.
    parallel = Parallel(n_jobs=n_jobs, backend="loky", max_nbytes=None)
    done = parallel(delayed(_call)(n_threads, function, a) for a in arguments)
    for category, text in dict.fromkeys(what for outcome in done for what in outcome.warnings):
        warnings.warn(text, category, stacklevel=3)
    for outcome in done:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.value for outcome in done]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a call. Its exception is handed over: raised there, it ends all workers."""

    value: Any
    error: Exception | None
    warnings: list[tuple[type[Warning], str]]


def _call(n_threads: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    value, error = None, None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            value = function(*arguments)
        except Exception as caught:
            error = caught
    torch.set_num_threads(before)
    return Outcome(value, error, [(warning.category, str(warning.message)) for warning in said])
