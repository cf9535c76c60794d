"""What functions and classes of one's own read: another value of it is another fingerprint."""

from __future__ import annotations

import copy
import enum
import importlib
import shutil
import sys
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from identiflow.shared.training.code import _is_of_package
from identiflow.shared.training.fingerprint import fingerprint

PACKAGE = {
    "__init__.py": "",
    "sub.py": "W, _HIDDEN = 1.0, 1.0\n",
    "late.py": "W = 1.0\n",
    "parts.py": """
import functools
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

def importing_a_neighbour(x):
    from . import late
    return late.W * x

K = 1.0

@functools.wraps(sum)
def wrapped(x):
    return K * x

log = 1.0

def with_a_local(x):
    log = 2 * x
    return log

class Upper:
    def __init__(self, x=0.0):
        self.held = x

    @property
    def value(self):
        return 1.0
    @value.setter
    def value(self, to):
        self.held = K * to

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
    "an import of a neighbour": (lambda p: p.importing_a_neighbour, other("late", "W")),
    "behind functools.wraps": (lambda p: p.wrapped, other("parts", "K")),
    "what a setter reads": (lambda p: p.Upper, other("parts", "K")),
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


def test_a_local_is_no_global(mine: types.ModuleType) -> None:
    before = fingerprint(mine.with_a_local)
    mine.log = open(__file__)  # noqa: SIM115 - which no fingerprint could hold
    try:
        assert fingerprint(mine.with_a_local) == before
    finally:
        mine.log.close()


class Weighted(float):
    """A number with an attribute."""


class Rising(enum.IntEnum):
    ONE = 1


HOLDERS: dict[str, tuple[Any, Any]] = {
    "the factory of a dictionary": (defaultdict(int), defaultdict(float)),
    "a member of an enumeration": (Rising.ONE, 1),
    "a number of one's own": (Weighted(1.0), 1.0),
    "an ordered dictionary": (OrderedDict(a=1), {"a": 1}),
}


@pytest.mark.parametrize("case", HOLDERS)
def test_containers_and_numbers_go_by_their_type(case: str) -> None:
    one, another = HOLDERS[case]
    assert fingerprint(one) != fingerprint(another)
    assert fingerprint(one) == fingerprint(copy.deepcopy(one))


def test_a_package_of_ones_own_goes_by_its_code_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `sched` is, which is Python's too."""
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for factor in (1, 2):
        monkeypatch.delitem(sys.modules, "sched", raising=False)
        (tmp_path / "sched.py").write_text(f"def f(x):\n    return {factor}.0 * x\n")
        importlib.invalidate_caches()
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        _is_of_package.cache_clear()
        found.append(fingerprint(importlib.import_module("sched").f))
    monkeypatch.delitem(sys.modules, "sched")
    _is_of_package.cache_clear()
    assert found[0] != found[1]


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
