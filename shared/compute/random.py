"""Seeded randomness that leaves the caller's random state as it was."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from identiflow.shared.inputs.options import SEED

# torch.distributions and nn.Module initialisers draw from the process-wide generator only; the
# lock keeps two of our own threads from interleaving their draws.
_global_generator = threading.RLock()
_default_dtype = threading.Lock()
_defaults_before: list[tuple[torch.dtype, str]] = []


def _defaults() -> tuple[torch.dtype, str]:
    """Torch's settings for all threads: the type of new tensors, and how float32 is multiplied."""
    return torch.get_default_dtype(), _products()


def _products() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # set by torch's newer settings, which this one does not know
        return "highest"


def _set_defaults(dtype: torch.dtype, products: str) -> None:
    torch.set_default_dtype(dtype)
    if _products() != products:  # setting it has effects of its own
        torch.set_float32_matmul_precision(products)


def _forget_threads() -> None:
    """In a forked process: free what threads that are not in it held when it was forked."""
    global _global_generator, _default_dtype
    _global_generator, _default_dtype = threading.RLock(), threading.Lock()
    if _defaults_before:
        _set_defaults(*_defaults_before[0])
        _defaults_before.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Run a block with torch's global generator of a device at `seed`, then restore its state.

    The generators of other devices are left alone: a fit on a CPU wakes no GPU.
    """
    SEED.check("seed", seed)
    gpus = _gpus(torch.device(device))
    with _global_generator, torch.random.fork_rng(gpus):
        torch.random.default_generator.manual_seed(int(seed))
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(int(seed))
        yield


def _gpus(device: torch.device) -> list[int]:
    """The number of a GPU, if it is one."""
    if device.type != "cuda":
        return []
    return [torch.cuda.current_device() if device.index is None else device.index]


@contextmanager
def single_precision() -> Iterator[None]:
    """Run a block in which new tensors are float32, and multiplied with all of their digits.

    Whatever the caller's defaults are. These are one for all threads: the first to enter changes
    them, the last to leave restores them.
    """
    with _default_dtype:
        _defaults_before.append(_defaults_before[0] if _defaults_before else _defaults())
        _set_defaults(torch.float32, "highest")
    try:
        yield
    finally:
        with _default_dtype:
            before = _defaults_before.pop()
            if not _defaults_before:
                _set_defaults(*before)


@contextmanager
def usual_modes() -> Iterator[None]:
    """Run a block in torch's usual modes, whatever the caller's are: no autocast, on the CPU.

    A model says itself where it computes and with how many digits.
    """
    with ExitStack() as stack:
        if torch.empty(0).device.type != "cpu":  # which older versions of torch do not say
            stack.enter_context(torch.device("cpu"))
        if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
            for device in ("cpu", "cuda"):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


def generator(seed: int) -> torch.Generator:
    """A generator on the CPU that starts from this seed."""
    SEED.check("seed", seed)
    return torch.Generator("cpu").manual_seed(int(seed))


class NoiseSource(Protocol):
    """Noise that a loss takes in the place of a generator; see `shared.training.noise`."""

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Standard normal draws of this shape, rows in the last dimension but one."""
        ...


Randomness: TypeAlias = torch.Generator | NoiseSource | None


def standard_normal(shape: Sequence[int], like: Tensor, source: Randomness = None) -> Tensor:
    """Draws from N(0, 1) in the dtype and on the device of `like`.

    Losses draw their noise with this function, so that many seeds can be trained as one model and
    one batch by several processes, each with the draws it would have had alone.

    Args:
        shape: of the draws; rows of the batch are the last dimension but one.
        like: says dtype and device.
        source: a generator, a `NoiseSource`, or None for torch's global generator.
    """
    if source is None or isinstance(source, torch.Generator):
        return torch.randn(*shape, generator=source, dtype=like.dtype, device=like.device)
    return source.normal(shape, like)
