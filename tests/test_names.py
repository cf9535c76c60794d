"""In a checkout a module has one identity: `shared.metrics` is `identiflow.shared.metrics`."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from joblib import Parallel, delayed

import identiflow
from identiflow.checkout import MOVED

ROOT = Path(__file__).resolve().parents[1]

# A short name, and where the module is.
SAME = {
    "iflow": "identiflow.iflow",
    "iflow.transforms": "identiflow.iflow.transforms",
    "ivae": "identiflow.ivae",
    "shared": "identiflow.shared",
    "shared.metrics": "identiflow.shared.metrics",
    "shared.metrics.mcc": "identiflow.shared.metrics.mcc",
    "shared.training": "identiflow.shared.training",
    **{short: f"identiflow.{moved}" for short, moved in MOVED.items()},
}


@pytest.mark.parametrize("short", SAME)
def test_a_short_name_is_the_module_itself(short: str) -> None:
    module = importlib.import_module(short)
    assert module is importlib.import_module(SAME[short])
    assert module.__name__ == module.__spec__.name == SAME[short]


# What a process imports first; Python then reads the files in another order.
FIRST = ["iflow", "shared.metrics", "identiflow.main"]
CHECK = """
import iflow, ivae.objectives, shared.metrics.mcc, identiflow
from iflow import IFlow
from shared.metrics import mean_corr_coef
from shared.random import seeded
import identiflow.shared.compute.random as random
assert IFlow is identiflow.IFlow and mean_corr_coef is identiflow.mean_corr_coef
assert seeded is random.seeded
short = [name for name in sys.modules if name.partition(".")[0] in ("iflow", "ivae", "shared")]
assert {sys.modules[name].__name__.partition(".")[0] for name in short} == {"identiflow"}
"""


@pytest.mark.parametrize("first", FIRST)
def test_the_order_of_imports_does_not_matter(first: str) -> None:
    script = f"import sys, {first}\n{CHECK}"
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_not_there_is_not_found() -> None:
    assert importlib.util.find_spec("shared.nothing") is None
    with pytest.raises(ModuleNotFoundError, match="No module named 'shared.nothing'"):
        importlib.import_module("shared.nothing")


@pytest.mark.parametrize("name", ["iflow.estimator", "identiflow.iflow.estimator"])
def test_pickles_by_either_name_hold_the_same_class(name: str) -> None:
    assert pickle.loads(f"c{name}\nIFlow\n.".encode()) is identiflow.IFlow
    assert identiflow.IFlow.__module__ == "identiflow.iflow.estimator"


def kind(value: object) -> tuple[str, bool]:
    """Which class a value has in this process, and whether it is that of the public name."""
    return type(value).__module__, type(value) is importlib.import_module("iflow").IFlow


@pytest.mark.parametrize("start", ["spawn", "loky"])
def test_worker_processes_have_the_same_classes(start: str) -> None:
    flow, expected = identiflow.IFlow(seed=0), ("identiflow.iflow.estimator", True)
    if start == "loky":
        assert Parallel(n_jobs=2)([delayed(kind)(flow)]) == [expected]
    else:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(kind, [flow]) == expected


def test_a_folder_of_the_same_name_stays_whose_it_is(tmp_path: Path) -> None:
    """A user's `shared/` and `iflow.py` beside a script, the checkout further down the path."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/__init__.py").write_text("WHOSE = 'theirs'")
    (tmp_path / "shared/metrics.py").write_text("WHOSE = 'theirs'")
    (tmp_path / "iflow.py").write_text("WHOSE = 'theirs'")
    script = (
        f"import sys; sys.path.insert(1, {str(ROOT)!r})\n"
        "import identiflow.shared.inputs.extras, shared.metrics, iflow\n"
        "print(shared.WHOSE, shared.metrics.WHOSE, iflow.WHOSE)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "theirs theirs theirs\n", done.stderr
