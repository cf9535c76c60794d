"""Two processes share a fit: the weights of both are those of one process alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from identiflow.shared.compute.random import standard_normal
from identiflow.shared.training.noise import ShareOfRows
from identiflow.shared.training.parallel import Workers

STEPS = 20
# What a user would run: the script does not know in how many processes it is run.
SCRIPT = f"""
import os, sys
import torch
from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.training import fit_ensemble

torch.set_num_threads(1)
folder, wanted = sys.argv[1], sys.argv[2:]
data = nonstationary_sources(2, 10, 50, observed_dim=3, noise_std=0.1, seed=1)
small = {{"hidden": (8,), "max_steps": {STEPS}, "batch_size": 65}}
fits = {{
    "flow": lambda: IFlow(n_layers=2, **small).fit(data.x, data.u, checkpoint=f"{{folder}}/run"),
    "vae": lambda: IVAE(2, n_samples=4, **small).fit(data.x, data.u),
    "member": lambda: fit_ensemble(
        IFlow(n_layers=1, **small), data.x, data.u, seeds=[0, 1]
    ).members_[1],
}}
states = {{name: fits[name]().model_.state_dict() for name in wanted}}
torch.save(states, f"{{folder}}/{{os.environ.get('RANK', 'alone')}}.pt")
"""
FITS = ("flow", "vae", "member")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def run(folder: Path, *launcher: str, fits: tuple[str, ...] = FITS) -> None:
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, *launcher, str(script), str(folder), *fits]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def states(file: Path) -> dict[str, dict[str, torch.Tensor]]:
    return torch.load(file)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="needs torch.distributed")
def test_two_processes_find_the_weights_of_one(tmp_path: Path) -> None:
    run(tmp_path / "one")
    run(tmp_path / "two", *TORCHRUN)
    alone = states(tmp_path / "one" / "alone.pt")
    for rank in range(2):
        for name, weights in states(tmp_path / "two" / f"{rank}.pt").items():
            for key, value in weights.items():
                torch.testing.assert_close(
                    value, alone[name][key], rtol=0, atol=1e-5, msg=f"{rank} {name} {key}"
                )
    # The first process alone wrote the checkpoint, from which two go on as one would.
    before = states(tmp_path / "two" / "1.pt")["flow"]
    run(tmp_path / "two", *TORCHRUN, fits=("flow",))
    again = states(tmp_path / "two" / "1.pt")["flow"]
    assert all(torch.equal(value, again[key]) for key, value in before.items())


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_shares_are_all_rows_and_draws_are_those_of_the_whole_batch(number: int) -> None:
    workers, like = Workers(), torch.zeros(())
    workers.number = number
    whole = standard_normal((4, 10, 2), like, torch.Generator().manual_seed(3))
    parts = []
    for workers.rank in range(number):
        rows = workers.share(10)
        source = ShareOfRows(torch.Generator().manual_seed(3), 10, rows)
        parts.append(source.normal((4, rows.stop - rows.start, 2), like))
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_more_processes_than_rows_are_refused() -> None:
    workers = Workers()
    workers.number = 5
    with pytest.raises(ValueError, match=r"a row for each of 5 processes; got 4.*Raise batch_size"):
        workers.share(4)
