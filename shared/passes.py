"""One pass of a model over many rows, in chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from shared.compilation import Compilation, Function, kinds_of
from shared.rows import Rows, head

CHUNK_ROWS = 4096
FEWEST_CHUNKS = 100  # that are compiled for, if that is asked for; "auto" needs more
KEPT_BYTES = 2**25 - 2**16  # just below the most that glibc ever keeps, 32 MiB


def in_chunks(
    function: Callable[..., Tensor], *tensors: Rows, compile: bool | str = False
) -> NDArray[np.float64]:
    """`function` over rows in chunks, without gradients, as one array.

    Args:
        function: of tensors (B, ...), to (B, ...).
        *tensors: of N rows each, in memory or on disk.
        compile: "auto", or True for more than 400,000 rows, to compile the function where it is a
            method of a torch module; see `Compilation`.
    """
    # The C library keeps freed blocks up to the largest that it has seen freed, here at once;
    # smaller ones it would give back after each operation, to map and clear them again.
    torch.empty(KEPT_BYTES, dtype=torch.uint8)
    with torch.no_grad():
        whole = _of_whole_chunks(function, tensors, compile)
        chunks = zip(*(t.split(CHUNK_ROWS) for t in tensors), strict=True)
        results = [(whole if len(c[0]) == CHUNK_ROWS else function)(*c) for c in chunks]
        return torch.cat(results).numpy()


def _of_whole_chunks(
    function: Callable[..., Tensor], tensors: Sequence[Rows], compile: bool | str
) -> Callable[..., Tensor]:
    """The function, or what is compiled of it for whole chunks of these rows."""
    n_chunks = len(tensors[0]) // CHUNK_ROWS
    if compile is False or n_chunks < FEWEST_CHUNKS:
        return function
    method = Method(function)
    inputs = [*(head(t, CHUNK_ROWS) for t in tensors), *method.state]
    kept = _kept.setdefault(method.model, {})
    key = (method.name, compile, n_chunks, kinds_of(inputs), _settings(method.model))
    if key not in kept:
        made = Compilation(compile, method.model, n_chunks).version(method.of_tensors, inputs)
        # Not the method itself: what is kept must not keep the module alive.
        kept[key] = None if made == method.of_tensors else made
    version = kept[key]
    return function if version is None else lambda *rows: version(*rows, *method.state)[0]


# What was compiled, or None, by what it was asked for: to find it anew takes a second.
_kept: WeakKeyDictionary[nn.Module, dict[Hashable, Function | None]] = WeakKeyDictionary()


def _settings(model: nn.Module) -> Hashable:
    """What all parts of a model are told, apart from tensors."""
    parts = [part for module in model.modules() for part in (module, *vars(module).values())]
    return tuple(
        (type(part), name, repr(value))
        for part in parts
        for name, value in getattr(part, "__dict__", {}).items()
        if isinstance(value, bool | int | float | str | tuple)
    )


class Method(nn.Module):
    """A method of a torch module as a function of rows and of the module's tensors."""

    def __init__(self, method: Any) -> None:
        super().__init__()
        self.model: nn.Module = method.__self__
        self.name, self.method = method.__name__, method
        named = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        self.names, self.state = list(named), [tensor.detach() for tensor in named.values()]

    def forward(self, *rows: Tensor) -> Tensor:
        return self.method(*rows)

    def of_tensors(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Of the rows, followed by the module's tensors."""
        split = len(tensors) - len(self.names)
        named = dict(zip(self.names, tensors[split:], strict=True))
        return (functional_call(self, named, tensors[:split]),)
