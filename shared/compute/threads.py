"""Calls side by side in threads of this process, each of which works on one core.

torch spreads every operation over its threads, and for all but the largest that costs about as much
as it brings. Whole calls on one core each have no such cost: torch leaves Python's lock while it
works.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Barrier, Lock
from typing import Any

import torch
from torch import Tensor

_number_of_threads = Lock()


def side_by_side(
    function: Callable[..., Tensor], arguments: Iterable[tuple[Any, ...]], n_threads: int
) -> Iterator[Tensor]:
    """function(*a) for each a of the arguments, in their order, without gradients.

    At most twice as many calls as there are threads are under way or wait to be fetched.
    """
    if n_threads == 1:
        yield from (function(*each) for each in arguments)
        return
    with _one_core_each(n_threads) as pool:
        left = iter(arguments)
        calls: deque[Future[Tensor]] = deque()
        try:
            while calls or (calls := _submit(pool, function, islice(left, 2 * n_threads))):
                yield calls.popleft().result()
                calls += _submit(pool, function, islice(left, 1))
        finally:
            for call in calls:
                call.cancel()


def _submit(
    pool: ThreadPoolExecutor, function: Callable[..., Tensor], arguments: Iterable[tuple[Any, ...]]
) -> deque[Future[Tensor]]:
    return deque(pool.submit(_without_gradient, function, *each) for each in arguments)


def _without_gradient(function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    with torch.no_grad():  # a thread begins with gradients on
        return function(*arguments)


def _one_core_each(n_threads: int) -> ThreadPoolExecutor:
    """So many threads, in each of which torch uses one thread; everywhere else as many as before.

    torch takes the number that was set last for that of any thread that asks for the first time.
    So each of these asks before it sets its own, and the number is set back for all others.
    """
    before, started = most_threads(), Barrier(n_threads + 1)

    def begin() -> None:
        torch.get_num_threads()
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(n_threads)
    with _number_of_threads:
        for _ in range(n_threads):
            pool.submit(begin)
        started.wait()
        torch.set_num_threads(before)
    return pool


def most_threads() -> int:
    """How many threads torch uses, asked when no thread of ours is changing that."""
    with _number_of_threads:
        return torch.get_num_threads()
