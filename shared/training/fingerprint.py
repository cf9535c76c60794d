"""One digest of all that a fit is made of: its rows, its settings, its model and what that calls.

A checkpoint is of the same fit if this is the same, in another process too. So objects go by what
they hold and functions by their code, never by where they are in memory or how they are printed.
"""

from __future__ import annotations

import copyreg
import hashlib
from abc import ABCMeta
from collections.abc import Callable, Iterator
from functools import cached_property
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from identiflow.shared.inputs.arrays import AnyArray
from identiflow.shared.inputs.rows import CHUNK, Rows, StoredRows
from identiflow.shared.training.code import (
    contents,
    is_known,
    is_of_python,
    parts_of_code,
    read_by,
    version_of,
)

OF_C: tuple[type, ...] = (BuiltinFunctionType, GetSetDescriptorType, MemberDescriptorType)
OF_C += (MethodDescriptorType, WrapperDescriptorType, ClassMethodDescriptorType)
PLAIN: tuple[type, ...] = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
# What a module keeps that no step depends on.
OF_NO_STEP = {"training", "_compiled_call_impl", "_version"}


def fingerprint(*parts: Any, exactly: bool = True) -> str:
    """The digest of values of any kind; tensors (N, ...) may be on disk, as `Rows` are.

    Args:
        *parts: the values.
        exactly: False for the types and the shapes of tensors alone, and not their numbers.

    Raises:
        ValueError: for what cannot be told from others of its type, such as an open file.
    """
    digest = Digest(exactly)
    for part in parts:
        digest.add(part)
    return digest.hexdigest


class Digest:
    """What was added so far, and which objects that were, so that circles end."""

    def __init__(self, exactly: bool = True) -> None:
        self.sha, self.exactly = hashlib.sha256(), exactly
        self.seen: dict[int, tuple[int, Any]] = {}  # the objects too, so that no number is reused

    @property
    def hexdigest(self) -> str:
        """64 letters."""
        return self.sha.hexdigest()

    def add(self, value: Any) -> None:
        """Add a value, whatever it holds included."""
        value = _before_compilation(value)
        if type(value) in PLAIN:
            return self._say(type(value).__name__, repr(value))
        if id(value) in self.seen:
            return self._say("again", self.seen[id(value)][0])
        if not isinstance(value, tuple | frozenset):  # which may be one object or several
            self.seen[id(value)] = len(self.seen), value
        way = next((way for kind, way in WAYS if isinstance(value, kind)), _add_object)
        self._say(way.__name__)
        return way(self, value)

    def add_all(self, values: Any) -> None:
        """Add several, and how many they are."""
        every = list(values)
        self._say("several", len(every))
        for value in every:
            self.add(value)

    def add_bytes(self, array: AnyArray) -> None:
        """Add the bytes of an array."""
        self.sha.update(np.ascontiguousarray(array).tobytes())

    def _say(self, *words: object) -> None:
        self.sha.update(repr(words).encode())


def _before_compilation(value: Any) -> Any:
    """The module or the function that torch.compile was given; any other value as it is."""
    if isinstance(value, nn.Module):
        return value._modules.get("_orig_mod", value)
    return getattr(value, "_torchdynamo_orig_callable", value) if callable(value) else value


def _add_rows(digest: Digest, rows: Rows) -> None:
    """The same for a tensor and for rows on disk."""
    digest.add_all([str(rows.dtype), *rows.shape, getattr(rows, "requires_grad", False)])
    for part in _parts(rows) if digest.exactly else ():
        digest.add_bytes(part.view(-1).view(torch.uint8).numpy())


def _parts(rows: Rows) -> Iterator[Tensor]:
    """All rows, some at a time, dense and in the memory of the CPU."""
    rows = rows[None] if isinstance(rows, Tensor) and not rows.ndim else rows
    for part in rows.split(CHUNK):
        yield part.detach().to_dense().cpu().contiguous()


def sums_of(rows: Rows) -> float:
    """A number that is another for other rows, or for these in another order, up to rounding."""
    total, number = 0.0, 0
    for part in _parts(rows):
        values = part.double().view(-1)
        weights = torch.arange(number, number + len(values), dtype=torch.float64).cos()
        total, number = total + float(values.clamp(-1e6, 1e6) @ weights), number + len(values)
    return total / max(1, number) ** 0.5


def _add_array(digest: Digest, array: AnyArray) -> None:
    digest.add_all([str(array.dtype), *array.shape])
    if isinstance(array, np.ma.MaskedArray):
        digest.add_bytes(np.ma.getmaskarray(array))
    if array.dtype.hasobject:
        return digest.add_all(array.tolist())
    return digest.add_bytes(array)


def _add_module(digest: Digest, module: nn.Module) -> None:
    held = vars(module)
    digest.add(type(module))
    for name in sorted(held.keys() - OF_NO_STEP):
        # Hooks are numbered in the order in which all of a process were made.
        value = list(held[name].values()) if name.endswith("_hooks") else held[name]
        if value or not isinstance(value, dict | set | list):
            digest.add_all([name, value])


def _add_function(digest: Digest, function: FunctionType) -> None:
    name = function.__qualname__
    if is_known(function):
        digest.add_all([f"{function.__module__}.{name}", version_of(function)])
    else:
        digest.add_all(parts_of_code(function.__code__))
        digest.add_all(read_by(function))
        digest.add_all([name, v] for name, v in vars(function).items() if name[:6] != "_torch")
    digest.add_all([function.__defaults__, function.__kwdefaults__])
    digest.add_all(contents(function))


def _add_class(digest: Digest, cls: type) -> None:
    if is_known(cls):
        return digest.add_all([f"{cls.__module__}.{cls.__qualname__}", version_of(cls)])
    digest.add_all([*cls.__bases__, *([] if type(cls) in (type, ABCMeta) else [type(cls)])])
    for name, value in sorted(vars(cls).items()):
        function = _function_of(value)
        if isinstance(function, FunctionType) or not is_of_python(name):
            digest.add_all([name, function])
    return None


def _function_of(member: Any) -> Any:
    """The function behind a method, a property and the like; any other member as it is."""
    if isinstance(member, staticmethod | classmethod):
        return member.__func__
    if isinstance(member, property):
        return [member.fget, member.fset, member.fdel]
    return member.func if isinstance(member, cached_property) else member


def _add_set(digest: Digest, values: Any) -> None:
    digest.add_all(sorted(map(fingerprint, values)))


def _add_items(digest: Digest, items: list[Any] | tuple[Any, ...]) -> None:
    digest.add_all([type(items), *items, _vars_of(items)])


def _add_dict(digest: Digest, items: dict[Any, Any]) -> None:
    digest.add_all(part for item in items.items() for part in item)
    if type(items) is not dict:
        digest.add_all([type(items), getattr(items, "default_factory", None), _vars_of(items)])


def _vars_of(value: Any) -> dict[str, Any] | None:
    """The attributes that it has beside what it holds."""
    return getattr(value, "__dict__", None)


def _add_name(digest: Digest, module: ModuleType) -> None:
    """Add a module that something holds; one of the user's with all that is plain in it."""
    digest.add(module.__name__)
    for name, value in sorted({} if is_known(module) else vars(module).items()):
        own = getattr(value, "__module__", module.__name__) == module.__name__
        if own and not is_of_python(name) and not isinstance(value, ModuleType):
            digest.add_all([name, value])


def _add_of_c(digest: Digest, value: Any) -> None:
    """Add what has no code of Python's by its name, and by what it is bound to."""
    owner = getattr(value, "__self__", None)
    digest.add_all([value.__qualname__, None if isinstance(owner, ModuleType) else owner])


def _add_object(digest: Digest, value: Any) -> None:
    """Add any other object by what a pickle of it would hold, and by what it wraps."""
    registered = copyreg.dispatch_table.get(type(value))
    try:
        parts = registered(value) if registered else value.__reduce_ex__(4)
    except Exception as error:  # whatever a type raises that does not tell what it is
        raise ValueError(
            "Expected parts of a model, with checkpoint= or in several processes, that can be told "
            f"from others of their type; got {value!r} ({error}). Keep it out of the model and of "
            "what it calls, or fit without a checkpoint, in one process."
        ) from None
    digest.add_all([type(value), getattr(value, "__wrapped__", None)])
    # The name of a global; or what makes it, from what, its state, and items that it holds.
    return digest.add(parts) if isinstance(parts, str) else digest.add_all(map(_listed, parts))


def _listed(part: Any) -> Any:
    return list(part) if isinstance(part, Iterator) else part


WAYS: tuple[tuple[type | tuple[type, ...], Callable[[Digest, Any], None]], ...] = (
    ((Tensor, StoredRows), _add_rows),
    (np.ndarray, _add_array),
    (nn.Module, _add_module),
    (FunctionType, _add_function),
    (type, _add_class),
    (OF_C, _add_of_c),
    (ModuleType, _add_name),
    (dict, _add_dict),
    ((list, tuple), _add_items),
    ((set, frozenset), _add_set),
)
