"""Sources of noise in the place of a generator: for models trained as one, and in many processes.

What a loss draws must not depend on who shares the work: it gets the very numbers that its own
generator would have given it alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from identiflow.shared.compute.random import Randomness, standard_normal


class RecordedShapes:
    """Draws from another source, and keeps the shapes that were asked for."""

    def __init__(self, source: Randomness) -> None:
        self.source = source
        self.shapes: list[tuple[int, ...]] = []

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """As `NoiseSource` says."""
        self.shapes.append(tuple(shape))
        return standard_normal(shape, like, self.source)


class DrawnBefore:
    """Gives out tensors that were drawn before, in their order."""

    def __init__(self, draws: Sequence[Tensor]) -> None:
        self.draws: Iterator[Tensor] = iter(draws)

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """As `NoiseSource` says."""
        draw = next(self.draws, None)
        if draw is None or draw.shape != tuple(shape):
            raise RuntimeError(
                f"Expected a loss that draws the same shapes at each step; got {tuple(shape)} "
                f"where {None if draw is None else tuple(draw.shape)} was drawn."
            )
        return draw


class SinglePrecision:
    """The draws of a training, which are float32 and made on its device, for a model in float64."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.generator = torch.Generator(device).manual_seed(seed)

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """As `NoiseSource` says."""
        draw = torch.randn(
            *shape, generator=self.generator, dtype=torch.float32, device=self.generator.device
        )
        return draw.to(like)


class ShareOfRows:
    """The draws of a whole batch, of which this process takes those of its own rows."""

    def __init__(self, generator: torch.Generator, batch_size: int, rows: slice) -> None:
        self.generator, self.batch_size, self.rows = generator, batch_size, rows

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """As `NoiseSource` says."""
        *leading, _, width = shape
        whole = standard_normal((*leading, self.batch_size, width), like, self.generator)
        return whole[..., self.rows, :]
