"""One pass of a model over many rows, in chunks of bounded memory, several of them side by side.

torch spreads every operation over its threads, and for all but the largest that costs about as much
as it brings. Whole chunks in threads of this process, each of which works on one core, have no such
cost: torch leaves Python's lock while it works.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Barrier, Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from identiflow.shared.compute.compilation import is_of_known_parts
from identiflow.shared.compute.random import usual_modes
from identiflow.shared.inputs.rows import Rows

CHUNK_ROWS = 4096
MOST_THREADS = 16  # each needs the memory of a chunk
KEPT_BYTES = 2**25 - 2**16  # just below the most that glibc ever keeps, 32 MiB

_number_of_threads = Lock()


def in_chunks(function: Callable[..., Tensor], *tensors: Rows) -> NDArray[np.float64]:
    """`function` over rows in chunks, without gradients, as one array.

    Args:
        function: of tensors (B, ...), to (B, ...). A method of a model that is made of torch's and
            our parts works on several chunks at a time.
        *tensors: of N rows each, in memory or on disk.
    """
    # The C library keeps freed blocks up to the largest that it has seen freed, here at once;
    # smaller ones it would give back after each operation, to map and clear them again.
    torch.empty(KEPT_BYTES, dtype=torch.uint8)
    chunks = zip(*(t.split(CHUNK_ROWS) for t in tensors), strict=True)
    n_threads = _threads_for(function, len(tensors[0]) // CHUNK_ROWS)
    with torch.no_grad(), usual_modes():
        results = list(side_by_side(function, chunks, n_threads))
        return torch.cat(results).numpy()


def _threads_for(function: Callable[..., Tensor], n_chunks: int) -> int:
    """One, unless calls side by side are known not to meet: ours keep no state and draw nothing."""
    model = getattr(function, "__self__", None)
    if n_chunks > 1 and isinstance(model, nn.Module) and is_of_known_parts(model):
        return min(most_threads(), MOST_THREADS, n_chunks)
    return 1


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
    """Start threads in each of which torch uses one thread; everywhere else as many as before.

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
    """The number of threads that torch uses, asked when no thread of ours is changing it."""
    with _number_of_threads:
        return torch.get_num_threads()
