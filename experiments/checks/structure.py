"""Measures of the code as text: imports and their circles, lengths, where a name stands.

Files are read and nothing of the project is imported, so that tests can hold these as laws.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple, TypeGuard

ROOT = Path(__file__).resolve().parents[2]
# The folders that are installed; those beside identiflow/ are its subpackages then.
INSTALLED = ("identiflow", "iflow", "ivae", "shared")
# The rooms of shared/, each of which imports of those before it alone.
ROOMS = (
    "inputs",
    "compute",
    "files",
    "metrics",
    "datasets",
    "auxiliary",
    "priors",
    "model",
    "identifiability",
    "training",
    "estimators",
    "plotting",
)
Graph = dict[str, set[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def files_of(folders: Sequence[str] = INSTALLED) -> dict[str, Path]:
    """The Python files of these folders: name of the module → file."""
    paths = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return {module_name(path): path for path in paths}


def module_name(path: Path) -> str:
    """The name under which a file of the project is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = ("identiflow",) if parts[0] in INSTALLED[1:] else ()
    return ".".join((*inside, *parts)).removesuffix(".__init__")


def import_graph(files: Mapping[str, Path]) -> Graph:
    """Map each module to the others that it imports: anywhere in it, for type checkers too.

    That a package is imported with each of its modules does not count.
    """
    graph: Graph = {}
    for name, path in files.items():
        meant = {other if other in files else _parent(other) for other in imports_of(path)}
        graph[name] = meant & files.keys() - {name}
    return graph


def imports_of(path: Path) -> Iterator[str]:
    """The full names of what a file imports: modules, and what is taken from modules."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _name_of(node.func) == "import_module":
            yield from (str(arg.value) for arg in node.args if isinstance(arg, ast.Constant))


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _name_of(expression: ast.expr) -> str:
    """The last part of a name such as importlib.import_module; nothing of other expressions."""
    return getattr(expression, "attr", getattr(expression, "id", ""))


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Circles of imports, each a path that ends where it begins; none if the list is empty.

    Each is cut at one place before the next is looked for, so not all that there are need appear.
    """
    left, found = {name: set(others) for name, others in graph.items()}, []
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            path = error.args[1][::-1]  # it lists what is imported before what imports it
            left[path[0]].discard(path[1])
            found.append(path)
        else:
            return found


def against_the_order(
    graph: Mapping[str, set[str]], package: str, rooms: Sequence[str]
) -> list[tuple[str, str]]:
    """Imports (from, of) within a package from a room into one that stands after it in `rooms`.

    A room is a folder of the package or a module beside these.

    Raises:
        ValueError: if `rooms` are not those of the package, each once.
    """
    inside = [name for name in graph if name.startswith(f"{package}.")]
    there = {room_of(name, package) for name in inside}
    if sorted(rooms) != sorted(there):
        raise ValueError(f"Expected the rooms of {package}, {sorted(there)}; got {sorted(rooms)}.")
    floor = {room: number for number, room in enumerate(rooms)}
    return [
        (name, other)
        for name in inside
        for other in sorted(graph[name] & set(inside))
        if floor[room_of(name, package)] < floor[room_of(other, package)]
    ]


def room_of(module: str, package: str) -> str:
    """The folder of a package that a module is in, or the module itself."""
    return module.removeprefix(f"{package}.").partition(".")[0]


def loose_modules(folder: str) -> list[str]:
    """The files that lie in a folder of the project and not in a folder of that."""
    return sorted(path.name for path in (ROOT / folder).glob("*.py") if path.stem != "__init__")


def lines_of(path: Path) -> int:
    """The number of lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def function_lengths(path: Path) -> dict[str, int]:
    """The lines of each function's body, its docstring not counted."""
    functions = (node for node in ast.walk(parsed(path)) if isinstance(node, Function))
    return {f"{node.name}, line {node.lineno}": _length(node) for node in functions}


def _length(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


class Names(NamedTuple):
    """Names in a file. An option is an attribute that is declared by `name: type = option(...)`."""

    options: set[str]
    identifiers: set[str]
    attributes: set[str]


@cache
def names_in(path: Path) -> Names:
    """The names in a file; those in comments and strings do not count."""
    text = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    nodes = list(ast.walk(parsed(path)))
    return Names(
        options={_name_of(node.target) for node in nodes if _declares_an_option(node)},
        identifiers={token.string for token in tokens if token.type == tokenize.NAME},
        attributes={node.attr for node in nodes if isinstance(node, ast.Attribute)},
    )


def _declares_an_option(node: ast.AST) -> TypeGuard[ast.AnnAssign]:
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.value, ast.Call):
        return False
    return _name_of(node.value.func) == "option"


def private_imports(path: Path, library: str) -> list[str]:
    """The private or experimental parts of a library that a file imports."""
    names = (name.split(".") for name in imports_of(path))
    return [
        ".".join(parts)
        for parts in names
        if parts[0] == library
        and any(part.startswith("_") or part == "experimental" for part in parts)
    ]


def short(path: Path) -> str:
    """A file's path inside the project."""
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    """A file as a tree."""
    return ast.parse(path.read_text(encoding="utf-8"))
