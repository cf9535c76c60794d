"""All trainable parameters of a model as one vector.

A step then clips one gradient and updates one tensor, instead of a hundred small ones; several
models can be rows of one matrix, and several processes add up one tensor.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn


class FlatParameters:
    """A vector (P,) whose parts are the parameters of a model: changing it changes the model.

    Args:
        parameters: those to be trained, all of one dtype and on one device.

    Raises:
        ValueError: for parameters of several dtypes or devices.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        kinds = {(p.dtype, p.device) for p in parameters}
        if len(kinds) > 1:
            raise ValueError(
                "Expected a model with parameters of one dtype on one device; got "
                f"{sorted(f'{dtype} on {device}' for dtype, device in kinds)}. "
                "Call model.to(device, dtype) first."
            )
        self.parameters = parameters
        parts = [p.detach().reshape(-1) for p in parameters]
        vector = torch.cat(parts) if parts else torch.zeros(0)
        self.slices = [slice(*ends) for ends in pairwise(accumulate(map(len, parts), initial=0))]
        self.move_to(vector)

    def move_to(self, vector: Tensor) -> None:
        """Make the parameters parts of this vector (P,), which holds their values already."""
        self.vector = vector
        for parameter, part in zip(self.parameters, self.slices, strict=True):
            parameter.data = vector[part].view(parameter.shape)
