"""What a function depends on beside its arguments: its code, what it reads, and what it imports."""

from __future__ import annotations

import dis
import importlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

# Packages whose parts go by their names, as those do that are installed beside their metadata.
KNOWN = {"identiflow", "iflow", "ivae", "shared", "torch", "nflows", "numpy", "scipy"}
KNOWN |= sys.stdlib_module_names - {"__main__"}


def parts_of_code(code: CodeType) -> Iterator[Any]:
    """What makes two pieces of code the same, of functions within it too."""
    yield from (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_flags)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from parts_of_code(constant)
        else:
            yield constant


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
    held = function.__globals__
    tuples = [part for part in parts_of_code(function.__code__) if isinstance(part, tuple)]
    names = sorted({name for part in tuples for name in part if isinstance(name, str)})
    values = {name: held[name] for name in names if name in held}
    modules = [value for value in values.values() if isinstance(value, ModuleType)]
    for name, value in values.items():
        yield from (name, None if isinstance(value, ModuleType) else value)
    modules += _imported_by(function.__code__, str(held.get("__package__")))
    yield from _named_in(modules, names)


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
    for each in filter(lambda part: part.opname == "IMPORT_NAME", dis.get_instructions(code)):
        for name in (each.argval, f"{package}.{each.argval}".rstrip(".")):
            with suppress(Exception):  # of one that is not there, which a call may never ask for
                found.append(importlib.import_module(name))
                break
    inner = [part for part in code.co_consts if isinstance(part, CodeType)]
    return found + [module for part in inner for module in _imported_by(part, package)]


def is_of_python(name: str) -> bool:
    """True for what Python itself keeps in a class, by its name."""
    return (name.startswith("__") and name.endswith("__")) or name.startswith("_abc_")


def is_known(value: Any) -> bool:
    """True for what goes by its name, since it is of this package or of one that is installed."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    return _is_of_package(str(name).partition(".")[0])


@cache
def _is_of_package(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if name in KNOWN or spec is None or not spec.origin:
        return name in KNOWN
    folder = Path(spec.origin).parent
    folder = folder.parent if spec.submodule_search_locations else folder
    # The code that a developer works on has an egg-info beside it, if it is installed to be edited.
    return any(folder.glob("*.dist-info")) or folder.name in ("site-packages", "dist-packages")
