"""What a killed process leaves of the compiler's files costs no later fit anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from identiflow.shared.compute.compilation import finds_compiler
from identiflow.shared.compute.compiler_files import (
    VARIABLE,
    folder_of_our_own,
    place,
    remove_libraries,
)

fcntl = pytest.importorskip("fcntl")  # locks, which Windows has not


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where our folders are in a new one that the environment names."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "asked_for"))
    return place()


def test_the_compiler_is_given_a_folder_inside_the_one_asked_for(ours: Path) -> None:
    with folder_of_our_own() as folder:
        assert folder == ours / "0" and os.environ[VARIABLE] == str(folder)
    assert os.environ[VARIABLE] == str(ours.parent.parent)
    assert list(folder.iterdir()) == []


def test_without_a_wish_it_is_torchs_folder_and_the_environment_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert place().parent.parent.name.startswith("torchinductor_")
    with folder_of_our_own() as folder:
        assert folder.is_relative_to(tmp_path) and VARIABLE in os.environ
    assert VARIABLE not in os.environ


def test_other_instructions_have_another_folder(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "OTHER")
    with folder_of_our_own() as folder:
        assert folder == ours.parent / "OTHER" / "0" != ours / "0"


def test_what_a_killed_process_left_is_left_behind(ours: Path) -> None:
    (ours / "0").mkdir(parents=True)
    (ours / "0" / "compiling.0123abcd").touch()
    with folder_of_our_own() as folder:
        assert folder == ours / "1"
    assert not (ours / "0").exists()
    with folder_of_our_own() as folder:
        assert folder == ours / "1"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_stop_while_it_compiles_counts_as_a_kill_and_a_failure_does_not(
    stop: type[BaseException], ours: Path
) -> None:
    for error, number in ((RuntimeError, "0"), (stop, "0"), (RuntimeError, "1")):
        with pytest.raises(error), folder_of_our_own() as folder:
            raise error
        assert folder == ours / number


def test_a_process_that_still_compiles_keeps_its_folder(ours: Path) -> None:
    (ours / "0").mkdir(parents=True)
    with (ours / "0" / "compiling.0123abcd").open("wb") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with folder_of_our_own() as folder:
            assert folder == ours / "0"
    with folder_of_our_own() as folder:
        assert folder == ours / "1"


# Processes one after the other, each forked from one that has imported all and compiled nothing.
SCRIPT = """
import os, sys, warnings
from pathlib import Path
import torch
from identiflow.shared.compute.compilation import Compilation
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch.compile(min)  # imports the compiler
ours = Path(sys.argv[1])

def compile_and_call():
    compilation = Compilation(True, torch.nn.Linear(1, 1), 1)
    function = compilation.version(lambda x: (2 * x.exp(),), [torch.ones(64)])
    print(function(torch.zeros(64))[0].sum().item(), flush=True)

for _ in range(2):
    child = os.fork()
    if not child:
        status = 1
        try:
            compile_and_call()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    ours_alone = [p for p in ours.rglob("*.cpp") if "in_ptr0" in p.read_text()]  # none of a trial
    libraries = [path.with_suffix(".so") for path in ours_alone]
    assert libraries and all(library.stat().st_size for library in libraries)
    for library in libraries:
        library.write_bytes(b"")
"""


@pytest.mark.skipif(not finds_compiler(), reason="no C++ compiler is installed")
def test_an_empty_library_is_compiled_again(ours: Path) -> None:
    command = [sys.executable, "-W", "error", "-W", "ignore:.*fork:DeprecationWarning"]
    done = subprocess.run([*command, "-c", SCRIPT, str(ours)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "128.0\n" * 2), done.stderr[-3000:]
    remove_libraries(ours)
    assert list(ours.rglob("*.so")) == []
