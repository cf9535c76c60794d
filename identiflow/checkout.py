"""A checkout: the folders iflow, ivae and shared beside this one are identiflow.iflow and so on.

Installed, they lie in `identiflow`, the only top-level name, and nothing of this file is used. In a
checkout `from shared.metrics import ...` works too, and gives the very objects of
`identiflow.shared.metrics`: a module has one identity, whichever name it is asked for by.

For that, this file has to run before `shared.metrics` is looked for. Python reads
`shared/__init__.py` first, so that one imports this one; `iflow/__init__.py` and
`ivae/__init__.py` do so by importing anything of `identiflow`. This file imports nothing of the
project, so no circle of imports goes through it.
"""

from __future__ import annotations

import sys
from collections.abc import MutableSequence, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

PACKAGES = ("iflow", "ivae", "shared")
# Documented in version 0.1 and moved since.
MOVED = {"shared.random": "shared.compute.random", "shared.export": "shared.estimators.export"}


def lay_out(root: Path, path: MutableSequence[str]) -> None:
    """Let the submodules of identiflow be found in `root` too, and go by their short names there.

    Args:
        root: the folder of the checkout.
        path: where Python looks for submodules of identiflow, its `__path__`.
    """
    path.append(str(root))
    short_names = ShortNames(root)
    sys.meta_path.insert(0, short_names)
    for name in PACKAGES:  # one of them may be what is imported first, and imports identiflow now
        if name in sys.modules and short_names.has(_spec_of(name)):
            sys.modules[name] = import_module(f"identiflow.{name}")


class ShortNames(MetaPathFinder):
    """Finds `shared` and `shared.metrics` as identiflow's, where `shared` is this checkout's.

    Of several folders of that name Python takes the first on `sys.path`: a user's own stays theirs.
    """

    def __init__(self, root: Path) -> None:
        self.files = {(root / name / "__init__.py").resolve() for name in PACKAGES}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where the module of the long name is, if the top-level package is ours."""
        package = name.partition(".")[0]
        if package not in PACKAGES or not self.has(_spec_of(package)):
            return None
        spec = find_spec(f"identiflow.{MOVED.get(name, name)}")
        return spec and ModuleSpec(name, SameModule(spec.name), origin=spec.origin)

    def has(self, package: ModuleSpec | None) -> bool:
        """True for a package of the checkout."""
        return bool(package and package.origin and Path(package.origin).resolve() in self.files)


def _spec_of(package: str) -> ModuleSpec | None:
    """Of a package that is imported, or else of the one that Python would find."""
    if package in sys.modules:
        return getattr(sys.modules[package], "__spec__", None)
    return PathFinder.find_spec(package)


class SameModule(Loader):
    """Loads a module under another name by handing out the one that has its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself, whose spec the import system is about to overwrite."""
        module = import_module(self.name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Put its spec back; nothing is run again."""
        module.__spec__ = self.spec
