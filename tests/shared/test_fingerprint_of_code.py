"""What functions and classes of one's own read: another value of it is another fingerprint."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from identiflow.shared.training.fingerprint import fingerprint

PACKAGE = {
    "__init__.py": "",
    "sub.py": "W, _HIDDEN = 1.0, 1.0\n",
    "late.py": "W = 1.0\n",
    "parts.py": """
import mine_of_tests, mine_of_tests.sub
from mine_of_tests import sub

class Base:
    _inherited = 1.0

class Mine(Base):
    _own = 1.0
    def __call__(self, x):
        return self._own * self._inherited * x

class Settings:
    _w = 1.0

def of_a_package(x):
    return mine_of_tests.sub.W * x

def of_a_module(x):
    return sub._HIDDEN * x

def of_settings(x):
    return Settings._w * x

def of_a_default(x, held=sub):
    return held.W * x

def enclosing(held):
    return lambda x: held.W * x

def importing(x):
    from mine_of_tests.late import W
    return W * x

def importing_the_module(x):
    import mine_of_tests.late
    return mine_of_tests.late.W * x

def importing_near_by(x):
    from .late import W
    return W * x

def with_an_attribute(x):
    return with_an_attribute.w * x

with_an_attribute.w = 1.0
""",
}


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A package of one's own, installed to be edited as `pip install -e` leaves it."""
    folder = tmp_path / "mine_of_tests"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    (tmp_path / "mine_of_tests.egg-info").mkdir()
    (tmp_path / "mine_of_tests.egg-info" / "PKG-INFO").write_text("Name: mine-of-tests\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("mine_of_tests.parts")
    for name in [name for name in sys.modules if name.startswith("mine_of_tests")]:
        del sys.modules[name]


def other(holder: str, name: str) -> Callable[[types.ModuleType], None]:
    """Sets what a module, or a class in it, holds to another number."""

    def change(parts: types.ModuleType) -> None:
        found: Any = importlib.import_module(f"mine_of_tests.{holder.split('.')[0]}")
        for inner in holder.split(".")[1:]:
            found = getattr(found, inner)
        setattr(found, name, 2.0)

    return change


CASES: dict[str, tuple[Callable[[types.ModuleType], Any], Callable[[types.ModuleType], None]]] = {
    "an attribute of a class": (lambda p: p.Mine(), other("parts.Mine", "_own")),
    "one that is inherited": (lambda p: p.Mine(), other("parts.Base", "_inherited")),
    "one of a class that is read": (lambda p: p.of_settings, other("parts.Settings", "_w")),
    "a module in a package": (lambda p: p.of_a_package, other("sub", "W")),
    "a name that is hidden": (lambda p: p.of_a_module, other("sub", "_HIDDEN")),
    "a module as a default": (lambda p: p.of_a_default, other("sub", "W")),
    "a module in a closure": (lambda p: p.enclosing(p.sub), other("sub", "W")),
    "an import from": (lambda p: p.importing, other("late", "W")),
    "an import": (lambda p: p.importing_the_module, other("late", "W")),
    "an import near by": (lambda p: p.importing_near_by, other("late", "W")),
    "an attribute of a function": (
        lambda p: p.with_an_attribute,
        other("parts.with_an_attribute", "w"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_another_value_is_another_fingerprint(case: str, mine: types.ModuleType) -> None:
    get, change = CASES[case]
    before = fingerprint(get(mine))
    assert fingerprint(get(mine)) == before
    get(mine)(3.0)  # after the first call as before it
    assert fingerprint(get(mine)) == before
    change(mine)
    assert fingerprint(get(mine)) != before


def test_edited_code_is_another_fingerprint(mine: types.ModuleType, tmp_path: Path) -> None:
    before = fingerprint(mine.of_a_module)
    path = tmp_path / "mine_of_tests" / "parts.py"
    path.write_text(path.read_text().replace("sub._HIDDEN * x", "sub._HIDDEN + x"))
    for name in [name for name in sys.modules if name.startswith("mine_of_tests")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    assert fingerprint(importlib.import_module("mine_of_tests.parts").of_a_module) != before


def test_a_mask_counts() -> None:
    values = np.arange(4.0)
    masked = [np.ma.MaskedArray(values, mask) for mask in ([0, 0, 0, 1], [0, 0, 1, 0])]
    assert fingerprint(masked[0]) != fingerprint(masked[1])
