"""Columns that count or name rows, and are not measurements: refused, or remarked on.

R and pandas write the names of rows into a first column without a name, and tables bring ids,
counters and dates along. As x they would be fitted like any measurement, and no number that a fit
prints would tell. What is certainly no measurement is refused; what may be one is taken, with a
warning. Columns that are named one by one with --columns are taken as they are.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from identiflow.columns import seen, some

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

NO_NAME = re.compile(r"(Unnamed: \d+.*|__index_level_\d+__|level_\d+|)")
FROM_R = ("X", "X.1")  # what its read.csv calls such a column
# Words that name rows and not what was measured on them: subject_id, sampleID, Index, row.names.
OF_ROWS = re.compile(
    r"(.*[^a-z])?(id|ids|uid|uuid|guid|idx|index|row|rows|rowid|rownames|row.?names?|row.?numbers?|key)"
    r"|.+[^a-z](nr|no)"
    r"|subject|participant|patient|respondent|case|obs|observation|sample|record|trial|session"
)
# Words that may name rows or be measured: a number, a station, and whatever ends in id.
_WHOSE = (
    "subj|subject|usubj|user|pt|patient|pat|case|rec|record|obs|samp|sample|pers|person|part|"
    "participant|resp|respondent|client|cust|customer|member|emp|employee|stud|student|hh|household|"
    "unit|visit|stay|encounter|hadm|icustay|order|item|product|device|dev|sensor|station|site|cell|"
    "animal|mouse|rat|run|trial|scan|image|img|object|obj|track|event|e|p|r"
)
MAY_BE_OF_ROWS = re.compile(
    rf"(.*[^a-z])?(({_WHOSE})+ids?|seqn|mrn|ppn|lfdn|barcode|user|subj|nr|no|num|number)\.?|"
    rf"({_WHOSE})(nr|no|num|number)|station|track|frame|.*session.?label"
)
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
ENOUGH = 5  # rows, of which an order says something
DAYS = (19000101, 21001231)  # as 20240131


class Finding(NamedTuple):
    """What a column is instead of a measurement, and if that is certain."""

    certain: bool
    what: str


def check_bookkeeping(x: DataFrame, insisted: Collection[str], constants: bool) -> None:
    """Raise for columns of x that are certainly no measurements; warn of those that may be none.

    Args:
        x: columns of numbers.
        insisted: those that are measurements because the user says so.
        constants: True if the model takes columns that are constant.

    Raises:
        ValueError: if there are such columns.
    """
    others = [i for i, name in enumerate(x.columns) if name not in insisted]
    found = {x.columns[i]: judged(x.columns[i], x.iloc[:, i].to_numpy(), constants) for i in others}
    certain = {name: finding for name, finding in found.items() if finding and finding.certain}
    if certain:
        raise ValueError(
            f"Expected measurements in every column of x; got {_described(certain)}. Leave out: "
            f"{_dropping(certain)}. If measured, name it and all other columns of x: --columns."
        )
    maybe = _unusual({name: finding for name, finding in found.items() if finding}, len(others))
    if maybe:
        warnings.warn(
            f"Taken for measurements: {_described(maybe)}. If it is not measured, leave it out: "
            f"{_dropping(maybe)}.",
            stacklevel=2,
        )


def judged(name: Any, values: NDArray[Any], constants: bool = False) -> Finding | None:
    """What a column is, going by its name and its numbers; None for a measurement."""
    if len(values) < ENOUGH:
        return None
    with np.errstate(invalid="ignore"):  # of infinite numbers, which the estimators refuse
        steps = np.diff(values.astype(np.float64))
    if not steps.any():
        return Finding(not constants, "a constant")
    if NO_NAME.fullmatch(str(name)):
        return Finding(True, "row numbers or names, in a column without a name")
    if np.allclose(steps, steps[0], rtol=1e-6, atol=0):
        return Finding(True, "row numbers" if abs(steps[0]) == 1 else "a count in equal steps")
    return _of_whole(name, values, steps) if _are_whole(values) else _of_any(name, steps)


def _are_whole(values: NDArray[Any]) -> bool:
    """True for integers, and for floats that are such and may be otherwise: not for 1e300."""
    if values.dtype.kind != "f":
        return values.dtype.kind != "b"
    return bool((values == np.round(values)).all() and (np.abs(values) < 2.0**53).all())


def _of_whole(name: Any, values: NDArray[Any], steps: NDArray[Any]) -> Finding | None:
    different = len(np.unique(values)) == len(values)
    in_order = bool((steps >= 0).all() or (steps <= 0).all())
    if different and (_names_rows(name) or (in_order and name in FROM_R)):
        return Finding(True, "ids")
    if _names_rows(name) or _names_rows(name, MAY_BE_OF_ROWS):
        return Finding(False, "ids by the name")
    if are_days(values):
        return Finding(False, "dates")
    if in_order:
        return Finding(False, "in the order of the rows")
    if (steps == 1).mean() > 0.5:
        return Finding(False, "counting the rows")
    return Finding(False, DIFFERENT) if different else None


def _of_any(name: Any, steps: NDArray[Any]) -> Finding | None:
    if (steps >= 0).all() or (steps <= 0).all():  # of several rows each, as in long tables
        return Finding(False, "in the order of the rows, as times are")
    step = np.median(steps)
    again = step != 0 and np.isclose(steps, step, rtol=1e-6, atol=0).mean() > 0.5
    return Finding(False, "counting in equal steps, as times do") if again else None


DIFFERENT = "whole numbers that are all different"


def _unusual(found: dict[Any, Finding], columns: int) -> dict[Any, Finding]:
    """The findings, without those that most columns share: such are the measurements, then."""
    alike = [name for name, finding in found.items() if finding.what == DIFFERENT]
    usual = alike if len(alike) > max(2, columns / 2) else []
    return {name: finding for name, finding in found.items() if name not in usual}


def _names_rows(name: Any, words: re.Pattern[str] = OF_ROWS) -> bool:
    return words.fullmatch(HUMP.sub("_", str(name)).strip().lower()) is not None


def are_days(values: NDArray[Any]) -> bool:
    """True for days written as whole numbers, 20240131."""
    month, day = values // 100 % 100, values % 100
    inside = (values >= DAYS[0]) & (values <= DAYS[1])
    return bool((inside & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())


def _described(found: dict[Any, Finding]) -> str:
    return some(list(found), lambda name: f"{found[name].what} ({seen(name)})")


def _dropping(found: dict[Any, Finding]) -> str:
    """The options that leave the columns out, as they are typed."""
    return some(list(found), lambda name: f"--drop {_typed(str(name))}").replace(", --", " --")


def _typed(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]+", name) else '"' + name.replace('"', r"\"") + '"'
