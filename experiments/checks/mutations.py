"""Faults planted in the code, one at a time, and whether the tests notice.

They are in `mutations.json`: wrong signs, forgotten constants, wrong axes, terms left out, one line
each. Each is made in a copy of the checkout, where the tests that should notice are then run. One
that passes them all is a hole in the suite.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("iflow", "ivae", "shared", "identiflow", "experiments", "tests")
FILES = ("pyproject.toml", "conftest.py")


@dataclass(frozen=True)
class Mutation:
    """A piece of a file, what it is changed to, and the tests that should notice."""

    file: str
    before: str
    after: str
    tests: str


def planted() -> dict[str, Mutation]:
    """All of them by name."""
    every = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return {entry.pop("name"): Mutation(**entry) for entry in every}


MUTATIONS = planted()


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Print which mutations were caught: all of them, or it fails."""
    names = list(MUTATIONS)[:1] if smoke else list(MUTATIONS)
    _expect_passing([MUTATIONS[name] for name in names])
    parallel = Parallel(n_jobs=jobs)
    caught = parallel(delayed(is_caught)(MUTATIONS[name]) for name in names)
    print("| planted | in | caught |\n|---|---|---|")
    for name, noticed in zip(names, caught, strict=True):
        print(f"| {name} | {MUTATIONS[name].file} | {'yes' if noticed else '**no**'} |")
    print(f"\n{sum(caught)} of {len(caught)} caught")
    if not all(caught):
        raise SystemExit("Expected all mutations to be caught; got some that pass the tests.")


def is_caught(mutation: Mutation) -> bool:
    """True if its tests fail in a copy of the checkout that has it."""
    return _fail(mutation.tests.split(), lambda copy: plant(mutation, copy / mutation.file))


def plant(mutation: Mutation, path: Path) -> None:
    """Change the file, which has to hold the piece once."""
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.before) != 1:
        raise ValueError(
            f"Expected {mutation.file} to hold {mutation.before!r} once; got "
            f"{text.count(mutation.before)}. Change the mutation with the code."
        )
    path.write_text(text.replace(mutation.before, mutation.after), encoding="utf-8")


def _expect_passing(mutations: list[Mutation]) -> None:
    """Raise unless the tests of all of these pass as the code is: others would notice anything."""
    tests = sorted({file for mutation in mutations for file in mutation.tests.split()})
    if _fail(tests, lambda copy: None):
        raise RuntimeError("Expected tests that pass without a mutation; got some that fail.")


def _fail(tests: list[str], change: Callable[[Path], None]) -> bool:
    """True if one of these files of tests fails in a copy of the checkout with this change."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name)
        for name in FILES:
            shutil.copy(ROOT / name, copy / name)
        change(copy)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, *tests], cwd=copy, env=environment, capture_output=True, text=True
        )
    if done.returncode not in (0, 1):  # neither passed nor failed
        raise RuntimeError(f"Expected tests to run; got {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.returncode == 1
