"""Regions of a model that are compiled while a fit asks for it, and run as they are otherwise.

A region is a module whose many small operations a compiler joins into few loops. Compiling takes
seconds, so it has to pay; and whether it does is decided by what is to be done and never by a
clock, or fits would not be reproducible.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.distributions import Distribution
from torch.func import functional_call, vmap
from torch.fx import GraphModule

# How many calls of regions pay for compiling them: on two cores that takes about 30 s at the first
# time and 4 s from the cache on disk, and a call, forward and backward, then saves about 1 ms.
CALLS_THAT_PAY = 35_000
COMPILERS = ("c++", "g++", "clang++")

Compiled = Callable[..., tuple[Tensor, ...]]


class Compilation:
    """Whether the regions of a model are compiled in a fit.

    Args:
        ask: True, False, or "auto": where it pays, on a CPU with a C++ compiler. Regions that can
            not be compiled are then run as they are, with a warning.
        model: whose regions they are.
        max_steps: how often they are called.

    Raises:
        ValueError: for another `ask`, or True without a compiler.
    """

    def __init__(self, ask: bool | str, model: Any, max_steps: int) -> None:
        if ask not in (True, False, "auto"):
            raise ValueError(f"Expected compile to be True, False or 'auto'; got {ask!r}.")
        self.strict, self.on = ask is True, bool(ask)
        if ask == "auto":
            on_cpu = all(p.device.type == "cpu" for p in model.parameters())
            pays = max_steps * count_regions(model) >= CALLS_THAT_PAY
            self.on = pays and on_cpu and finds_compiler()
        elif ask and not finds_compiler():
            raise ValueError(
                f"Expected a C++ compiler ({', '.join(COMPILERS)}) for compile=True; found none. "
                "Install one, or pass compile=False."
            )

    @contextmanager
    def regions(self, *, stacked: bool = False) -> Iterator[None]:
        """Regions called in this block are compiled; under `torch.func.vmap`, if `stacked`."""
        token = _current.set(_Asked(self, stacked) if self.on else None)
        try:
            yield
        finally:
            _current.reset(token)

    def give_up(self, error: Exception) -> None:
        """Go on without, or raise if that is not what was asked for."""
        what = f"{type(error).__name__}: {' '.join(str(error).split()[:40])}"
        if self.strict:
            raise RuntimeError(
                f"Expected to compile the model; got {what}. Pass compile=False."
            ) from error
        warnings.warn(
            f"The fit runs without compilation: {what}. Pass compile=False to ask for that.",
            RuntimeWarning,
            stacklevel=2,
        )
        self.on = False


class _Asked(NamedTuple):
    compilation: Compilation
    stacked: bool


_current: ContextVar[_Asked | None] = ContextVar("compilation", default=None)


class Region(nn.Module):
    """Mixed into a module (B, d) → tensors, this compiles its forward where a fit asks for it.

    The module must be a function of its input, its parameters and its buffers: no randomness, no
    state, no shapes that depend on values.
    """

    def forward(self, inputs: Tensor, *rest: Any) -> Any:
        asked = _current.get()
        if asked is None or any(value is not None for value in rest):
            return super().forward(inputs, *rest)
        try:
            return _call(self, inputs, asked.stacked)
        except _CompilationError as error:
            asked.compilation.give_up(error.cause)
            return super().forward(inputs)


def count_regions(model: Any) -> int:
    """How many regions a model has."""
    return sum(isinstance(part, Region) for part in model.modules())


class _CompilationError(Exception):
    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class _Form:
    """A region as a function of its input and of its parameters and buffers, and its versions."""

    def __init__(self, region: Region) -> None:
        self.names: list[str] = []
        # Where each is found now: others may have taken the place of those there were at first.
        self.places: list[tuple[Mapping[str, Tensor | None], str]] = []
        for prefix, part in region.named_modules():
            for holder in (part._parameters, part._buffers):
                for name, value in holder.items():
                    if value is not None:
                        self.names.append(f"{prefix}.{name}" if prefix else name)
                        self.places.append((holder, name))
        self.versions: dict[Hashable, Compiled] = {}

    def tensors(self) -> list[Any]:
        """Parameters and buffers."""
        return [holder[name] for holder, name in self.places]


# Dropped with the region they belong to; regions that compute the same share what is compiled.
_forms: WeakKeyDictionary[Region, _Form] = WeakKeyDictionary()
_by_graph: dict[Hashable, Compiled] = {}


def _call(region: Region, inputs: Tensor, stacked: bool) -> tuple[Tensor, ...]:
    if region not in _forms:
        _forms[region] = _Form(region)
    tensors = _forms[region].tensors()
    if stacked:
        return _Stacked.apply(region, inputs, *tensors)
    return _version(region, _as_columns(inputs), tensors, None)


class _Stacked(Function):
    """A region under vmap: its rule calls what is compiled for all copies together."""

    @staticmethod
    def forward(region: Region, inputs: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        raise RuntimeError("Expected to be under torch.func.vmap, where the rule below is used.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing: the derivative is that of what the rule calls."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, region: Region, inputs: Tensor, *tensors: Tensor) -> Any:
        _, _, *dims = in_dims
        inputs = inputs.movedim(in_dims[1], 0)
        outputs = _version(region, _as_columns(inputs), list(tensors), (0, *dims))
        return tuple(outputs), (0,) * len(outputs)


def _as_columns(inputs: Tensor) -> Tensor:
    """The input (..., B, d) in the one layout that is compiled for, rows last in memory."""
    inputs = inputs.mT.contiguous().mT
    # The first region's input has no gradient; with one it is not another version.
    return inputs if inputs.requires_grad else inputs.detach().requires_grad_()


def _version(
    region: Region, inputs: Tensor, tensors: list[Tensor], dims: tuple[int | None, ...] | None
) -> tuple[Tensor, ...]:
    """The region's outputs, by a version compiled for inputs like these."""
    form = _forms[region]
    trained = tuple(tensor.requires_grad for tensor in tensors)
    kind = (inputs.shape, inputs.dtype, inputs.device, trained, dims, torch.get_num_threads())
    if kind not in form.versions:
        form.versions[kind] = _compile(region, form.names, [inputs, *tensors], dims)
    return form.versions[kind](inputs, *tensors)


def _compile(
    region: Region, names: list[str], inputs: list[Tensor], dims: tuple[int | None, ...] | None
) -> Compiled:
    def function(first: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        return functional_call(region, dict(zip(names, tensors, strict=True)), (first,))

    token = _current.set(None)
    try:
        with _process_untouched():
            graph = _trace(function if dims is None else vmap(function, dims), inputs)
            key = _key(graph, inputs)
            if key not in _by_graph:
                _by_graph[key] = _compile_graph(graph, inputs)
            return _by_graph[key]
    except Exception as error:
        raise _CompilationError(error) from error
    finally:
        _current.reset(token)


def _trace(function: Callable[..., Any], inputs: list[Tensor]) -> GraphModule:
    from torch.fx.experimental.proxy_tensor import make_fx

    return make_fx(function)(*inputs)


def _key(graph: GraphModule, inputs: list[Tensor]) -> Hashable:
    """Equal for graphs that compute the same: code, constants and what the inputs are like."""
    constants = [buffer.numpy(force=True).tobytes() for buffer in graph.buffers()]
    kinds = [(t.shape, t.stride(), t.dtype, t.device, t.requires_grad) for t in inputs]
    return (graph.code, *constants, *kinds, torch.get_num_threads())


def _compile_graph(graph: GraphModule, inputs: list[Tensor]) -> Compiled:
    """The compiled graph, differentiable, without the checks of `torch.compile` at each call."""
    from torch._guards import TracingContext, tracing
    from torch._inductor.compile_fx import compile_fx
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    # With shapes of a known origin, even if fixed, the compiler keeps its results on disk.
    mode = FakeTensorMode(shape_env=ShapeEnv())
    fakes: list[Any] = [mode.from_tensor(tensor, static_shapes=True) for tensor in inputs]
    with tracing(TracingContext(mode)):
        compiled: Any = compile_fx(graph, fakes)
    # The backward pass is compiled when it is first needed: here, where a failure can be handled.
    outputs = compiled(*inputs)
    trained = [tensor for tensor in inputs if tensor.requires_grad]
    total = torch.stack([output.sum() for output in outputs]).sum()
    torch.autograd.grad(total, trained, allow_unused=True)
    return compiled


@contextmanager
def _process_untouched() -> Iterator[None]:
    """Undo what importing the compiler does: it stops the checks of all torch distributions.

    It also warns of parts of torch that torch itself has deprecated.
    """
    validation = Distribution._validate_args
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Distribution.set_default_validate_args(validation)


def finds_compiler() -> bool:
    """Whether there is a C++ compiler, which torch's compiler needs."""
    return any(map(shutil.which, COMPILERS))
