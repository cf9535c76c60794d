"""Functions of tensors, compiled where that pays: many small operations joined into few loops.

Compiling takes seconds to a minute, so it has to pay; and whether it does is decided by what is to
be done and never by a clock, or fits would not be reproducible.
"""

from __future__ import annotations

import gc
import inspect
import shutil
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.func import functionalize
from torch.fx import GraphModule, Node

# What an operation costs more by itself than in a compiled loop, for the call and for each number
# of its result, and what it takes to compile, in seconds on two cores. They are set on the careful
# side; `python -m experiments benchmarks --only compilation compiled_fit` shows what comes of it.
SAVED_BY_CALL, SAVED_BY_NUMBER = 6e-6, 0.3e-9
TO_COMPILE, TO_COMPILE_CALL = 10.0, 0.025
FEWEST_CALLS = 2000  # of a function that is looked at for whether it would pay
COMPILERS = ("c++", "g++", "clang++")
# Whose modules are known to be functions of tensors, without a state or randomness of their own.
KNOWN_PACKAGES = ("torch", "identiflow", "builtins", "collections")
REFUSED = {
    torch.Tag.nondeterministic_seeded: "it draws random numbers of its own",
    torch.Tag.dynamic_output_shape: "the shape of its tensors depends on their values",
    torch.Tag.data_dependent_output: "what it does depends on the values of its tensors",
}

Function: TypeAlias = Callable[..., tuple[Tensor, ...]]


class Compilation:
    """Whether, and how, a function of a model's tensors is compiled.

    Args:
        ask: True, False, or "auto": where it pays, on a CPU with a C++ compiler, for models all of
            whose parts are torch's or ours. What can not be compiled is then run as it is, with a
            warning.
        model: what the function computes with.
        calls: how often the function is going to be called.

    Raises:
        ValueError: for another `ask`, or True without a compiler.
    """

    def __init__(self, ask: bool | str, model: Any, calls: int) -> None:
        if ask not in (True, False, "auto"):
            raise ValueError(f"Expected compile to be True, False or 'auto'; got {ask!r}.")
        self.strict, self.on, self.calls = ask is True, bool(ask), calls
        if ask == "auto":
            on_cpu = all(p.device.type == "cpu" for p in model.parameters())
            often = calls >= FEWEST_CALLS
            self.on = often and on_cpu and finds_compiler() and is_of_known_parts(model)
        elif ask and not finds_compiler():
            raise ValueError(
                f"Expected a C++ compiler ({', '.join(COMPILERS)}) for compile=True; found none. "
                "Install one, or pass compile=False."
            )

    def version(self, function: Function, inputs: Sequence[Tensor]) -> Function:
        """The function, compiled for inputs like these; or itself, where that would not pay.

        Raises:
            RuntimeError: if the function can not be compiled and that was asked for.
        """
        if not self.on:
            return function
        try:
            with _process_untouched(), torch.no_grad():
                _find_instructions_meanwhile()
                trace = _trace(function, inputs)
                key = _key(trace.graph, inputs)
                if key not in _by_graph:
                    if not (self.strict or pays(trace.graph, self.calls)):
                        return function
                    _by_graph[key] = _compile_graph(trace, inputs)
                return _by_graph[key]
        except Exception as error:
            self._give_up(error)
            return function

    def _give_up(self, error: Exception) -> None:
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


# Functions that compute the same share what is compiled.
_by_graph: dict[Hashable, Function] = {}


def pays(graph: GraphModule, calls: int) -> bool:
    """Whether so many calls save the time that it takes to compile the graph."""
    results = [node.meta.get("val") for node in graph.graph.nodes if node.op == "call_function"]
    numbers = sum(value.numel() for value in results if isinstance(value, Tensor))
    saved = SAVED_BY_CALL * len(results) + SAVED_BY_NUMBER * numbers
    return calls * saved >= TO_COMPILE + TO_COMPILE_CALL * len(results)


def is_of_known_parts(model: Any) -> bool:
    """Whether all modules of a model, and all that these hold, are torch's or ours."""
    parts = list(model.modules())
    held = [value for part in parts for value in vars(part).values()]
    return all(_package(thing) in KNOWN_PACKAGES for thing in (*parts, *held))


def _package(thing: Any) -> str:
    """Where a function is from, or the class of an object."""
    owner = thing if inspect.isroutine(thing) else type(thing)
    return str(owner.__module__).partition(".")[0]


def _find_instructions_meanwhile() -> None:
    """Have a C++ compiler try what this processor can do, which takes seconds, during the trace."""
    from torch._inductor.cpu_vec_isa import valid_vec_isa_list  # keeps what it has found

    Thread(target=valid_vec_isa_list, daemon=True).start()


class Trace(NamedTuple):
    """The operations of a function, all of them, and stand-ins for its inputs, without values."""

    graph: GraphModule
    inputs: list[Any]
    mode: Any


def _trace(function: Function, inputs: Sequence[Tensor]) -> Trace:
    """What the function does, in the operations that the compiler knows; it must be pure."""
    from torch._inductor.decomposition import select_decomp_table
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    # With shapes of a known origin, even if fixed, the compiler keeps its results on disk.
    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    fakes: list[Any] = [mode.from_tensor(tensor, static_shapes=True) for tensor in inputs]
    versions = [tensor._version for tensor in fakes]
    trace = partial(make_fx, decomposition_table=select_decomp_table())
    with mode:
        graph = trace(function)(*fakes)
        if versions != [tensor._version for tensor in fakes]:
            raise ValueError("it changes tensors in place that it is given")
        if any(_changes_in_place(node) for node in graph.graph.nodes):
            graph = trace(functionalize(graph))(*fakes)
    for node in graph.graph.nodes:
        _refuse_impure(node)
    return Trace(graph, fakes, mode)


def _changes_in_place(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def _refuse_impure(node: Node) -> None:
    if node.target is torch.ops.aten.index.Tensor and not _index_is_mask(node):
        return  # torch marks all indexing, since masks make shapes depend on values
    for tag, reason in REFUSED.items():
        if tag in getattr(node.target, "tags", ()):
            raise ValueError(f"{reason} ({node.target})")


def _index_is_mask(node: Node) -> bool:
    parts: Any = node.args[1]
    return any(part.meta["val"].dtype in (torch.bool, torch.uint8) for part in parts if part)


def _key(graph: GraphModule, inputs: Sequence[Tensor]) -> Hashable:
    """Equal for graphs that compute the same: code, constants and what the inputs are like."""
    constants = [buffer.numpy(force=True).tobytes() for buffer in graph.buffers()]
    return (graph.code, *constants, _kinds_of(inputs))


def _kinds_of(inputs: Sequence[Tensor]) -> Hashable:
    """Equal for tensors that one compiled function works on."""
    kinds = [(t.shape, t.stride(), t.dtype, t.device) for t in inputs]
    return (*kinds, torch.get_num_threads())


def _compile_graph(trace: Trace, inputs: Sequence[Tensor]) -> Function:
    """The compiled graph, without the checks of `torch.compile` at each call.

    What `torch.compile` does before, which is to trace the graph once more through autograd and to
    look for patterns that ours do not have, is left out: it takes seconds in every process.
    """
    from torch._guards import TracingContext, tracing
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx_inner

    with tracing(TracingContext(trace.mode)), _without_collection(), config.patch(_settings()):
        compiled: Any = compile_fx_inner(trace.graph, trace.inputs)
    compiled(list(inputs))  # here, where a failure can be handled
    layouts = [(tensor.shape, tensor.stride()) for tensor in inputs]

    def call(*inputs: Tensor) -> tuple[Tensor, ...]:
        if [(tensor.shape, tensor.stride()) for tensor in inputs] != layouts:
            raise RuntimeError("Expected tensors of the shapes that were compiled for; got others.")
        with torch.no_grad():
            return tuple(compiled(list(inputs)))

    return call


def _settings() -> dict[str, bool]:
    """Of the compiler: what makes it faster and, in a step of ours, its result not slower."""
    from torch._inductor import config

    off = ("size_asserts", "cpp.enable_loop_tail_vec", "cpp.enable_tiling_heuristics")
    known = config.get_config_copy()
    return {name: False for name in off if name in known}


@contextmanager
def _without_collection() -> Iterator[None]:
    """Do not look for garbage: a compiler makes millions of objects that are none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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
