"""What a function depends on beside its arguments: its code, what it reads, and what it imports."""

from __future__ import annotations

import dis
import importlib
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

# Packages whose parts go by their names, as those do that are installed beside their metadata; and
# what Python keeps in a class.
KNOWN = {"identiflow", "torch", "nflows", "numpy", "scipy", "builtins"}
OF_PYTHON = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__annotate__"}
OF_PYTHON |= {"__annotate_func__", "__annotations_cache__", "__orig_bases__", "__parameters__"}
OF_PYTHON |= {"__abstractmethods__", "__firstlineno__", "__static_attributes__", "__qualname__"}
OF_PYTHON |= {"_abc_impl", "__dataclass_fields__", "__dataclass_params__", "__type_params__"}


def parts_of_code(code: CodeType) -> Iterator[Any]:
    """What makes two pieces of code the same, of functions within it too."""
    for part in _inner(code):
        yield from (part.co_code, part.co_names, part.co_varnames, part.co_freevars, part.co_flags)
        yield from (value for value in part.co_consts if not isinstance(value, CodeType))


def contents(function: FunctionType) -> list[Any]:
    """What the variables of its closure hold now."""
    return [_content(cell) for cell in function.__closure__ or ()]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return Ellipsis


def read_by(function: FunctionType) -> Iterator[Any]:
    """The names that a function uses of its module, and of modules of the user's, with values."""
    held, names = function.__globals__, sorted(set(_names(function.__code__)))
    values = {name: held[name] for name in sorted(set(_globals(function.__code__)) & held.keys())}
    modules = [value for value in values.values() if isinstance(value, ModuleType)]
    for name, value in values.items():
        yield from (name, None if isinstance(value, ModuleType) else value)
    modules += _imported_by(function.__code__, str(held.get("__package__")))
    yield from _named_in(modules, names)


def _inner(code: CodeType) -> list[CodeType]:
    """The code, and that of functions within it."""
    inner = [part for part in code.co_consts if isinstance(part, CodeType)]
    return [code, *(each for part in inner for each in _inner(part))]


def _names(code: CodeType) -> list[str]:
    """What it asks for by name, of anything."""
    return [name for part in _inner(code) for name in part.co_names]


def _globals(code: CodeType) -> list[str]:
    """The names that it reads of its module."""
    of_module = ("LOAD_GLOBAL", "LOAD_NAME")
    instructions = (each for part in _inner(code) for each in dis.get_instructions(part))
    return [each.argval for each in instructions if each.opname in of_module]


def _named_in(modules: list[ModuleType], names: list[str]) -> Iterator[Any]:
    """What of modules of the user's, and of modules in them, goes by these names."""
    for number, module in enumerate(modules):  # which grow by those in them
        yield module.__name__
        if is_known(module) or module in modules[:number]:
            continue
        for name in names:
            value = vars(module).get(name)
            yield from (name, None if isinstance(value, ModuleType) else value)
            modules += [value] if isinstance(value, ModuleType) else []


def _imported_by(code: CodeType, package: str) -> list[ModuleType]:
    """The modules that a function imports when it is called."""
    found = []
    for part in _inner(code):
        instructions = list(dis.get_instructions(part))
        for level, names, each in zip(*(instructions[i:] for i in range(3)), strict=False):
            if each.opname == "IMPORT_NAME":
                found += _imported("." * level.argval + each.argval, names.argval or (), package)
    return found


def _imported(name: str, parts: Sequence[str], package: str) -> list[ModuleType]:
    """The module of that name, and those of its parts that are modules too."""
    dot = "" if name.endswith(".") else "."
    found = []
    for each in (name, *(f"{name}{dot}{part}" for part in parts)):
        with suppress(Exception):  # of one that is not there, which a call may never ask for
            found.append(importlib.import_module(each, package))
    return found


def is_of_python(name: str) -> bool:
    """True for what Python itself keeps in a class or a module, by its name."""
    return name in OF_PYTHON


def is_known(value: Any) -> bool:
    """True for what goes by its name, since it is of this package or of one that is installed."""
    return _is_of_package(_module_of(value).partition(".")[0])


def version_of(value: Any) -> str:
    """That of the package that it is of, where it says so."""
    return str(getattr(sys.modules.get(_module_of(value).partition(".")[0]), "__version__", ""))


def _module_of(value: Any) -> str:
    """Where it was written, whatever functools.wraps makes of it."""
    if isinstance(value, FunctionType):
        return str(value.__globals__.get("__name__"))
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    return str(name)


@cache
def _is_of_package(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    origin = getattr(spec, "origin", None)
    if name in KNOWN or spec is None or not origin or origin in ("built-in", "frozen"):
        return name in KNOWN or (spec is not None and name in sys.stdlib_module_names)
    folder = Path(origin).resolve().parent
    if name in sys.stdlib_module_names:  # unless a file of the user's has that name
        return folder.is_relative_to(Path(sysconfig.get_path("stdlib")).resolve())
    folder = folder.parent if spec.submodule_search_locations else folder
    # The code that a developer works on has an egg-info beside it, if it is installed to be edited.
    return any(folder.glob("*.dist-info")) or folder.name in ("site-packages", "dist-packages")
