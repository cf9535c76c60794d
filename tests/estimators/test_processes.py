"""Processes that share a fit agree on it, or all of them stop; one file is of one fit at a time."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from identiflow.iflow import IFlow
from identiflow.shared.compute.random import seeded, single_precision
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.files import used_alone
from identiflow.shared.training.training import Training

Array = np.ndarray
Make = Callable[..., Estimator]
DISTRIBUTED = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="needs torch.distributed"
)
# What each of two processes does otherwise, case by case, and what both of them say.
SCRIPT = """
import os, sys
import numpy as np, torch
from identiflow.iflow import IFlow
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.files import used_alone

torch.set_num_threads(1)
folder, rank = sys.argv[1], int(os.environ["RANK"])


def fit(case):
    data = nonstationary_sources(2, 10, 50, seed=1)
    x, u = data.x, data.u
    options = {"n_layers": 1, "hidden": (8,), "max_steps": 6, "compile": False}
    checkpoint = os.path.join(folder, case, "run") if "checkpoint" in case else None
    if case == "seeds":
        options["seed"] = rank
    if case == "options":
        options["learning_rate"] = 0.01 + 0.01 * rank
    if case == "rows":
        x = x + 0.01 * rank * np.arange(len(x))[:, None] / len(x)
    if case == "order":
        order = np.random.default_rng(rank).permutation(len(x))
        x, u = x[order], u[order]
    if case == "number of rows":
        x, u = x[rank:], u[rank:]
    if case == "layers":
        options["n_layers"] = 1 + rank
    if case == "a damaged checkpoint" and rank == 0:
        open(checkpoint, "w").write("no checkpoint")
    if case == "a checkpoint in use" and rank == 0:
        in_use = used_alone(checkpoint)
        in_use.__enter__()
    IFlow(**options).fit(x, u, checkpoint=checkpoint)


for case in sys.argv[2:]:
    try:
        fit(case)
    except ValueError as error:
        open(os.path.join(folder, case, f"{rank}.txt"), "w").write(str(error))
"""
CASES = {
    **{name: "got other options in process 1 than" for name in ("seeds", "options", "layers")},
    "number of rows": "got other options in process 1 than",
    "rows": "got other rows in process 1 than",
    "order": "got other rows in process 1 than",
    "a damaged checkpoint": "run to be a safetensors file written by save",
    "a checkpoint in use": "run to be used by one fit at a time",
}


@pytest.fixture(scope="module")
def of_two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each case, with what each process said of it; they are started once for all."""
    folder = tmp_path_factory.mktemp("processes")
    for case in CASES:
        (folder / case).mkdir()
    script = folder / "script.py"
    script.write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, *launcher, str(script), str(folder), *CASES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@DISTRIBUTED
@pytest.mark.parametrize("case", CASES)
def test_processes_that_do_not_make_the_same_fit_all_say_so(
    case: str, of_two_processes: Path
) -> None:
    for rank in range(2):
        assert CASES[case] in (of_two_processes / case / f"{rank}.txt").read_text()


# One checkpoint, two fits -------------------------------------------------------------------------


def test_a_checkpoint_is_of_one_fit_at_a_time(
    make: Make, x: Array, u: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, inside, go_on = tmp_path / "run", threading.Event(), threading.Event()
    save = Training.save

    def slow(training: Training) -> None:
        save(training)
        inside.set()
        assert go_on.wait(120)

    monkeypatch.setattr(Training, "save", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(make().fit, x, u, checkpoint=path)
        assert inside.wait(120)
        files = sorted(tmp_path.iterdir())
        (used,) = [file.with_suffix("") for file in files if file.suffix == ".lock"]
        with pytest.raises(ValueError, match="used by one fit at a time; got another one"):
            with used_alone(used):
                pass
        go_on.set()
        first.result(120)
    assert not [file for file in tmp_path.iterdir() if file.suffix == ".lock"]
    monkeypatch.undo()
    make().fit(x, u, checkpoint=path)  # which goes on from it


def test_a_second_fit_with_a_checkpoint_in_use_is_refused(
    x: Array, u: Array, tmp_path: Path
) -> None:
    flow = IFlow(n_layers=1, hidden=(8,), max_steps=4, compile=False)
    with (
        used_alone(tmp_path / "run"),
        pytest.raises(ValueError, match="Pass another file name, or wait for that one"),
    ):
        flow.fit(x, u, checkpoint=tmp_path / "run")
    flow.fit(x, u, checkpoint=tmp_path / "run")


def hold(path: Path, started: multiprocessing.Queue) -> None:
    with used_alone(path):
        started.put(True)
        time.sleep(600)


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    started = context.Queue()
    process = context.Process(target=hold, args=(tmp_path / "run", started))
    process.start()
    started.get(timeout=120)
    with pytest.raises(ValueError, match="one fit at a time"), used_alone(tmp_path / "run"):
        pass
    process.kill()
    process.join()
    with used_alone(tmp_path / "run"):
        pass


# Threads and forks --------------------------------------------------------------------------------


def draw_and_say(pipe: multiprocessing.connection.Connection) -> None:
    with seeded(3), single_precision():
        first = torch.randn(2).tolist()
    pipe.send((first, str(torch.get_default_dtype())))


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_while_a_thread_builds_a_model_builds_its_own() -> None:
    """Before, it waited for ever for a lock that a thread held which is not in it."""
    inside, leave = threading.Event(), threading.Event()

    def build() -> None:
        with seeded(0), single_precision():
            inside.set()
            leave.wait(120)

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        thread = threading.Thread(target=build)
        thread.start()
        assert inside.wait(120)
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe()
        child = context.Process(target=draw_and_say, args=(there,))
        child.start()
        answered = here.poll(60)
        said = here.recv() if answered else None
        child.kill()
        leave.set()
        thread.join()
    finally:
        torch.set_default_dtype(before)
    with seeded(3):
        expected = torch.randn(2, dtype=torch.float32).tolist()
    assert said == (expected, "torch.float64")


def test_random_states_of_other_devices_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit on a CPU wakes no GPU, which no forked process may do."""

    def refuse(*_: object) -> None:
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess.")

    for name in ("get_rng_state", "set_rng_state", "manual_seed_all", "manual_seed"):
        monkeypatch.setattr(torch.cuda, name, refuse)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with seeded(0):
        assert torch.randn(1).item() == torch.randn(1, generator=torch.Generator().manual_seed(0))
