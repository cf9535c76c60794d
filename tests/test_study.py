"""A study that was killed goes on, and its files say what it found."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from experiments.protocol.study import run_study, summary
from experiments.protocol.table import Row

CALLS = Path("calls.txt")


def measure(name: str, seed: int) -> Row:
    """Fails on the seed that the file `poison` names."""
    if Path("poison").exists() and seed == int(Path("poison").read_text(encoding="utf-8")):
        raise RuntimeError("killed")
    with CALLS.open("a") as file:
        file.write(f"{seed}\n")
    return Row(name, "a method", mcc=seed / 10, nats=-1.0, oracle=-0.5, seconds=2.0, seed=seed)


def test_a_killed_study_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tasks = [partial(measure, "data", seed) for seed in (1, 2, 3)]
    Path("poison").write_text("3")
    with pytest.raises(RuntimeError, match="killed"):
        run_study("some_study", tasks, jobs=1)
    Path("poison").unlink()
    rows = run_study("some_study", tasks, jobs=1)
    assert CALLS.read_text().split() == ["1", "2", "3"]  # no seed twice
    assert [row.seed for row in rows] == [1, 2, 3]
    content = json.loads(Path("results/some_study/results.json").read_text(encoding="utf-8"))
    assert [row["mcc"] for row in content["rows"].values()] == [0.1, 0.2, 0.3]
    assert {"python", "torch", "nflows"} <= content.keys()
    table = Path("results/some_study/table.md").read_text(encoding="utf-8")
    assert summary(rows) in table and table.strip() in capsys.readouterr().out
    assert "| data | a method | 0.200 | 0.100 | 0.300 | 0.50 | 3 | 2 |" in table


def test_results_that_are_there_are_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = run_study("some_study", [partial(measure, "data", 1)], jobs=1)
    shutil.rmtree("results/some_study/rows")
    rows = run_study("some_study", [partial(measure, "data", seed) for seed in (1, 2)], jobs=1)
    assert CALLS.read_text().split() == ["1", "2"] and rows[:1] == first


def test_tasks_are_told_apart_by_their_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_study("some_study", [partial(measure, "data", 1)], jobs=1)
    run_study("some_study", [partial(measure, "data", seed=1)], jobs=1)
    run_study("some_study", [partial(measure, "other data", 1)], jobs=1)
    assert len(CALLS.read_text().split()) == 3
    with pytest.raises(ValueError, match="Expected tasks with words and numbers as arguments"):
        run_study("some_study", [partial(measure, object(), 1)], jobs=1)
