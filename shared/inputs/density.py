"""Whether x has a density: what has none is refused before training, or warned of, by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.columns import (
    CODES,
    NEARLY_NOTHING,
    Atom,
    Dependence,
    atoms,
    codes,
    step_of,
)
from identiflow.shared.inputs.remarks import InputWarning, remark, row_number
from identiflow.shared.inputs.rows import ROWS, Observed, Sample, Scale
from identiflow.shared.inputs.validation import check_more_rows_than_columns

# One value that this share of the rows has draws a flow to it; of a label the prior gives way once
# nearly all rows have it.
SHARE_OF_ROWS, SHARE_OF_A_LABEL = 0.1, 0.9
# Rows of a label: to be remarked on, to be refused if a column is constant, or depends on others.
FEWEST_ROWS, FEW_ROWS, ROWS_OF_A_LABEL = 3, 10, 20
# Rows of a label that agree are no chance if others would agree as seldom as this.
CHANCE = 1e-3
MOST_NAMED = 3
ENOUGH = 10  # rows, of which an order says something
# Deviations from the mean of fit beyond which a code is one, and beyond which any value may be.
NEAR, FAR = 6, 1000

NO_DENSITY = "Such x has no density, and the nats of a flow rise without end. "
OF_U = "Leave it out of x: it is in u."
OF_ROUNDED = (
    "All columns are rounded, which makes different rows alike: add noise of the size of the last "
    "digit to them. If rows were entered twice, pass each once."
)
WHAT_TO_DO = (
    "Drop the column, add noise of the size of its measurement error to it, or fit an IVAE with "
    "fewer latents than columns."
)


class DensityWarning(InputWarning):
    """x hardly has a density: nats may rise without end, and tell little of one fit or another."""


def remark_unmeasured(table: Observed) -> None:
    """Warn of columns that count the rows, and of values that may be codes for missing cells."""
    counting = counts_of_rows(np.asarray(table.x[:ROWS], dtype=np.float64))
    if counting:
        remark(
            f"Taken for a measurement: {table.named(*counting)} of x, which counts the rows. If it "
            "is none, leave it out; if it is the time, pass it as u."
        )
    found = [
        f"{_who_has(code.value, table.x[:, code.column])} in {table.named(code.column)} of x"
        for code in codes(_with_extremes(table.sample.x, table.x))
    ]
    if table.continuous is not None and table.sample.continuous is not None:
        found += [
            f"{_who_has(code.value, table.continuous[:, code.column])} in column {code.column} of u"
            for code in codes(_with_extremes(table.sample.continuous, table.continuous))
        ]
    if found:
        remark(
            f"Taken for measurements, far from all others: {_listed(found)}. If that is a code for "
            "what was not measured, drop those rows, or fill them in."
        )


def remark_far(x: NDArray[Any], scale: Scale[Array]) -> None:
    """Warn of values of new rows (N, d) that are as far from those of fit as no measurement is."""
    if not len(x) or not (scale.mean.any() or (scale.std != 1).any()):  # counts are not scaled
        return
    ends = np.stack([x.min(0), x.max(0)]).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        distances = np.abs(scale.apply(ends))
        far = (distances > FAR) | ((distances > NEAR) & np.isin(ends.astype("f4"), CODES))
    found = [
        f"{_who_has(ends[end, column], x[:, column])} in column {column} of x, "
        f"{distances[end, column]:.2g} deviations from the mean"
        for end, column in np.argwhere(far)
    ]
    if found:
        remark(
            f"Far from all rows of fit: {_listed(found)}. If that is a code for what was not "
            "measured, drop those rows, or fill them in: their results say nothing."
        )


def _with_extremes(sample: Array, values: NDArray[Any]) -> Array:
    """Some rows, and for each column the smallest and the largest value of all if they lack it."""
    extremes = np.stack([values.min(0), values.max(0)]).astype(np.float64)
    known = (extremes >= sample.min(0)) & (extremes <= sample.max(0))
    return np.concatenate([sample, np.where(known, np.median(sample, axis=0), extremes)])


def _who_has(value: float, column: NDArray[Any]) -> str:
    """How many rows have a value, in words."""
    number = int((column == value).sum())
    if number == 1:
        return f"row {row_number((column == value).argmax())} has the value {value:g}"
    return f"{_percent(number / len(column))} % of the rows share the value {value:g}"


def counts_of_rows(x: Array) -> list[int]:
    """The columns of x (N, d) that rise or fall in equal steps, or are 1 to N in any order."""
    if len(x) < ENOUGH:
        return []
    steps = np.diff(x, axis=0)
    equal = (np.abs(steps - steps[0]) <= 1e-6 * np.abs(steps[0])).all(0) & (steps[0] != 0)
    whole = (np.ptp(x, axis=0) == len(x) - 1) & (x == np.round(x)).all(0)
    shuffled = [len(np.unique(x[:, i])) == len(x) for i in np.flatnonzero(whole)]
    equal[np.flatnonzero(whole)] |= np.array(shuffled, dtype=bool)
    return np.flatnonzero(equal).tolist()


def remark_on_u(table: Observed) -> None:
    """Warn of columns of x that u says all of, which a model without a need for a density takes."""
    if found := list(_columns_of_u(table)):
        remark(
            f"Part of x, though u says all of it: {_listed(found)}. A latent that the model spends "
            f"on it is u, and no source. {OF_U}"
        )


def check_density(table: Observed) -> None:
    """Raise if x has no density that a flow could learn; warn if it hardly has one.

    Raises:
        ValueError: if a column is a linear function of others, for all rows or those of a label.
    """
    check_more_rows_than_columns(table.x)
    found = [one for one in table.sample.plane().dependences() if one.others]
    if exact := [dependence for dependence in found if dependence.exact]:
        _refuse("", (_in_words(table, dependence) for dependence in exact))
    if of_u := list(_columns_of_u(table)):
        _refuse(" beside u", of_u, OF_U)
    if of_labels := list(_dependences_of_labels(table)):
        _refuse(" for each label of u", of_labels)
    remark_copies(table.sample)
    if doubts := [*_rounded(table, found), *_atoms(table)]:
        text = (
            f"{_listed(doubts)}. Training draws a flow to such values: its nats may rise as long "
            "as it trains, and its latents suffer. Add noise of the size of the last digit, or of "
            "the measurement error; for counts and categories fit an IVAE with a likelihood of "
            "theirs."
        )
        remark(text[0].upper() + text[1:], DensityWarning)


def has_density(x: Array) -> bool:
    """True unless columns of x (N, d) depend on each other, or rows are too few to tell."""
    if len(x) < x.shape[1] + 2:
        return False
    return not Observed(x).sample.plane().dependences(to_rounding=False)


def _refuse(where: str, texts: Iterable[str], what_to_do: str = WHAT_TO_DO) -> None:
    raise ValueError(
        f"Expected columns of x that vary by themselves{where}; got {_listed(texts)}. "
        f"{NO_DENSITY}{what_to_do}"
    )


def _listed(texts: Iterable[str]) -> str:
    """The first of them, and how many more there are."""
    every = list(texts)
    more = len(every) - MOST_NAMED
    return "; ".join(every[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _in_words(table: Observed, dependence: Dependence) -> str:
    column = table.named(dependence.column)
    if not dependence.others:
        return f"{column}, which is constant"
    return f"{column}, which is a linear function of {table.named(*dependence.others)}"


def _columns_of_u(table: Observed) -> Iterator[str]:
    """Words for columns of x that u says all of: of its labels, or of one of its values."""
    rows = table.sample
    for column in _constant_under_labels(rows):
        yield f"{table.named(column)}, which has one value for each label of u"
    if rows.continuous is None:
        return
    parts = (rows.x, rows.continuous)
    x, u = ((part - part.mean(0)) / np.maximum(part.std(0), 1e-300) for part in parts)
    squares = np.square(x.T @ u / len(x))
    for column, of_u in np.argwhere(squares > 1 - NEARLY_NOTHING**2):
        yield f"{table.named(int(column))}, which is a linear function of column {of_u} of u"


def _constant_under_labels(sample: Sample) -> list[int]:
    """Columns that are constant under every label, and not by chance: not the same under most."""
    groups = [sample.x[rows] for _, rows in sample.by_label()]
    if not (several := [x for x in groups if len(x) >= FEWEST_ROWS]):
        return []
    constant = np.all([(x == x[0]).all(0) for x in groups], axis=0)
    unusual = np.sum([len(x) * (x[0] != sample.center) for x in several], axis=0)
    found = np.flatnonzero(constant & (unusual >= FEW_ROWS)).tolist()
    return [] if constant.all() else found  # such rows are copies


def remark_copies(sample: Sample, *, but_for_rounding: bool = False) -> None:
    """Warn of rows that are others, as single precision sees them.

    Args:
        sample: the rows.
        but_for_rounding: leaves those alone of which there are as many once columns are shuffled:
            numbers of few digits meet by chance.
    """
    largest = np.finfo(np.float32).max
    rows = (sample.x - sample.center) / sample.scale
    rows = rows.clip(-largest, largest).astype(np.float32)
    share = _share_of_copies(rows)
    if but_for_rounding and share >= SHARE_OF_ROWS:
        rng = np.random.default_rng(0)
        shuffled = np.column_stack([rng.permutation(column) for column in rows.T])
        share = share if share > 2 * _share_of_copies(shuffled) else 0.0
    if share >= SHARE_OF_ROWS:
        remark(
            f"{100 * share:.0f} % of the rows of x are copies of others. Held-out rows are then "
            "among those that are trained on, and held_out_nats_ says little of rows that are not. "
            f"{OF_ROUNDED if all(map(step_of, sample.x.T)) else 'Pass each row once.'}",
            DensityWarning,
        )


def _share_of_copies(rows: NDArray[Any]) -> float:
    return 1 - len(np.unique(rows, axis=0)) / len(rows)


def _dependences_of_labels(table: Observed) -> Iterator[str]:
    """Words for columns that under a label are constant, or depend on others."""
    sample = table.sample
    for code, rows in sample.by_label():
        for dependence in _of_a_label(sample, rows):
            label = code if table.labels is None else table.labels[code]
            yield f"{_in_words(table, dependence)} in the rows of label {label!r} of u"


def _of_a_label(sample: Sample, rows: NDArray[np.int64]) -> list[Dependence]:
    x = sample.x[rows]
    if len(rows) >= x.shape[1] + ROWS_OF_A_LABEL:
        found = sample.plane(rows).dependences(to_rounding=False)
    elif len(rows) >= FEW_ROWS:
        found = [Dependence(int(i), ()) for i in np.flatnonzero((x == x[0]).all(0))]
    else:
        found = []
    return [one for one in found if one.others or not _by_chance(sample, one.column, x)]


def _by_chance(sample: Sample, column: int, x: Array) -> bool:
    """True if rows may well have one value in a column because many others have it too."""
    share = np.mean(sample.x[:, column] == x[0, column])
    return bool(share ** len(x) > CHANCE)


def _rounded(table: Observed, found: Iterable[Dependence]) -> Iterator[str]:
    for dependence in found:
        yield (
            f"{table.named(dependence.column)} of x is a linear function of "
            f"{table.named(*dependence.others)}, but for the rounding of the digits given"
        )


def _atoms(table: Observed) -> Iterator[str]:
    """Words for values that many rows share, of all rows or of those of a label."""
    sample = table.sample
    in_all = atoms(sample.x, SHARE_OF_ROWS)
    yield from (_shared_value(table, atom, "rows") for atom in in_all)
    others = np.setdiff1d(np.arange(sample.x.shape[1]), [atom.column for atom in in_all])
    for code, rows in sample.by_label():
        if len(rows) < FEWEST_ROWS or not len(others):
            continue
        label = code if table.labels is None else table.labels[code]
        x, enough = sample.x[rows], len(rows) >= ROWS_OF_A_LABEL
        for atom in atoms(x[:, others], SHARE_OF_A_LABEL if enough else 1.0):
            own = Atom(int(others[atom.column]), atom.value, atom.share)
            if enough or not _by_chance(sample, own.column, x):
                yield _shared_value(table, own, f"rows of label {label!r} of u")


def _shared_value(table: Observed, atom: Atom, rows: str) -> str:
    where = table.named(atom.column)
    return f"{_percent(atom.share)} % of the {rows} share the value {atom.value:g} in {where} of x"


def _percent(share: float) -> str:
    return format(100 * share, ".0f" if share >= 0.01 else ".1g")
