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
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
import torch.distributed as dist
from joblib import Parallel, delayed
from torch import Tensor

T = TypeVar("T")
_ALIKE = (
    "Expected the same call of fit in all processes that share it; got other {what} in process "
    "{rank} than in process 0. Give all of them the same data, in one order, and the same seed."
)


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
        """Hand all processes what `make` returns in the first, or raise in all what it raises."""
        if not self.many:
            return make()
        outcomes = [Outcome.of(make) if self.rank == 0 else None]
        dist.broadcast_object_list(outcomes)
        (outcome,) = outcomes
        if outcome is None:
            raise RuntimeError("Expected an outcome from the first process; got none.")
        return outcome.or_raise()

    def expect_alike(self, what: str, numbers: Sequence[float]) -> None:
        """Raise in all processes unless the call is the same in each of them.

        Args:
            what: that has to be the same to the letter.
            numbers: that have to be the same up to rounding, which processors differ in.
        """
        if not self.many:
            return
        every: list[Any] = [None] * self.number
        dist.all_gather_object(every, (what, tuple(numbers)))
        for rank, (other, others) in enumerate(every):
            if other != every[0][0]:
                raise ValueError(_ALIKE.format(what="options", rank=rank))
            if not np.allclose(others, every[0][1], rtol=1e-4, atol=1e-6):
                raise ValueError(_ALIKE.format(what="rows", rank=rank))


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
    for category, text in dict.fromkeys(what for _, warned in done for what in warned):
        warnings.warn(text, category, stacklevel=3)
    return [outcome.or_raise() for outcome, _ in done]


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of a call in another process: raised there, an exception would end all of them."""

    value: T | None
    error: Exception | None = None

    @classmethod
    def of(cls, make: Callable[[], T]) -> Outcome[T]:
        """That of a call which is made here."""
        try:
            return cls(make())
        except Exception as error:
            return cls(None, error)

    def or_raise(self) -> T:
        """What was returned; what was raised is raised here."""
        if self.error is not None:
            raise self.error
        return cast("T", self.value)


def _call(
    n_threads: int, function: Callable[..., T], arguments: tuple[Any, ...]
) -> tuple[Outcome[T], list[tuple[type[Warning], str]]]:
    """The outcome of a call, and the warnings that it gave."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        outcome = Outcome.of(lambda: function(*arguments))
    torch.set_num_threads(before)
    return outcome, [(warning.category, str(warning.message)) for warning in said]
