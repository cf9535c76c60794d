"""Times of ours beside a peer's; their table as it is printed, and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from experiments.benchmarks.plan import SEED
from experiments.protocol.environment import environment

HEADER = ("name", "peer", "ratio", "min", "max", "seconds", "peer's", "details")
WIDTHS = (20, 24, 7, 7, 7, 9, 9, 0)


@dataclass(frozen=True)
class Comparison:
    """Our time beside a peer's. ratio = the peer's time / ours, so above 1 we are faster.

    Attributes:
        name: the benchmark.
        peer: what ours is compared with.
        ratio_min: the smallest ratio of two neighbouring rounds; ratio_median, ratio_max likewise.
        seconds: our time for one call, the median over rounds.
        peer_seconds: the peer's.
        details: what else was counted or measured, by name.
    """

    name: str
    peer: str
    ratio_min: float
    ratio_median: float
    ratio_max: float
    seconds: float
    peer_seconds: float
    details: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        peer: str,
        ours: Sequence[float],
        theirs: Sequence[float],
        details: dict[str, float],
    ) -> Comparison:
        """The row of two lists of seconds, round i of both measured next to each other."""
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        middle = (median(ratios), max(ratios), median(ours), median(theirs))
        return cls(name, peer, min(ratios), *middle, details)

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        ratios = (self.ratio_median, self.ratio_min, self.ratio_max)
        seconds = (self.seconds, self.peer_seconds)
        details = ", ".join(f"{name} {value:.6g}" for name, value in self.details.items())
        return (
            self.name,
            self.peer,
            *(f"{ratio:.3f}" for ratio in ratios),
            *(f"{value:.3g}" for value in seconds),
            details,
        )


def print_header() -> None:
    """The first two lines of a markdown table."""
    _print_cells(HEADER)
    _print_cells(tuple("-" * max(3, width) for width in WIDTHS))


def print_row(row: Comparison) -> None:
    """One more line, at once: a full run takes its time."""
    _print_cells(row.cells())


def print_footer() -> None:
    """Print the meaning of the numbers, and where they were measured."""
    made = _machine()
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    print(
        "\nratio = the peer's time / ours in neighbouring rounds (median, min, max): above 1 we "
        f"are faster. seconds are medians of one call.\n{versions}; {made['threads']} threads, "
        f"{made['cores']} cores, seed {made['seed']}."
    )


def write_json(path: Path, rows: Iterable[Comparison], smoke: bool) -> None:
    """The rows, with the versions and the machine behind them."""
    content = {"smoke": smoke, **_machine(), "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _machine() -> dict[str, Any]:
    """Versions, threads in use, cores and the seed that the times were measured with."""
    return {
        "versions": environment("zuko", "normflows"),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "seed": SEED,
    }


def _print_cells(cells: Sequence[str]) -> None:
    padded = (cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))
    print("| " + " | ".join(padded) + " |", flush=True)
