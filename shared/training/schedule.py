"""The course of a fit, step by step, as functions of the seed and the step number alone.

Nothing here has a state that a checkpoint would have to hold.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class OneCycle:
    """The learning rate: a linear rise to `peak`, then a cosine fall to 0."""

    max_steps: int
    peak: float
    warmup: float

    def rate(self, step: int) -> float:
        """The learning rate of this step."""
        rise = max(1, round(self.warmup * self.max_steps))
        if step < rise:
            return self.peak * (step + 1) / rise
        progress = (step - rise) / max(1, self.max_steps - rise)
        return self.peak * 0.5 * (1 + math.cos(math.pi * progress))


class Batches:
    """The rows of each step: a new permutation for each epoch; rows left over wait for the next."""

    def __init__(self, n_rows: int, batch_size: int, seed: int) -> None:
        self.n_rows, self.seed = n_rows, seed
        self.size = min(batch_size, n_rows)
        self.per_epoch = n_rows // self.size
        self.epoch = -1

    def rows(self, step: int) -> Tensor:
        """Row numbers of this step, (batch_size,)."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(mix(self.seed, -1 - epoch))
            self.order = torch.randperm(self.n_rows, generator=generator)
            self.epoch = epoch
        return self.order[position * self.size : (position + 1) * self.size]


def mix(seed: int, step: int) -> int:
    """A seed for each pair, well apart for neighbouring steps."""
    digest = hashlib.blake2b(f"{seed}:{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
