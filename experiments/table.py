"""Rows of results, printed as a table, with the versions that made them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from joblib import Parallel, delayed
from tqdm import tqdm

HEADER = ("data", "method", "MCC", "nats", "oracle", "round trip", "seconds")


@dataclass(frozen=True)
class Row:
    """One method on one data set; what does not apply is None."""

    data: str
    method: str
    mcc: float | None = None
    nats: float | None = None
    oracle: float | None = None
    round_trip: float | None = None
    seconds: float | None = None

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        return (
            self.data,
            self.method,
            _format(self.mcc, ".3f"),
            _format(self.nats, ".2f"),
            _format(self.oracle, ".2f"),
            _format(self.round_trip, ".0e"),
            _format(self.seconds, ".0f"),
        )


def run_all(tasks: Sequence[Callable[[], Row]], jobs: int) -> list[Row]:
    """The rows of all tasks, `jobs` at a time in processes of their own, with a progress bar."""
    parallel = Parallel(n_jobs=jobs, return_as="generator")
    results = parallel(delayed(task)() for task in tasks)
    return list(tqdm(results, total=len(tasks), desc="fits", unit="fit"))


def print_table(rows: Iterable[Row]) -> None:
    """Print a markdown table of the rows, and the versions behind them."""
    lines = [HEADER, tuple("---" for _ in HEADER), *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("| " + " | ".join(padded) + " |")
    print(
        f"\nMCC and nats on held-out rows. Python {platform.python_version()}, torch "
        f"{torch.__version__}, nflows {version('nflows')}, numpy {np.__version__}."
    )


def _format(value: float | None, spec: str) -> str:
    return "–" if value is None else format(value, spec)
