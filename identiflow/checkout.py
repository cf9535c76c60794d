"""A checkout: the folders iflow, ivae and shared beside this one are identiflow.iflow and so on.

Installed, `identiflow` is the only top-level name. In a checkout `from shared.metrics import ...`
works too, and gives the very objects of `identiflow.shared.metrics`: every module has one identity.
"""

from __future__ import annotations

import sys
from collections.abc import MutableSequence, Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

PACKAGES = ("iflow", "ivae", "shared")
# Documented in version 0.1 and moved since.
MOVED = {"shared.random": "shared.compute.random", "shared.export": "shared.estimators.export"}


def lay_out(root: Path, path: MutableSequence[str]) -> None:
    """Let identiflow's submodules be found in `root` too, and give their short names to them."""
    path.append(str(root))
    sys.meta_path.insert(0, ShortNames(root))


class ShortNames:
    """Finds `shared.metrics` as `identiflow.shared.metrics`, if `shared` is this checkout's."""

    def __init__(self, root: Path) -> None:
        self.folders = {str(root / name) for name in PACKAGES}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module of the long name, if the top-level package is one of ours."""
        package, _, rest = name.partition(".")
        if package not in PACKAGES or not rest or not self._is_ours(package):
            return None
        module = import_module(f"identiflow.{MOVED.get(name, name)}")
        return ModuleSpec(name, SameModule(module), origin=module.__file__)

    def _is_ours(self, package: str) -> bool:
        found = getattr(sys.modules.get(package), "__path__", [])
        return any(str(Path(folder).resolve()) in self.folders for folder in found)


class SameModule(Loader):
    """Loads a module that has another name by handing it out."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself, whose spec the import system is about to overwrite."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is run again."""
        module.__spec__ = self.spec
