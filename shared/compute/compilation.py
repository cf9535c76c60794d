"""Functions of tensors, compiled where that pays: many small operations joined into few loops.

Compiling takes seconds to a minute, so it has to pay; and whether it does is decided by what is to
be done and never by a clock, or fits would not be reproducible.
"""

from __future__ import annotations

import inspect
import shutil
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal
from torch.func import functionalize
from torch.fx import GraphModule, Node

from identiflow.shared.compute.compiler_files import folder_of_our_own, place, remove_libraries

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
    """Compiles a function of a model's tensors, if that is asked for or pays.

    Args:
        ask: True, False, or "auto": where it pays, on a CPU with a C++ compiler, for models all of
            whose parts are torch's or ours. What cannot be compiled is then run as it is, with a
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

    def version(
        self, function: Function, inputs: Sequence[Tensor], say: Callable[[str], object] = str
    ) -> Function | None:
        """The function, compiled for inputs like these; None where that would not pay or fails.

        Args:
            function: of tensors alone.
            inputs: of a first call.
            say: told what goes on, since it can take long.

        Raises:
            RuntimeError: if the function cannot be compiled and that was asked for.
        """
        if not self.on:
            return None
        try:
            say("preparing to compile")
            with without_validation(), torch.no_grad():
                graph = trace(function, inputs)
                key = _key(graph, inputs)
                if key not in _by_graph:
                    if not (self.strict or pays(graph, self.calls)):
                        return None
                    say("compiling (once, about a minute)")
                    _by_graph[key] = compile_graph(graph, inputs)
                return _by_graph[key]
        except Exception as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        """Go on without, or raise if that is not what was asked for."""
        what = f"{type(error).__name__}: {' '.join(str(error).split()[:40])}"
        if self.strict:
            raise RuntimeError(
                f"Expected to compile the model; got {what}. Pass compile=False, or look at the "
                f"compiler's files in {place()}."
            ) from error
        warnings.warn(
            f"The fit runs without compilation: {what}. Pass compile=False to ask for that. The "
            f"compiler's files are in {place()}.",
            RuntimeWarning,
            stacklevel=2,
        )


# Functions that compute the same share what is compiled.
_by_graph: dict[Hashable, Function] = {}


def pays(graph: GraphModule, calls: int) -> bool:
    """True if this number of calls saves the time that it takes to compile the graph."""
    results = [node.meta.get("val") for node in graph.graph.nodes if node.op == "call_function"]
    numbers = sum(value.numel() for value in results if isinstance(value, Tensor))
    saved = SAVED_BY_CALL * len(results) + SAVED_BY_NUMBER * numbers
    return calls * saved >= TO_COMPILE + TO_COMPILE_CALL * len(results)


def is_of_known_parts(model: Any) -> bool:
    """True if all modules of a model, and all that these hold, are torch's or ours."""
    parts = list(model.modules())
    held = [value for part in parts for value in vars(part).values()]
    return all(_package(thing) in KNOWN_PACKAGES for thing in (*parts, *held))


def _package(thing: Any) -> str:
    """Where a function is from, or the class of an object."""
    owner = thing if inspect.isroutine(thing) else type(thing)
    return str(owner.__module__).partition(".")[0]


def trace(function: Function, inputs: Sequence[Tensor]) -> GraphModule:
    """The operations of a function of tensors, all of them; it must be pure.

    Raises:
        ValueError: for one that changes what it is given, or draws random numbers.
    """
    with _without_warnings():
        # torch's one way to look through a backward pass; torch.export stops at autograd.
        from torch.fx.experimental.proxy_tensor import make_fx

    graph = make_fx(function, tracing_mode="fake")(*inputs)
    if any(map(_changes_in_place, graph.graph.nodes)):
        graph = make_fx(functionalize(graph), tracing_mode="fake")(*inputs)
    for node in graph.graph.nodes:
        _refuse_impure(node)
    return graph


def _changes_in_place(node: Node) -> bool:
    """True if an operation's name says so, by torch's convention: add_, relu_."""
    return str(getattr(node.target, "overloadpacket", "")).endswith("_")


def _refuse_impure(node: Node) -> None:
    if node.target is torch.ops.aten.copy_.default:  # all that `functionalize` leaves
        raise ValueError("it changes tensors in place that it is given")
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


def compile_graph(graph: GraphModule, inputs: Sequence[Tensor]) -> Function:
    """The compiled graph; made once more where a file of the compiler turns out to be damaged."""
    with folder_of_our_own() as folder, _without_warnings():
        try:
            return _compile(graph, inputs)
        except Exception as error:
            if not _is_of_files(error):
                raise
            remove_libraries(folder)
            return _compile(graph, inputs)


def _is_of_files(error: BaseException | None) -> bool:
    """True if it, or what caused it, is about a file that cannot be read or loaded."""
    while error is not None:
        if isinstance(error, OSError | ImportError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _compile(graph: GraphModule, inputs: Sequence[Tensor]) -> Function:
    compiled = torch.compile(graph, fullgraph=True, dynamic=False, options=_settings())
    compiled(*[tensor.clone() for tensor in inputs])  # here, where a failure can be handled
    layouts = [(tensor.shape, tensor.stride()) for tensor in inputs]

    def call(*inputs: Tensor) -> tuple[Tensor, ...]:
        if [(tensor.shape, tensor.stride()) for tensor in inputs] != layouts:
            raise RuntimeError("Expected tensors of the shapes that were compiled for; got others.")
        with torch.no_grad():
            return tuple(compiled(*inputs))

    return call


def _settings() -> dict[str, Any]:
    """Options of the compiler that make it, and a step of ours, faster.

    It need not check again at each call what `call` checks, nor the sizes of its own tensors.
    """
    off = ("size_asserts", "cpp.enable_loop_tail_vec", "cpp.enable_tiling_heuristics")
    settings: dict[str, Any] = {name: False for name in off}
    settings["guard_filter_fn"] = lambda guards: [False] * len(guards)
    return {name: value for name, value in settings.items() if _is_known(name, value)}


def _is_known(name: str, value: Any) -> bool:
    """True if this version of torch has such an option; another refuses it at once."""
    try:
        torch.compile(_is_known, options={name: value})
    except RuntimeError:
        return False
    return True


@contextmanager
def _without_warnings() -> Iterator[None]:
    """No warnings of the compiler about torch's own parts, nor any others for that time.

    Filters are those of the whole process, so this is for importing and compiling alone.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def without_validation() -> Iterator[None]:
    """No checks by torch's distributions of their arguments, which have no values in a trace.

    Importing the compiler also ends them, for good; after this they are as they were.
    """
    validated = _validates()
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(validated)


def _validates() -> bool:
    try:
        Normal(0.0, -1.0)
    except ValueError:
        return True
    return False


def finds_compiler() -> bool:
    """True if there is a C++ compiler, which torch's compiler needs."""
    return any(map(shutil.which, COMPILERS))
