"""A study: many fits, whose rows are kept as they come, so that a run that was killed goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import mean

from experiments.protocol.environment import environment
from experiments.protocol.table import Row, markdown, run_all
from identiflow.shared.files import written_whole

RESULTS = Path("results")


def run_study(name: str, tasks: Sequence[partial[Row]], jobs: int) -> list[Row]:
    """The rows of all tasks, in `results/NAME`: results.json, table.md, and a file for each row.

    A task is a function and its arguments, words and numbers only. Its row is written when it is
    done, and read if the same task is asked for again: delete the folder to start anew. The rows of
    a results.json that is there already count as done.
    """
    folder = (RESULTS / name).absolute()  # processes that were there before may be elsewhere
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    _take_up(folder)
    rows = run_all([partial(_kept, folder / "rows", task) for task in tasks], jobs)
    by_task = {key_of(task): asdict(row) for task, row in zip(tasks, rows, strict=True)}
    content = {"study": name, **environment(), "rows": by_task}
    _write(folder / "results.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    table = f"{markdown(rows)}\n\n{summary(rows)}"
    _write(folder / "table.md", table + "\n")
    print(table)
    return rows


def key_of(task: partial[Row]) -> str:
    """A name for a function with its arguments; of its module the file counts, not the folder."""
    arguments = [*task.args, *task.keywords.items()]
    module = f"experiments.{task.func.__module__.rpartition('.')[2]}"
    text = repr((module, task.func.__qualname__, arguments))
    if " at 0x" in text:
        raise ValueError(
            f"Expected tasks with words and numbers as arguments; got {text}. Build what a task "
            "needs inside it."
        )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def summary(rows: Iterable[Row]) -> str:
    """A table of the mean and range of each method on each kind of data."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.data, row.method), []).append(row)
    lines = [
        "| data | method | MCC mean | worst | best | short of the oracle, nats | seeds | s a fit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_summarise(*key, members) for key, members in groups.items())])


def _summarise(data: str, method: str, rows: Sequence[Row]) -> str:
    scores = [row.mcc for row in rows if row.mcc is not None]
    gaps = [row.oracle - row.nats for row in rows if None not in (row.oracle, row.nats)]
    seconds = [row.seconds for row in rows if row.seconds is not None]
    numbers = [
        _number(mean, scores, ".3f"),
        _number(min, scores, ".3f"),
        _number(max, scores, ".3f"),
    ]
    numbers += [_number(mean, gaps, ".2f"), str(len(rows)), _number(mean, seconds, ".0f")]
    return f"| {' | '.join([data, method, *numbers])} |"


def _number(of: Callable[[list[float]], float], values: list[float], form: str) -> str:
    return format(of(values), form) if values else "–"


def _take_up(folder: Path) -> None:
    """Keep the rows of a results.json that was brought here without its folder of rows."""
    path = folder / "results.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    for key, row in rows.items():
        if not (folder / "rows" / f"{key}.json").exists():
            _write(folder / "rows" / f"{key}.json", json.dumps(row, ensure_ascii=False))


def _kept(folder: Path, task: partial[Row]) -> Row:
    """The row of a task: read, if it is there."""
    path = folder / f"{key_of(task)}.json"
    if path.exists():
        return Row(**json.loads(path.read_text(encoding="utf-8")))
    row = task()
    _write(path, json.dumps(asdict(row), ensure_ascii=False))
    return row


def _write(path: Path, text: str) -> None:
    """All of it or nothing."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
