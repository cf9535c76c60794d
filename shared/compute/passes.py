"""One pass of a model over many rows, in chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from identiflow.shared.compute.compilation import is_of_known_parts
from identiflow.shared.compute.threads import most_threads, side_by_side
from identiflow.shared.inputs.rows import Rows

CHUNK_ROWS = 4096
MOST_THREADS = 16  # each needs the memory of a chunk
KEPT_BYTES = 2**25 - 2**16  # just below the most that glibc ever keeps, 32 MiB


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
    n_threads = min(_most_threads(function), len(tensors[0]) // CHUNK_ROWS)
    with torch.no_grad():
        results = list(side_by_side(function, chunks, max(1, n_threads)))
        return torch.cat(results).numpy()


def _most_threads(function: Callable[..., Tensor]) -> int:
    """One, unless calls side by side are known not to meet: ours keep no state and draw nothing."""
    model = getattr(function, "__self__", None)
    if isinstance(model, nn.Module) and is_of_known_parts(model):
        return min(most_threads(), MOST_THREADS)
    return 1
