"""Rows of results, printed as a table, with the versions that made them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from joblib import Parallel, delayed
from tqdm import tqdm

from experiments.protocol.environment import environment

HEADER = ("data", "method", "seed", "MCC", "nats", "oracle", "round trip", "seconds")
NUMBER = 7  # how wide numbers are at least


@dataclass(frozen=True)
class Row:
    """One method on one data set; what does not apply is None.

    Attributes:
        data, method: what was done, in words.
        mcc: on held-out rows.
        nats: mean log p(x | u) of held-out rows, or a bound on it; oracle: the true model's.
        round_trip: largest |x − f(g(x))| in standard deviations.
        seconds: of the fit.
        seed: of the data.
        details: what else was measured, by name.
    """

    data: str
    method: str
    mcc: float | None = None
    nats: float | None = None
    oracle: float | None = None
    round_trip: float | None = None
    seconds: float | None = None
    seed: int | None = None
    details: dict[str, float] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        return (
            self.data,
            self.method,
            _format(self.seed, "d"),
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


def print_as_done(tasks: Mapping[tuple[str, str], Callable[[], Row]], jobs: int) -> None:
    """Print the table of all tasks, named by data and method: each row as soon as it is there.

    On a terminal a bar below the table says which fits are under way.
    """
    widths = [max(map(len, names)) for names in zip(*tasks, HEADER[:2], strict=True)]
    widths += [max(len(title), NUMBER) for title in HEADER[2:]]
    print(_line(HEADER, widths), _line(["---"] * len(HEADER), widths), sep="\n", flush=True)
    parallel = Parallel(n_jobs=jobs, return_as="generator_unordered")
    rows = parallel(delayed(task)() for task in tasks.values())
    left = dict.fromkeys(tasks)  # which are begun in this order
    with tqdm(total=len(tasks), unit="fit", disable=None) as bar:
        while left:
            bar.set_description(f"fitting {', '.join(map(' '.join, islice(left, jobs)))}")
            row = next(rows)
            bar.write(_line(row.cells(), widths))
            sys.stdout.flush()
            bar.update()
            del left[row.data, row.method]
    print(f"\n{_footer()}")


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table, and the versions behind them."""
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = "\n".join(_line(cells, widths) for cells in lines)
    return f"{table}\n\n{_footer()}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"


def _footer() -> str:
    made = ", ".join(f"{name} {number}" for name, number in environment().items())
    return f"MCC and nats on held-out rows. {made}."


def _format(value: float | None, spec: str) -> str:
    return "–" if value is None else format(value, spec)
