"""A table's columns as the x, u and z of a fitted model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import identiflow
from identiflow.columns import (
    NO_HEADER,
    POSITIONAL,
    check_present,
    is_of_moments,
    numbers,
    reals,
    remark_shared,
    seen,
    select,
    some,
)
from identiflow.labels import as_in_fit, flags_as_words, labels_of
from identiflow.models import auxiliary_of

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from identiflow.shared.auxiliary import Auxiliary
    from identiflow.shared.estimators import IdentifiableEstimator

DAY = 86_400e9  # in nanoseconds


def x_of(table: DataFrame, estimator: IdentifiableEstimator) -> DataFrame:
    """The columns of x that an estimator was fitted to."""
    names = list(getattr(estimator, "feature_names_in_", table.columns))
    return numbers(_as_in_fit(table, names, estimator))


def latents_of(table: DataFrame, estimator: IdentifiableEstimator, named: bool) -> DataFrame:
    """The columns of latents, by their names; in their order, if the table has no names."""
    names = list(estimator.get_feature_names_out())
    if not named:
        return numbers(table)
    like = re.compile(re.escape(names[0].rstrip("0123456789")) + r"\d+")
    found = [name for name in table.columns if like.fullmatch(str(name))]
    if not set(names) <= set(table.columns) or set(found) > set(names):
        raise ValueError(
            f"Expected the latents {', '.join(names)} as columns, as `transform` writes them; got "
            f"{some(found or list(table.columns), seen)}."
        )
    return numbers(select(table, names))


def _as_in_fit(
    table: DataFrame, names: Sequence[str], estimator: IdentifiableEstimator
) -> DataFrame:
    """These columns of a model, none of which may be missing, nor a cell of theirs."""
    all_names = [*getattr(estimator, "feature_names_in_", []), *names_of_u(estimator)]
    has_names = any(POSITIONAL.fullmatch(name) is None for name in names)
    above = (
        "If it has no names, write a first line with those of all its columns, "
        f"{some(all_names, seen)} among them, and leave --no-header out."
    )
    check_present(table, names, above if has_names else NO_HEADER)
    for name, columns in table.attrs.get("shared", {}).items():
        taken = [column for column in columns if column in names]
        if 0 < len(taken) < len(columns):
            remark_shared(name, columns, taken)
    return select(table, names)


def remark_places(table: DataFrame, estimator: IdentifiableEstimator) -> None:
    """Note in a table's doubts that its columns go by their place, if the model leaves some out."""
    used = {*getattr(estimator, "feature_names_in_", []), *names_of_u(estimator)}
    unused = [name for name in table.columns if name not in used]
    if unused and used and all(map(POSITIONAL.fullmatch, {*used, *map(str, unused)})):
        doubt = (
            f"Columns without names go by their place: the model takes {some(sorted(used), seen)}, "
            f"and leaves out {some(unused, seen)}. If the table of fit had other columns, all of "
            "them may be others here."
        )
        table.attrs["doubts"] = [*table.attrs.get("doubts", []), doubt]


def u_of(
    table: DataFrame, estimator: IdentifiableEstimator, place: str = " in row {}"
) -> Auxiliary | None:
    """The columns of u that an estimator was fitted with; None if it was fitted without.

    Args:
        table: has them.
        estimator: fitted.
        place: where a row is, in errors.
    """
    auxiliary = estimator.auxiliary_
    names = auxiliary.names
    parts = (auxiliary.labels, auxiliary.mean)
    if names is not None and not all(n or p is None for n, p in zip(names, parts, strict=True)):
        names = None  # some columns alone have names
    if names is None and estimator.prior_.informative:
        raise ValueError(
            "Expected a model whose u was columns of a table; got one fitted to an array. Fit it "
            "with `identiflow fit`, or in Python to a data frame as u."
        )
    if names is None:
        return None
    labels, continuous = (_as_in_fit(table, part, estimator) for part in names)
    for name, low, high in zip(names[1], auxiliary.low or [], auxiliary.high or [], strict=False):
        _check_moments(continuous[name], low, high)
    if len(labels.columns):
        labels = as_in_fit(flags_as_words(labels), labels_of(estimator))
        _check_seen(labels, estimator, place)
    return auxiliary_of(labels, reals(continuous, list(continuous.columns)))


def names_of_u(estimator: IdentifiableEstimator) -> list[str]:
    """The columns of u, those of labels first."""
    return [name for part in estimator.auxiliary_.names or [] for name in part]


def _check_seen(labels: DataFrame, estimator: IdentifiableEstimator, place: str) -> None:
    """Raise for labels, or combinations of them, that fit has not seen."""
    from identiflow.shared.auxiliary.labels import REFIT, advice_on

    auxiliary = estimator.auxiliary_
    values = identiflow.Labels(labels).columns(labels.to_numpy()).labels
    if values is None or not (unseen := auxiliary.unseen(values)).any():
        return
    row = int(unseen.argmax())
    columns, known, cell = _part_unseen(labels.iloc[row], estimator)
    advice = advice_on(cell, known)
    if advice == REFIT and not place:
        advice = _advice_on_order(names_of_u(estimator))
    elif advice == REFIT and unseen.sum() == 1 and row in (0, len(unseen) - 1):
        advice = f"If that line is no data, delete it. {REFIT}"
    raise ValueError(
        f"Expected labels in the column{'s' * (len(columns) > 1)} {some(columns, seen)} that fit "
        f"saw ({some(known, repr)}); got {cell!r}{place.format(row + 1)}. {advice}"
    )


def _part_unseen(
    labels: Series, estimator: IdentifiableEstimator
) -> tuple[list[str], Sequence[Any], str]:
    """The column of an unseen label, those that fit saw in it, and its cell; or of all of them."""
    for name, known in labels_of(estimator).items():
        if str(labels[name]) not in map(str, known):
            return [name], known, str(labels[name])
    return list(labels.index), estimator.auxiliary_.labels or [], ", ".join(map(str, labels))


def _advice_on_order(columns: Sequence[str]) -> str:
    if len(columns) < 2:
        return "Give one of those."
    return f"Give --aux once for each of {some(columns, seen)}, in this order."


def _check_moments(column: Series, low: float, high: float) -> None:
    """Raise for dates where fit had other numbers: those of dates are nanoseconds since 1970."""
    if is_of_moments(column) and max(abs(low), abs(high)) < DAY:
        raise ValueError(
            f"Expected numbers from {low:g} to {high:g} in the column {seen(column.name)}, as in "
            f"fit; got dates or times, such as {str(column.iloc[0])!r}. Write them as in fit."
        )


def u_of_values(values: Sequence[str], rows: int, estimator: IdentifiableEstimator) -> Any:
    """One u in each of `rows` rows, its values in the order of u's columns."""
    import pandas as pd

    columns = names_of_u(estimator)
    if len(values) != len(columns):
        raise ValueError(
            f"Expected --aux once for each of {columns}, in this order; got {list(values)}."
        )
    row = {name: [value] for name, value in zip(columns, values, strict=True)}
    u = u_of(pd.DataFrame(row, index=[0]).loc[[0] * rows], estimator, place="")
    return [0] * rows if u is None else u
