"""A folder of our own for the files of torch's compiler, in which no file is half written.

The compiler takes any file that is there for a whole one. A process that was killed while it
compiled leaves files that are not, and each process after it would fail on them, or find that the
processor has none of the instructions that make it fast. So a process that compiles holds a lock on
a file of its own. Such a file that nobody has locked is that of a process which was killed: then a
new folder is begun, and the old one removed. Processors that torch takes for different ones have a
folder each: it would compile for one what it has written for the other.
"""

from __future__ import annotations

import getpass
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import RLock
from typing import IO

import torch

if sys.platform != "win32":
    import fcntl

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"  # where torch's compiler keeps its files, by its manual
MARK = "compiling."
_one_at_a_time = RLock()  # the variable is one for all threads


def place() -> Path:
    """Where our folders are: in the one that the environment names, or else in torch's own."""
    asked = os.environ.get(VARIABLE)
    torchs = Path(tempfile.gettempdir()) / f"torchinductor_{_user()}"
    processor = torch.backends.cpu.get_cpu_capability()
    return (Path(asked) if asked else torchs).absolute() / "identiflow" / processor


@contextmanager
def folder_of_our_own() -> Iterator[Path]:
    """The folder, in which torch's compiler keeps its files for as long as this lasts.

    The environment is changed for that time, and with it for other threads of this process.
    """
    with _one_at_a_time, ExitStack() as marks:
        folder = _marked(place(), marks)
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = str(folder)
        try:
            yield folder
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


def remove_libraries(folder: Path) -> None:
    """Remove what was compiled; the compiler makes anew what it needs."""
    for library in folder.rglob("*.so"):
        library.unlink(missing_ok=True)


def _marked(parent: Path, marks: ExitStack) -> Path:
    """A folder in which nothing is half written, with a mark in it until the stack is closed."""
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / "lock").open("ab") as lock:
        _take(lock, wait=True)
        number = max((int(p.name) for p in parent.iterdir() if p.name.isdecimal()), default=0)
        folder = parent / str(number)
        if any(_was_killed(mark) for mark in folder.glob(f"{MARK}*")):
            shutil.rmtree(folder, ignore_errors=True)
            # A compiler that outlived its process may write there still.
            folder = parent / str(number + 1)
        folder.mkdir(exist_ok=True)
        marks.enter_context(_mark(folder / f"{MARK}{secrets.token_hex(4)}"))
    return folder


@contextmanager
def _mark(path: Path) -> Iterator[None]:
    """A locked file, which is removed unless what happens meanwhile is stopped."""
    with path.open("wb") as file:
        _take(file, wait=True)
        try:
            yield
        except Exception:
            path.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)


def _was_killed(mark: Path) -> bool:
    """True if nobody holds the lock on this file."""
    try:
        with mark.open("rb") as file:
            return _take(file, wait=False)
    except FileNotFoundError:
        return False


def _take(file: IO[bytes], wait: bool) -> bool:
    """Lock an open file; false where another process has, or where files have no locks."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _user() -> str:
    try:
        return re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser())
    except (ImportError, KeyError, OSError):  # a container may have users without a name
        return "nobody"
