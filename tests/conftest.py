"""Fixtures that tests ask for by name. What holds for every test is in the conftest.py above."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from torch import Tensor

from identiflow.iflow import linear
from identiflow.shared.priors import fitting
from identiflow.shared.priors.fitting import minimize

ROOT = Path(__file__).resolve().parents[1]
# What is made in a checkout, and what an unpacked source distribution has more.
MADE = shutil.ignore_patterns(
    *(".*_cache", "__pycache__", "*.egg-info", "*.safetensors", "*.ckpt", "PKG-INFO", "setup.cfg"),
    *(".git", ".venv*", ".hypothesis", "build", "dist", "site", "results", "figures"),
)


@contextmanager
def _few_iterations() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (fitting, linear):
            patch.setattr(module, "minimize", _minimize_in_few)
        yield


def _minimize_in_few(
    loss: Callable[[], Tensor], parameters: Iterable[Tensor], max_iter: int
) -> None:
    minimize(loss, parameters, min(max_iter, 5))


@pytest.fixture(scope="session")
def few_iterations() -> Callable[[], AbstractContextManager[None]]:
    """A context in which what a fit starts from is not looked for to the end, which takes longest.

    For tests to which it does not matter how good a fit is.
    """
    return _few_iterations


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real measurements that IDENTIFLOW_DATA names; the test skips without one."""
    name = os.environ.get("IDENTIFLOW_DATA")
    if not name:
        pytest.skip("needs real data: set IDENTIFLOW_DATA to the folder that holds it")
    folder = Path(name)
    if not folder.is_dir():
        pytest.fail(f"IDENTIFLOW_DATA names {name!r}, which is not a folder; mend or unset it.")
    return folder


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """Builds a "sdist" or a "wheel" of a source tree, in a copy of it and without a network."""

    def build(kind: str, source: Path) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        shutil.copytree(source, folder / "source", ignore=MADE)
        script = f"from setuptools import build_meta as b; print(b.build_{kind}('..'))"
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=folder / "source", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return folder / done.stdout.splitlines()[-1]

    return build


@pytest.fixture(scope="session")
def wheel(build: Callable[[str, Path], Path]) -> Path:
    """The wheel of this checkout."""
    return build("wheel", ROOT)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout, without what is made in one."""
    place = tmp_path_factory.mktemp("copy") / "source"
    return Path(shutil.copytree(ROOT, place, ignore=MADE))
