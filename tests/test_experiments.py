"""Every experiment runs, in its smallest form, and prints what it promises."""

from __future__ import annotations

import importlib
import json
import re
from functools import partial
from pathlib import Path

import joblib
import pytest
from joblib.parallel import ThreadingBackend
from matplotlib.figure import Figure
from tqdm import tqdm

from experiments import demo
from experiments.__main__ import CHECKS, DEMO, SCRIPTS, STUDIES, about
from experiments.checks import mutations
from experiments.protocol import table
from experiments.protocol.fits import has_data
from experiments.protocol.study import key_of
from experiments.protocol.table import Row, print_as_done, run_all

ROOT = Path(__file__).resolve().parents[1]
PROMISES = {
    "demo": "| 5-D sources | IFlow |",
    "round_trips": "| identiflow | float64 |",
    "mutations": "1 of 1 caught",
    "statistical_truth": "| shuffled u | nats gained by the right u |",
    "faults": "| SIGTERM | 1 | 1 | 0 |",
    "damaged_files": "| `IVAE`, n < d | 20 |",
    "journeys": "10 of 10 floors are held.",
    "printed": "0 differ, 0 are not covered, 0 better rows are left out, 0 exceptions",
}


def script(name):
    return importlib.import_module(SCRIPTS[name])


def test_every_experiment_has_a_smoke_run():
    assert set(PROMISES) == {*DEMO, *CHECKS}


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_leaves_its_results(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = script(name)
    if not has_data(*getattr(study, "NEEDS", ())):
        pytest.skip(f"IDENTIFLOW_DATA names no folder with {', '.join(study.NEEDS)}")
    study.main(smoke=True, jobs=1)
    folder = Path("results") / name
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert content["rows"] and (folder / "table.md").exists()
    assert list(folder.glob("*.png"))
    written = {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()}
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: None)  # which takes its time
    study.main(smoke=True, jobs=1)  # nothing is done again
    assert written == {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()}


class AskedError(Exception):
    """A study has said what it wants to be done."""


@pytest.mark.parametrize("name", STUDIES)
def test_rows_that_were_kept_count_as_done(name, tmp_path, monkeypatch):
    """However the scripts are moved: a row's key is that of its task."""
    monkeypatch.chdir(tmp_path)
    study, asked = script(name), []
    if not has_data(*getattr(study, "NEEDS", ())):
        pytest.skip(f"IDENTIFLOW_DATA names no folder with {', '.join(study.NEEDS)}")

    def ask(_, tasks, jobs):
        asked.extend(map(key_of, tasks))
        raise AskedError

    monkeypatch.setattr(study, "run_study", ask)
    with pytest.raises(AskedError):
        study.main(seeds=60)
    record = ROOT / f"experiments/records/{name}.json"
    kept = json.loads(record.read_text(encoding="utf-8"))["rows"]
    if name == "gin_spectrum" and not has_data("mnist_t10k"):
        kept = {key: row for key, row in kept.items() if row["data"] == "digits"}
    assert kept and set(kept) <= set(asked)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("name", PROMISES)
def test_smoke(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    script(name).main(smoke=True, jobs=1)
    printed = " ".join(capfd.readouterr().out.split())
    assert PROMISES[name] in printed
    if name == "demo":
        figures = {path.as_posix() for path in Path("results/demo").glob("*.png")}
        assert {f"results/demo/{n}_iflow.png" for n in ("2-d_sources", "digits")} <= figures
        assert figures == set(re.findall(r"results/demo/\S+\.png", printed))


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_readme_says_of_a_script_what_its_docstring_says(name):
    readme = (ROOT / "experiments/README.md").read_text(encoding="utf-8")
    assert f"\n| `{name}` | {about(name).removesuffix('.')} |\n" in readme


def test_the_readme_names_no_script_that_is_not_there():
    readme = (ROOT / "experiments/README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE)) == set(SCRIPTS)


@pytest.mark.parametrize("name", mutations.MUTATIONS)
def test_a_mutation_still_fits_the_code(name, tmp_path):
    mutation = mutations.MUTATIONS[name]
    copy = tmp_path / "copy.py"
    copy.write_text((mutations.ROOT / mutation.file).read_text("utf-8"), "utf-8")
    mutations.plant(mutation, copy)
    compile(copy.read_text("utf-8"), mutation.file, "exec")
    assert all((mutations.ROOT / tests).is_file() for tests in mutation.tests.split())
    with pytest.raises(ValueError, match="once; got 0. Change the mutation"):
        mutations.plant(mutation, copy)


def test_the_full_demo_goes_on_without_real_data(tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("IDENTIFLOW_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "FULL", {demo.LIGHT_TUNNEL: demo.FULL[demo.LIGHT_TUNNEL]})
    demo.main(smoke=True, jobs=1, full=True)
    assert "skipped, set IDENTIFLOW_DATA" in capfd.readouterr().out
    assert Path("results/demo").is_dir()


def test_a_row_is_printed_before_the_next_fit_begins(capfd):
    printed = []

    def fit(name):
        printed.append(capfd.readouterr().out)
        return Row("data", name, mcc=0.5)

    print_as_done({("data", name): partial(fit, name) for name in ("first", "last")}, jobs=1)
    assert printed[0].startswith("| data | method |") and "| data | first  |" in printed[1]
    assert "| data | last   |" in capfd.readouterr().out


def test_on_a_terminal_a_bar_says_what_is_being_fitted(capfd, monkeypatch):
    monkeypatch.setattr(table, "tqdm", lambda **options: tqdm(**options | {"disable": False}))
    task = partial(Row, "data", "a method")
    print_as_done({("data", "a method"): task}, jobs=1)
    assert "fitting data a method: 100%" in capfd.readouterr().err


class CountingBackend(ThreadingBackend):
    """A backend from outside, such as Dask's or Ray's."""

    sweeps = 0

    def configure(self, *arguments, **options):
        type(self).sweeps += 1
        return super().configure(*arguments, **options)


def square(number):
    return number * number


@pytest.mark.parametrize("backend", ["loky", "counting"])
def test_sweeps_run_on_the_backend_that_joblib_is_given(backend, monkeypatch):
    joblib.register_parallel_backend("counting", CountingBackend)
    tasks = [partial(square, number) for number in range(3)]
    with joblib.parallel_config(backend=backend):
        assert run_all(tasks, jobs=2) == [0, 1, 4]
    if backend == "counting":
        assert CountingBackend.sweeps == 1
