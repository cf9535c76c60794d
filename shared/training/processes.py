"""Work shared out to processes on this machine, each with its part of torch's threads.

Small models do not keep several threads busy: one process for each thread trains about twice as
many on two cores.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from joblib import Parallel, delayed

T = TypeVar("T")


def most_processes() -> int:
    """How many processes can share this one's threads: 1 if it is itself one of several."""
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
    """What came of a call. An exception is handed over: raised there, it would end all workers."""

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
