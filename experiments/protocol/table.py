"""Rows of results, printed as a table, with the versions that made them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from joblib import Parallel, delayed
from tqdm import tqdm

from experiments.protocol.environment import environment

HEADER = ("data", "method", "seed", "MCC", "nats", "oracle", "round trip", "seconds")


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


def print_table(rows: Iterable[Row]) -> None:
    """Print a markdown table of the rows, and the versions behind them."""
    print(markdown(rows))


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table, and the versions behind them."""
    lines = [HEADER, tuple("---" for _ in HEADER), *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    padded = [[c.ljust(width) for c, width in zip(line, widths, strict=True)] for line in lines]
    made = ", ".join(f"{name} {number}" for name, number in environment().items())
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in padded)
    return f"{table}\n\nMCC and nats on held-out rows. {made}."


def _format(value: float | None, spec: str) -> str:
    return "–" if value is None else format(value, spec)
