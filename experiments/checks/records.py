"""The rows of the records, and the numbers that can be made of them, by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple, TypeAlias

from experiments.protocol.table import Row
from experiments.studies import causal_discovery, model_selection, sachs, special_case

RECORDS = Path(__file__).parents[1] / "records"
Rows: TypeAlias = Sequence[Row]
Of: TypeAlias = Callable[[Iterable[Any]], float]
Statistic: TypeAlias = Callable[[Rows], float]


class Query(NamedTuple):
    """Which rows: those of a study, of one kind of data or all, of one method or all."""

    study: str
    data: str | None = None
    method: str | None = None

    def __str__(self) -> str:
        return ", ".join(filter(None, self))


def read(folder: Path = RECORDS) -> dict[str, list[Row]]:
    """The rows of every record, by study."""
    return {path.stem: _rows_of(path) for path in sorted(folder.glob("*.json"))}


def _rows_of(path: Path) -> list[Row]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return [Row(**row) for row in content["rows"].values()]


def matching(records: Mapping[str, Rows], query: Query) -> list[Row]:
    """The rows that a query asks for; it is an error if there are none."""
    found = [row for row in records.get(query.study, ()) if _fits(row, query)]
    if not found:
        raise ValueError(
            f"Expected rows in a record; got none for {query}. Look for the names of data and "
            f"methods in experiments/records/{query.study}.json."
        )
    return found


def _fits(row: Row, query: Query) -> bool:
    return query.data in (None, row.data) and query.method in (None, row.method)


def value(rows: Rows, name: str) -> float:
    """A statistic of the rows by its name; any other name is one of their details."""
    return STATISTICS[name](rows) if name in STATISTICS else detail(rows, name)


def detail(rows: Rows, name: str) -> float:
    """The mean of what was measured beside the scores."""
    values = [row.details[name] for row in rows if name in row.details]
    if not values:
        raise ValueError(
            f"Expected a statistic or a detail of {rows[0].data}, {rows[0].method}; got {name!r}. "
            f"There are {', '.join([*STATISTICS, *rows[0].details])}."
        )
    return mean(values)


def scores(rows: Rows) -> list[float]:
    """The MCC of each row that has one."""
    return [row.mcc for row in rows if row.mcc is not None]


def nats(rows: Rows) -> list[float]:
    """The nats of each row that has them."""
    return [row.nats for row in rows if row.nats is not None]


def gaps(rows: Rows) -> list[float]:
    """How far each row's nats are short of the true model's."""
    return [r.oracle - r.nats for r in rows if r.oracle is not None and r.nats is not None]


def seconds(rows: Rows) -> list[float]:
    """The seconds of each row's fit."""
    return [row.seconds for row in rows if row.seconds is not None]


def seeds(rows: Rows) -> list[int]:
    """The seed of each row."""
    return [row.seed for row in rows if row.seed is not None]


def of_the_likeliest(rows: Rows) -> float:
    """The MCC of the row with the most nats: what choosing by nats comes to."""
    best = max((row for row in rows if row.nats is not None), key=lambda row: row.nats or 0.0)
    return best.mcc or 0.0


def taken_away(by: str, rows: Rows) -> float:
    """The share of the distance between conditions that is gone, in percent."""
    return 100 * (1 - detail(rows, by) / detail(rows, sachs.UNCHANGED))


def counted(names: tuple[str, ...], how: str, rows: Rows) -> float:
    """Pairs of variables of which one of these became, by one of the tests."""
    return sum(causal_discovery.count(rows, how)[name] for name in names)


def slope(place: int, rows: Rows) -> float:
    """Of the gap between bound and likelihood against the noise, in the row of that place."""
    return special_case.slope(rows[place])


OUTCOMES: dict[str, tuple[str, ...]] = {
    name: (name,) for name in ("in order", "clear", "against", "both rejected")
}
OUTCOMES["named"] = ("clear", "against")


def over(of: Of, values: Callable[[Rows], list[Any]]) -> Statistic:
    """A statistic of what can be read off each row."""
    return lambda rows: of(values(rows))


STATISTICS: dict[str, Statistic] = {
    "mean": over(mean, scores),
    "min": over(min, scores),
    "max": over(max, scores),
    "nats": over(mean, nats),
    "gap": over(mean, gaps),
    "gap max": over(max, gaps),
    "seconds max": over(max, seconds),
    "n": lambda rows: len(set(seeds(rows))),
    "first seed": over(min, seeds),
    "rows": len,
    "settings": lambda rows: len({row.method for row in rows}),
    "ranks": model_selection.ranks,
    "chosen": of_the_likeliest,
    **{
        f"{name}, {how}": partial(counted, names, how)
        for name, names in OUTCOMES.items()
        for how in causal_discovery.TESTS
    },
    "% removed by transport": partial(taken_away, sachs.TRANSPORTED),
    "% removed by shift": partial(taken_away, sachs.SHIFTED),
    **{f"slope {place + 1}": partial(slope, place) for place in range(3)},
}
