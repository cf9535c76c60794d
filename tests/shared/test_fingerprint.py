"""Two fits have one fingerprint if and only if they are the same, in any process."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from identiflow.shared.training.fingerprint import fingerprint


class Part(nn.Module):
    """Holds something in each way that a module can."""

    def __init__(self, value: float = 1.0, how: str = "attribute") -> None:
        super().__init__()
        held = torch.tensor([value])
        if how == "attribute":
            self.value = value
        elif how == "parameter":
            self.value = nn.Parameter(held)
        elif how == "module":
            self.value = Part(value)
        elif how == "hook":
            self.register_forward_pre_hook(functools.partial(pow, value))
        else:
            self.register_buffer("value", held, persistent=how == "buffer")


class Slots:
    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = value

    def method(self) -> float:
        return self.value


@dataclass(frozen=True)
class Frozen:
    value: float


def closure(value: float) -> Callable[[float], float]:
    return lambda x: value * x


def with_default(value: float) -> Callable[..., float]:
    def function(x: float, *, scale: float = value) -> float:
        return x * scale

    return function


def of_module(value: float) -> Callable[..., float]:
    """A function that reads a constant of its module, as one in a notebook does."""
    space: dict[str, Any] = {"WEIGHT": value}
    exec("def inner(x): return x * WEIGHT\ndef function(x): return inner(x)", space)
    return space["function"]


def of_another_module(value: float) -> Callable[..., float]:
    module = ModuleType("weights")
    module.WEIGHT = value
    space: dict[str, Any] = {"weights": module}
    exec("def function(x): return x * weights.WEIGHT", space)
    return space["function"]


def written(text: str) -> Callable[..., Any]:
    space: dict[str, Any] = {"np": np, "torch": torch}
    exec(text, space)
    return space["f"]


def circle(value: float) -> list[Any]:
    every = [value]
    every.append(every)
    return every


# How a value may be held; each gives another object of the same at every call.
HOLDERS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda v: v,
    "list": lambda v: [1, [v]],
    "tuple": lambda v: (1, (v,)),
    "dict": lambda v: {"a": {"b": v}},
    "key": lambda v: {v: 1},
    "set": lambda v: {v, 7.5, "a"},
    "array": lambda v: np.array([v, 1.0]),
    "objects": lambda v: np.array([v, "a"], dtype=object),
    "tensor": lambda v: torch.tensor([v]),
    "scalar": lambda v: torch.tensor(v),
    "numpy's number": np.float32,
    "a view": lambda v: torch.tensor([[1.0, v], [2.0, 3.0]])[:, 1],
    "partial": lambda v: functools.partial(max, v, key=abs),
    "keyword": lambda v: functools.partial(max, default=v),
    "closure": closure,
    "default": with_default,
    "global": of_module,
    "a module's": of_another_module,
    "method": lambda v: Slots(v).method,
    "slots": Slots,
    "frozen": Frozen,
    "wrapped": lambda v: functools.lru_cache(closure(v)),
    "without gradients": lambda v: torch.no_grad()(closure(v)),
    "circle": circle,
    "text": str,
    "bytes": lambda v: str(v).encode(),
    "complex": lambda v: complex(0, v),
    "range": lambda v: range(int(v)),
    "slice": lambda v: slice(v),
    "operator": lambda v: __import__("operator").itemgetter(v),
    "class": lambda v: type("Own", (), {"value": v, "method": closure(v)}),
    "subclass": lambda v: type("Own", (type("Base", (), {"value": v}),), {}),
    "property": lambda v: type("Own", (), {"value": property(closure(v))}),
    "static": lambda v: type("Own", (), {"value": staticmethod(closure(v))}),
    "cached": lambda v: type("Own", (), {"value": functools.cached_property(closure(v))}),
    **{
        f"a module's {how}": functools.partial(Part, how=how)
        for how in (
            "attribute",
            "parameter",
            "buffer",
            "buffer that is not saved",
            "module",
            "hook",
        )
    },
    "in sequence": lambda v: nn.Sequential(nn.Identity(), Part(v)),
}


@pytest.mark.parametrize("how", HOLDERS)
def test_what_is_held_tells_fits_apart(how: str) -> None:
    hold = HOLDERS[how]
    assert fingerprint(hold(2.0)) == fingerprint(hold(2.0)) != fingerprint(hold(3.0))


CODE = [
    "def f(x): return x + 1",
    "def f(x): return x + 2",
    "def f(x): return x - 1",
    "def f(x): return x + 1.0",
    "def f(x): return np.abs(x)",
    "def f(x): return np.sum(x)",
    "def f(x): return torch.sum(x)",
    "def f(x): return [y + 1 for y in x]",
    "def f(x): return [y + 2 for y in x]",
    "def f(x): return (lambda y: y in {1, 2, 'a'})(x)",
    "def f(x): return (lambda y: y in {1, 2, 'b'})(x)",
    "def f(x, y=1): return x",
    "def f(x, y=2): return x",
    "def f(*x): return x",
    "f = type('f', (), {'__call__': lambda self, x: x})()",
    "f = type('f', (), {'__call__': lambda self, x: 2 * x})()",
    "f = np.abs",
    "f = np.exp",
    "f = torch.abs",
    "f = torch.nn.functional.relu",
    "f = torch.nn.functional.elu",
    "f = torch.nn.ReLU",
    "f = torch.nn.ELU",
    "f = len",
]


def test_functions_go_by_their_code() -> None:
    found = [fingerprint(written(text)) for text in CODE]
    assert found == [fingerprint(written("\n\n" + text)) for text in CODE]
    assert len(set(found)) == len(CODE)


DIFFERENT = [
    *([1, 2], (1, 2), {1: 2}, {1, 2}, "12", b"12", None, ..., True, 1, 1.0, -0.0, 0.0, "None"),
    *([], [[]], [[], []], {}, set(), (), ((),), [1, [2, 3]], [[1, 2], 3], [1, 2, 3]),
    *(torch.zeros(2, 3), torch.zeros(3, 2), torch.zeros(6), torch.zeros(6).double()),
    *(np.zeros(6), np.zeros(6, "f4"), nn.Parameter(torch.zeros(6)), torch.zeros(0)),
    *(nn.Linear(2, 2, bias=False), nn.Linear(2, 3), nn.ReLU(), nn.ELU(), nn.ELU(0.5)),
    *(torch.float32, torch.float64, torch.device("cpu"), np.dtype("f4"), np.int64(1), np.int32(1)),
]


def test_what_differs_has_fingerprints_of_its_own() -> None:
    torch.manual_seed(0)
    found = list(map(fingerprint, DIFFERENT))
    assert [DIFFERENT[i] for i, one in enumerate(found) if found.index(one) != i] == []


def test_what_is_compiled_is_what_it_was() -> None:
    part, compiled = Part(), Part()
    compiled._modules["_orig_mod"] = part  # as torch.compile wraps a module
    assert fingerprint([compiled]) == fingerprint([part])


def test_a_parameter_that_is_not_trained_is_another() -> None:
    free, fixed = nn.Linear(2, 2), nn.Linear(2, 2)
    fixed.load_state_dict(free.state_dict())
    assert fingerprint(free) == fingerprint(fixed)
    fixed.bias.requires_grad_(False)
    assert fingerprint(free) != fingerprint(fixed)
    assert fingerprint(free.train()) == fingerprint(free.eval())


ELSEWHERE = """
from tests.shared.test_fingerprint import HOLDERS, fingerprint
for how, hold in HOLDERS.items():
    print(how, fingerprint(hold(2.0)))
"""


@pytest.mark.parametrize("seed", ["0", "7"])
def test_it_is_the_same_in_another_process(seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-c", ELSEWHERE]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == [
        f"{how} {fingerprint(hold(2.0))}" for how, hold in HOLDERS.items()
    ]


UNKNOWN = {
    "a lock": threading.Lock,
    "a generator": lambda: (i for i in range(3)),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_cannot_be_told_apart_is_refused(what: str) -> None:
    part = Part()
    part.held = UNKNOWN[what]()
    with pytest.raises(ValueError, match=r"Expected parts of a model, with checkpoint= .* got <"):
        fingerprint(part)


BESIDE = """
import sys
sys.path[:0] = {folders!r}
import packaged, own
from identiflow.shared.training.fingerprint import fingerprint
print(fingerprint(packaged.function), fingerprint(own.function))
"""


@pytest.mark.parametrize("layout", ["packaged.py", "packaged/__init__.py"])
def test_what_is_installed_goes_by_its_name_wherever_that_is(layout: str, tmp_path: Path) -> None:
    """Its code is another's matter, and may hold what cannot be told apart."""
    installed, own = tmp_path / "target", tmp_path / "own"
    (installed / "packaged-1.0.dist-info").mkdir(parents=True)
    (installed / layout).parent.mkdir(exist_ok=True)
    own.mkdir()

    def said(text: str) -> list[str]:
        (installed / layout).write_text(f"import threading\nlock = threading.Lock()\n{text}, lock")
        (own / "own.py").write_text(text)
        script = BESIDE.format(folders=[str(installed), str(own), *sys.path])
        command = [sys.executable, "-B", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    first, second = said("def function(): return 1"), said("def function(): return 2")
    assert first[0] == second[0] and first[1] != second[1]


def test_a_fit_has_one_where_packages_are_on_the_path(tmp_path: Path) -> None:
    """As with PYTHONPATH, --user and --target: torch is then in no folder of this Python's own."""
    script = """
import numpy as np
from identiflow.iflow import IFlow
x, u = np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) % 9
IFlow(n_layers=1, hidden=(8,), max_steps=2, compile=False).fit(x, u, checkpoint="run")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    command = [
        sys._base_executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path += {sys.path!r}{script}",
    ]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "run").exists()
