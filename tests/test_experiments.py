"""Every experiment runs, in its smallest form, and prints what it promises."""

from __future__ import annotations

import importlib
import json
import os
from functools import partial
from pathlib import Path

import joblib
import pytest
from joblib.parallel import ThreadingBackend

from experiments import demo, faults, mutations, round_trips, statistical_truth
from experiments.__main__ import EXPERIMENTS, STUDIES
from experiments.protocol.fits import has_data
from experiments.protocol.table import run_all

SCRIPTS = {
    "demo": (demo, "| 5-D sources | IFlow "),
    "round_trips": (round_trips, "| identiflow | float64 |"),
    "mutations": (mutations, "1 of 1 caught"),
    "statistical_truth": (statistical_truth, "| shuffled u | nats gained by the right u |"),
    "faults": (faults, "| SIGTERM | 1 | 1 | 0 |"),
}


def test_every_experiment_has_a_smoke_run():
    assert set(SCRIPTS) == set(EXPERIMENTS)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_leaves_its_results(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = importlib.import_module(f"experiments.{name}")
    if not has_data(*getattr(script, "NEEDS", ())):
        pytest.skip(f"IDENTIFLOW_DATA names no folder with {', '.join(script.NEEDS)}")
    script.main(smoke=True, jobs=1)
    folder = Path("results") / name
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert content["rows"] and (folder / "table.md").exists()
    assert list(folder.glob("*.png"))
    written = {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()}
    script.main(smoke=True, jobs=1)  # nothing is done again
    assert written == {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("name", SCRIPTS)
def test_smoke(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    script, promised = SCRIPTS[name]
    script.main(smoke=True, jobs=1)
    printed = " ".join(capfd.readouterr().out.split())
    assert promised in printed
    if name == "demo":
        figures = {path.name for path in Path("results/demo").glob("*.png")}
        assert {"2-d_sources_iflow.png", "5-d_sources_ivae.png", "digits_iflow.png"} <= figures


@pytest.mark.parametrize("name", mutations.MUTATIONS)
def test_a_mutation_still_fits_the_code(name, tmp_path):
    mutation = mutations.MUTATIONS[name]
    copy = tmp_path / "copy.py"
    copy.write_text((mutations.ROOT / mutation.file).read_text("utf-8"), "utf-8")
    mutations.plant(mutation, copy)
    compile(copy.read_text("utf-8"), mutation.file, "exec")
    with pytest.raises(ValueError, match="once; got 0. Change the mutation"):
        mutations.plant(mutation, copy)


def test_demo_goes_on_without_real_data(tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("IDENTIFLOW_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "STEPS", {"light tunnel": demo.STEPS["light tunnel"]})
    demo.main(smoke=True, jobs=1)
    assert "skipped, set IDENTIFLOW_DATA" in capfd.readouterr().out
    assert os.path.isdir("results/demo")


class CountingBackend(ThreadingBackend):
    """A backend from outside, such as Dask's or Ray's."""

    tasks = 0

    def submit(self, func, callback=None):
        type(self).tasks += 1
        return super().submit(func, callback)


def square(number):
    return number * number


@pytest.mark.parametrize("backend", ["loky", "counting"])
def test_sweeps_run_on_the_backend_that_joblib_is_given(backend, monkeypatch):
    joblib.register_parallel_backend("counting", CountingBackend)
    tasks = [partial(square, number) for number in range(3)]
    with joblib.parallel_config(backend=backend):
        assert run_all(tasks, jobs=2) == [0, 1, 4]
    if backend == "counting":
        assert CountingBackend.tasks == len(tasks)
