"""Seeded randomness that leaves the caller's random state as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# torch.distributions and nn.Module initialisers draw from the process-wide generator only; the
# lock keeps two of our own threads from interleaving their draws.
_global_generator = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's global generator at `seed`, then restore its state."""
    with _global_generator, torch.random.fork_rng():
        torch.manual_seed(int(seed))
        yield
