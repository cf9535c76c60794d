"""Files of models with anything changed, their checksum made right again: refused, or the same?

Plain values are lost, doubled, or others of any kind and size; tensors are NaN, infinite, cut, of
other signs, kinds and values. Each file is loaded; what is loaded has to compute what the fit that
was saved computes. Seconds and memory are those of the costliest of all loads, which a file that
lies about its size must not exceed.
"""

from __future__ import annotations

import copy
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments.benchmarks.memory import highest, resident
from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.files import FileFormatError, load_tensors, save_tensors

Contents = tuple[dict[str, Tensor], dict[str, Any]]
SMALL: dict[str, Any] = {"hidden": (16,), "max_steps": 2, "batch_size": 64, "compile": False}
ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "`IFlow`": lambda: IFlow(n_layers=2, **SMALL),
    "`IVAE`, n = d": lambda: IVAE(2, n_samples=2, warm_steps=2, **SMALL),
    "`IVAE`, n < d": lambda: IVAE(1, n_samples=2, **SMALL),
}
N_ROWS, TOLERANCE, WARM_UP = 200, 1e-4, 20
PEAK = Path("/proc/self/clear_refs")
VALUES: list[Any] = [None, True, 0, 1, -1, 2**70, 0.5, float("nan"), float("inf"), -1e300, "", "x"]
VALUES += ["a" * 1000, [], [1], ["a"], [[1]], [None], {}, {"a": 1}, [0] * 5, 3000, 1e9, "affine"]
TENSOR_CHANGES: list[Callable[[Tensor], Tensor]] = [
    lambda t: torch.where(torch.arange(t.numel()).view(t.shape) == 0, torch.nan, t.double()),
    lambda t: t * 0,
    lambda t: t.float(),
    lambda t: t.reshape(-1),
    lambda t: torch.cat([t.reshape(-1)] * 2),
    lambda t: t.double() * torch.inf,
    lambda t: -t,
    lambda t: 1.01 * t + 0.01,
    lambda t: t.flip(0) if t.ndim else t,
]


@dataclass
class Outcome:
    """What became of the files of one estimator; what the costliest load took, and a good one.

    Memory is in MiB, at the height of a load above what was there before.
    """

    refused: int = 0
    same: int = 0
    another: int = 0
    seconds: float = 0.0
    memory: float = 0.0
    good_seconds: float = 0.0
    good_memory: float = 0.0


HEADER = "estimator | files | refused | the same | another | s | MiB | a good file: s | MiB".split(
    " | "
)


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Print the table; fail if a file was taken for another fit."""
    n_files = 20 if smoke else 4000
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    x, u = rows_and_u()
    others = 0
    for name, build in ESTIMATORS.items():
        found = try_files(build().fit(x, u), x, u, n_files)
        counts = (n_files, found.refused, found.same, found.another)
        costs = (found.seconds, found.memory, found.good_seconds, found.good_memory)
        cells = [*map(str, counts), *(f"{cost:.2g}" for cost in costs)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        others += found.another
    if others:
        raise SystemExit(f"Expected no file to be taken for another fit; got {others}.")


def rows_and_u() -> tuple[np.ndarray, pd.DataFrame]:
    """200 rows of two columns, with labels and a continuous value as u."""
    x = nonstationary_sources(2, n_segments=10, samples_per_segment=20, seed=1).x
    labels = np.array(list("abcdefghij"))[np.arange(N_ROWS) % 10]
    return x, pd.DataFrame({"l": labels, "t": np.linspace(0, 1, N_ROWS) ** 2})


def try_files(fit: Estimator, x: Any, u: Any, n_files: int) -> Outcome:
    """Load so many files of the fit, each with something changed."""
    kind, expected, found = type(fit).__name__, outputs(fit, x, u), Outcome()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        fit.save(path)
        contents = load_tensors(path, kind)
        for number in range(WARM_UP):  # what a first error imports is not the file's
            save_tensors(path, kind, *changed(contents, random.Random(-1 - number)))
            costs_of(fit, path)
        fit.save(path)
        good = [costs_of(fit, path)[1:] for _ in range(WARM_UP)]
        found.good_seconds, found.good_memory = map(max, zip(*good, strict=True))
        for number in range(n_files):
            save_tensors(path, kind, *changed(contents, random.Random(number)))
            loaded, *costs = costs_of(fit, path)
            found.seconds, found.memory = map(max, costs, (found.seconds, found.memory))
            if loaded is None:
                found.refused += 1
            elif are_alike(outputs(loaded, x, u), expected):
                found.same += 1
            else:
                found.another += 1
    return found


def costs_of(fit: Estimator, path: Path) -> tuple[Estimator | None, float, float]:
    """What is loaded, None if it is refused; seconds and MiB."""
    forget_peak()
    before, started = resident(), time.perf_counter()
    try:
        loaded = type(fit).load(path)
    except FileFormatError:
        loaded = None
    return loaded, time.perf_counter() - started, (highest() - before) / 2**20


def forget_peak() -> None:
    """The highest memory so far is what is there now, where the system can be told so."""
    if PEAK.exists():
        PEAK.write_text("5")


def outputs(fit: Estimator, x: Any, u: Any) -> list[np.ndarray]:
    """What fits are compared by."""
    return [fit.transform(x, u), fit.log_prob(x, u)]  # type: ignore[attr-defined]


def are_alike(values: list[np.ndarray], others: list[np.ndarray]) -> bool:
    """True if they differ by no more than rounding in other libraries."""
    pairs = zip(values, others, strict=True)
    return all(np.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE) for a, b in pairs)


def changed(contents: Contents, rng: random.Random) -> Contents:
    """A copy with one thing changed."""
    tensors, info = contents
    if rng.random() < 0.7:
        return tensors, with_other_info(info, rng)
    return with_other_tensors(tensors, rng), info


def with_other_info(info: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A copy with one of its plain values gone, repeated, joined by another, or another."""
    other = copy.deepcopy(info)
    *way, last = rng.choice(list(places(other)))
    holder: Any = other
    for key in way:
        holder = holder[key]
    how = rng.random()
    if how < 0.2:
        del holder[last]
    elif how < 0.3 and isinstance(holder[last], list):
        holder[last] = holder[last] * rng.choice([0, 2, 3])
    elif how < 0.35 and isinstance(holder, dict):
        holder["another"] = rng.choice(VALUES)
    else:
        holder[last] = rng.choice(VALUES)
    return other


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of a plain value."""
    if above:
        yield above
    for key in value if isinstance(value, dict) else range(len(value)):
        if isinstance(value[key], dict | list):
            yield from places(value[key], (*above, key))
        else:
            yield (*above, key)


def with_other_tensors(tensors: dict[str, Tensor], rng: random.Random) -> dict[str, Tensor]:
    """A copy with one of its tensors gone, there twice, or another."""
    other = dict(tensors)
    name = rng.choice(sorted(other))
    way = rng.randrange(len(TENSOR_CHANGES) + 2)
    if way < len(TENSOR_CHANGES):
        other[name] = TENSOR_CHANGES[way](other[name])
    elif way == len(TENSOR_CHANGES):
        other["model/another"] = other[name]
    else:
        del other[name]
    return other
