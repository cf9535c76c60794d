"""Fits that are killed, stopped, out of disk, or given a damaged checkpoint: what is lost?

Each fit runs in a process of its own and writes a checkpoint every few steps. A fault is injected,
the same call is made again, and so on until the fit ends: its result then has to be that of a fit
that was left alone, bit for bit. A checkpoint that was damaged has to be refused by name, and the
fit goes on from a copy of the good one. Where a fault is to come while a fit compiles, its compiler
has a folder of its own, in which files are left half written; other fits that are compiled share
one. When all faults of such a kind are over, one more fit is timed beside the first one of all.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from identiflow.iflow import IFlow
from identiflow.shared.compute.compiler_files import VARIABLE
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.training import FileFormatError

DATA = nonstationary_sources(2, n_segments=8, samples_per_segment=50, seed=1)
SMALL: dict[bool, dict[str, Any]] = {  # by whether it is compiled
    False: {"n_layers": 2, "hidden": (16,)},
    True: {"architecture": "affine", "n_layers": 1, "hidden": (4,)},
}
DONE, OUT_OF_DISK, REFUSED, STOPPED = 0, 3, 4, 5
POLL = 0.0005


@dataclass
class Count:
    """The number of faults that were injected, and of those that a fit did not get over.

    Of fits that are compiled also the seconds of the first one, and of one after all the faults.
    """

    fault: str
    injected: int = 0
    lost: int = 0
    first: float | None = None
    after: float | None = None

    @property
    def times(self) -> str:
        """The two, as a cell of a table."""
        return "" if self.after is None else f"{self.first:.0f}, {self.after:.0f}"


@dataclass
class Fit:
    """A fit in a process of its own, its checkpoint, and where it leaves what it found."""

    folder: Path
    steps: int = 100
    compiled: bool = False
    limit: int | None = None  # bytes that a file may have
    shared: Path | None = None  # the compiler's folder, if it is not this fit's own

    @property
    def compiler(self) -> Path:
        """Where the compiler keeps its files."""
        return self.shared or self.folder / "compiler"

    @property
    def checkpoint(self) -> Path:
        """The file that it goes on from."""
        return self.folder / "run.ckpt"

    @property
    def result(self) -> Path:
        """The digest of its latents, once it is done."""
        return self.folder / "result"

    def start(self) -> int:
        """The number of the process."""
        child = os.fork()
        if child:
            return child
        status = STOPPED
        try:
            status = self._run()
        finally:
            os._exit(status)

    def _run(self) -> int:
        torch.set_num_threads(1)
        # A shell starts what it puts in the background with this signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        without = resource.getrlimit(resource.RLIMIT_FSIZE)
        if self.limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, without[1]))
        os.environ[VARIABLE] = str(self.compiler)
        small = SMALL[self.compiled] | {"max_steps": self.steps, "compile": self.compiled}
        flow = IFlow(**small, progress=False)
        try:
            flow.fit(DATA.x, DATA.u, checkpoint=self.checkpoint)
        except FileFormatError:
            return REFUSED
        except OSError:
            return OUT_OF_DISK
        latents = flow.transform(DATA.x).tobytes()
        # Of a fit that had nothing left to write; the result is a file of this study.
        resource.setrlimit(resource.RLIMIT_FSIZE, without)
        self.result.write_text(hashlib.sha256(latents).hexdigest())
        return DONE

    def finish(self) -> str:
        """The result, after as much work as is left."""
        _, status = os.waitpid(self.start(), 0)
        return self.result.read_text() if status == DONE else f"status {status}"

    def begin_anew(self) -> None:
        """Forget what was done."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()


Inject = Callable[[Fit, np.random.Generator, float], bool]


def killed(number: int) -> Inject:
    """The signal at a random time of the fit; false if it was done before."""

    def inject(fit: Fit, rng: np.random.Generator, seconds: float) -> bool:
        child = fit.start()
        time.sleep(rng.uniform(0, seconds))
        os.kill(child, number)
        return os.waitpid(child, 0)[1] != DONE

    return inject


def killed_while_writing(fit: Fit, rng: np.random.Generator, seconds: float) -> bool:
    """SIGKILL while a checkpoint is half written: some of them are, by the time they are seen."""
    child, before = fit.start(), set(fit.folder.iterdir())
    time.sleep(rng.uniform(0, seconds / 2))
    while not any(path.suffix == ".part" for path in set(fit.folder.iterdir()) - before):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status != DONE
        time.sleep(POLL)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1] != DONE


def out_of_disk(fit: Fit, rng: np.random.Generator, seconds: float) -> bool:
    """No room for a whole checkpoint, after some were written; the fit has to say so."""
    killed(signal.SIGKILL)(fit, rng, seconds)
    if not fit.checkpoint.exists():
        return False
    limit = int(rng.uniform(0, 1) * fit.checkpoint.stat().st_size)
    _, status = os.waitpid(replace(fit, limit=max(limit, 1)).start(), 0)
    if status not in (DONE, OUT_OF_DISK << 8):
        raise RuntimeError(f"Expected an OSError of a fit without room; got status {status}.")
    return status != DONE


def damaged(spoil: Callable[[bytearray, np.random.Generator], bytes]) -> Inject:
    """A checkpoint with other bytes has to be refused; then the good one is put back."""

    def inject(fit: Fit, rng: np.random.Generator, seconds: float) -> bool:
        killed(signal.SIGKILL)(fit, rng, seconds)
        if not fit.checkpoint.exists():
            return False
        good = fit.checkpoint.read_bytes()
        fit.checkpoint.write_bytes(spoil(bytearray(good), rng))
        _, status = os.waitpid(fit.start(), 0)
        if status == REFUSED << 8:
            fit.checkpoint.write_bytes(good)
        return True

    return inject


def cut_short(content: bytearray, rng: np.random.Generator) -> bytes:
    """The beginning of a file."""
    return bytes(content[: rng.integers(len(content))])


def flipped(content: bytearray, rng: np.random.Generator) -> bytes:
    """A file with one bit changed."""
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    return bytes(content)


@dataclass(frozen=True)
class Fault:
    """What is done to fits; whether they are compiled, and share what was."""

    inject: Inject
    compiled: bool = False
    shares: bool = False
    times: int = 50


FAULTS: dict[str, Fault] = {
    "kill -9 at a random time": Fault(killed(signal.SIGKILL)),
    "kill -9 while a checkpoint is written": Fault(killed_while_writing),
    "SIGTERM": Fault(killed(signal.SIGTERM)),
    "SIGINT": Fault(killed(signal.SIGINT)),
    "no room for the checkpoint": Fault(out_of_disk),
    "a checkpoint cut short": Fault(damaged(cut_short)),
    "a checkpoint with one bit flipped": Fault(damaged(flipped)),
    "kill -9 while it compiles": Fault(killed(signal.SIGKILL), compiled=True),
    "kill -9 at a random time, compiled": Fault(killed(signal.SIGKILL), True, True, 100),
    "kill -9 while a checkpoint is written, compiled": Fault(killed_while_writing, True, True),
}


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Print how many faults of each kind were injected and how many were lost: 0, or it fails.

    The fits that are compiled take half an hour, and are left out of the smoke test.

    One fit at a time, whatever `jobs` says: what is killed is known by its number.
    """
    faults = [name for name, fault in FAULTS.items() if not (smoke and fault.compiled)]
    # A first fit imports what each of them would take seconds to import anew, as the compiler is.
    IFlow(n_layers=1, max_steps=1, compile=False, progress=False).fit(DATA.x, DATA.u)
    if not smoke:
        torch.compile(min)
    bar = tqdm(faults, desc="faults", unit="kind")
    counts = [
        inject_all(name, 1 if smoke else FAULTS[name].times, 25 if smoke else 100) for name in bar
    ]
    print("| fault | injected | survived | lost | the first fit and one after all, s |")
    print("|---|---|---|---|---|")
    for count in counts:
        cells = (count.fault, count.injected, count.injected - count.lost, count.lost, count.times)
        print(f"| {' | '.join(map(str, cells))} |")
    lost = sum(count.lost for count in counts)
    if lost:
        raise SystemExit(f"Expected to lose nothing; got {lost} fits that did not get over it.")


@cache
def left_alone(compiled: bool, steps: int) -> tuple[str, float]:
    """The result of a fit without a fault, and how many seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = Fit(Path(folder), steps, compiled).finish()
        return result, time.perf_counter() - started


def inject_all(name: str, times: int, steps: int, seed: int = 0) -> Count:
    """Faults of one kind, in fits that go on from one to the next, until there were so many."""
    rng, count, fault = np.random.default_rng(seed), Count(name), FAULTS[name]
    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "compiler" if fault.shares else None
        fit = Fit(Path(folder) / "fit", steps, fault.compiled, shared=shared)
        fit.folder.mkdir()
        expected, first = left_alone(fit.compiled, steps)
        seconds = first
        while count.injected < times:
            fit.begin_anew()
            in_this_fit = 0
            while count.injected + in_this_fit < times and not fit.result.exists():
                injected = fault.inject(fit, rng, seconds)
                in_this_fit += injected
                if not injected:  # too late, or too early: the machine is not as quick as it was
                    seconds *= 0.95 if fit.result.exists() else 1.1
            count.injected += in_this_fit
            count.lost += in_this_fit if fit.finish() != expected else 0
        if fault.compiled:
            count.first, count.after = first, seconds_of_one_more(fit)
    return count


def seconds_of_one_more(fit: Fit) -> float:
    """A fit from its first step on, with the compiler's files as the faults have left them."""
    for path in (fit.checkpoint, fit.result):
        path.unlink(missing_ok=True)
    started = time.perf_counter()
    fit.finish()
    return time.perf_counter() - started
