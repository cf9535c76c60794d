"""Estimators by name, and a table's columns as their x and u.

Importing this is light: `identiflow.IFlow` is imported where it is first asked for.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import identiflow
from identiflow.columns import (
    LEAVE_OUT,
    check_finite,
    check_own_names,
    check_present,
    chosen_by,
    numbers,
    reals,
    seen,
    select,
    some,
)
from identiflow.labels import flags_as_words, floats_as_words

if TYPE_CHECKING:
    from pandas import DataFrame

    from identiflow.shared.auxiliary import Auxiliary, AuxiliaryEncoder
    from identiflow.shared.estimators import IdentifiableEstimator

ESTIMATORS = {"iflow": "IFlow", "ivae": "IVAE"}
NO_REALS = "Name it with --aux if these are labels."
OF_U = "If such a cell is a label, write another word for it, as none for NA."


def build(model: str, given: dict[str, Any]) -> IdentifiableEstimator:
    """An estimator that is not fitted, of these parameters."""
    if model == "ivae" and "latent_dim" not in given:
        raise ValueError("Expected --latent-dim with --model ivae; got none. Try 2.")
    if model == "iflow" and ("latent_dim" in given or "likelihood" in given):
        raise ValueError(
            "Expected --latent-dim and --likelihood with --model ivae alone: a flow has as many "
            "latents as columns. Take --model ivae, or --set informative=N."
        )
    cls: type[IdentifiableEstimator] = getattr(identiflow, ESTIMATORS[model])
    return cls(**_known(cls, given))


def load(path: Path) -> IdentifiableEstimator:
    """The estimator in a file that `fit` or `save` wrote."""
    from identiflow.shared.files import FileFormatError, kind_of

    kind = kind_of(path)
    if kind not in ESTIMATORS.values():
        raise FileFormatError(f"Expected {path} to hold a fitted model; got {kind!r}.")
    cls: type[IdentifiableEstimator] = getattr(identiflow, kind)
    return cls.load(path)


def parameters(options: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Arguments of an estimator, from options and from settings such as `"n_layers=4"`."""
    given = {name: value for name, value in options.items() if value is not None}
    set_here: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals and value):
            raise ValueError(f"Expected --set NAME=VALUE; got {setting!r}.")
        if name in given:
            raise ValueError(
                f"Expected {name} to be given once; got it twice, {given[name]!r} and {value!r}. "
                "Leave out one."
            )
        if set_here.setdefault(name, value) != value:
            raise ValueError(
                f"Expected --set {name} once; got {set_here[name]} and {value}. Leave out one."
            )
    return given | {name: _value(value) for name, value in set_here.items()}


def check_named(*options: Sequence[str]) -> None:
    """Raise unless the first three name columns of u, and none is named twice."""
    if not any(options[:3]):
        raise ValueError("Expected --aux COLUMN, the column of u; got none.")
    _check_once([name for names in options for name in names])


@dataclass(frozen=True)
class Chosen:
    """Which columns of a table are which, by the options of `fit`."""

    aux: Sequence[str] = ()
    labels: Sequence[str] = ()
    continuous: Sequence[str] = ()
    columns: Sequence[str] = ()
    drop: Sequence[str] = ()

    @property
    def u(self) -> list[str]:
        """The names of the columns of u."""
        return [*self.aux, *self.labels, *self.continuous]

    @property
    def asked(self) -> list[str]:
        """All names that are given."""
        return [
            *self.u,
            *(name for part in [*self.columns, *self.drop] for name in part.split(",")),
        ]


def split(table: DataFrame, chosen: Chosen, constants: bool = False) -> tuple[DataFrame, DataFrame]:
    """x and u of a table: u the columns named, x all others but those to drop.

    Args:
        table: the table.
        chosen: which columns are which.
        constants: True if the model takes columns of x that are constant.

    Raises:
        ValueError: for columns that are not there, that are no numbers, or that are bookkeeping.
    """
    check_present(table, chosen.u)
    kept, named = _names_of_x(table, chosen)
    check_own_names(table, named, kept)
    insisted = set(named) & set(kept)
    u = select(table, chosen.u, OF_U)
    for name, dtype in u.dtypes.items():
        if dtype.kind == "f":
            check_finite(u[name], "u")
    u = reals(u, chosen.continuous, NO_REALS)
    u = floats_as_words(flags_as_words(u), chosen.labels)
    for name, (first, second) in table.attrs.get("spelt", {}).items():
        if name in chosen.labels:
            warnings.warn(
                f"Cells of the column {seen(name)} that are one number are one label: {first} and "
                f"{second}. If they are two, write them as words, such as c{first}.",
                stacklevel=2,
            )
    _check_shared(u.drop(columns=list(chosen.continuous)))
    x = numbers(table[kept], LEAVE_OUT)
    from identiflow.bookkeeping import check_bookkeeping

    check_bookkeeping(x, insisted, constants)
    return x, u


def read_as(u: DataFrame, chosen: Chosen) -> Auxiliary:
    """The columns of u that `split` found as labels and continuous values, by their types.

    Warns of floats that may be labels, if no option says what they are.
    """
    from identiflow.bookkeeping import are_days
    from identiflow.shared.auxiliary.reading import remark_whole

    for name in chosen.continuous:
        if u[name].dtype.kind == "f" and are_days(u[name].to_numpy()):
            warnings.warn(
                f"The column {seen(name)} of u may be days, and is taken as numbers: from 20240131 "
                "to 20240201 they step by 70. Write days as 2024-01-31.",
                stacklevel=2,
            )
    floats = [name for name in u.columns if u[name].dtype.kind == "f"]
    unsaid = [name for name in floats if name not in chosen.continuous]
    remark_whole(u[unsaid].to_numpy(), unsaid)
    values = [name for name in u.columns if name in {*floats, *chosen.continuous}]
    return auxiliary_of(u.drop(columns=values), u[values])


def auxiliary_of(labels: DataFrame, continuous: DataFrame) -> Auxiliary:
    """u of columns of labels and of continuous values, of which one may be without any."""
    if not len(labels.columns):
        return identiflow.Continuous(continuous)
    if not len(continuous.columns):
        return identiflow.Labels(labels)
    return identiflow.Mixed(labels, continuous)


def described(auxiliary: AuxiliaryEncoder) -> str:
    """The columns of u and what they were taken for: "condition (3 labels), t (continuous)"."""
    labels, continuous = auxiliary.names or ([], [])
    parts = [f"{' and '.join(map(seen, labels))} ({auxiliary.n_labels} labels)"] if labels else []
    low, high = auxiliary.low or [], auxiliary.high or []
    for name, least, most in zip(continuous, low, high, strict=False):
        parts.append(f"{seen(name)} (continuous, {least:g} to {most:g})")
    return ", ".join(parts)


def ends_of(u: DataFrame, x: DataFrame) -> dict[str, str]:
    """The first row and the last as they were read, u before x: wrong ones are seen there."""
    import pandas as pd

    ends = pd.concat([part.iloc[[0, -1]] for part in (u, x)], axis=1)
    rows = ends.itertuples(index=False, name=None)
    first, last = (
        [f"{seen(name)} = {cell}" for name, cell in zip(ends.columns, row, strict=True)]
        for row in rows
    )
    return {"first_row": some(first), "last_row": some(last)}


def _names_of_x(table: DataFrame, chosen: Chosen) -> tuple[list[str], list[str]]:
    """The columns of x in the order of the table, and all that were named one by one."""
    insisted, by_pattern = chosen_by(chosen.columns, table)
    dropped, dropped_too = chosen_by(chosen.drop, table)
    _check_once([*chosen.u, *insisted, *dropped])
    wanted = {*insisted, *by_pattern} if chosen.columns else set(table.columns)
    others = {*chosen.u, *dropped, *dropped_too} - set(insisted)
    kept = [name for name in table.columns if name in wanted - others]
    if not kept:
        raise ValueError("Expected columns of x beside those of u; got none. Name fewer as u.")
    return kept, [*chosen.u, *insisted, *dropped]


def _check_shared(u: DataFrame) -> None:
    """Raise if nearly every row has a label of its own, which says nothing about the others."""
    labels = u[[name for name in u.columns if u[name].dtype.kind != "f"]]
    if not len(labels.columns):
        return
    different = len(labels.drop_duplicates())
    if different > 0.9 * len(u):
        raise ValueError(
            f"Expected labels that rows share; got {different} different labels of {len(u)} rows "
            f"in {some(list(labels.columns), seen)}. Name a column of conditions or groups; if "
            "these are numbers, or their order counts, name them with --continuous."
        )
    if 2 * different > len(u):
        warnings.warn(
            f"u has {different} different labels in {len(u)} rows, fewer than 2 rows for each.",
            stacklevel=2,
        )


def _check_once(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"Expected each column to be named once; got {twice[0]} twice.")


def _known(cls: type[IdentifiableEstimator], options: dict[str, Any]) -> dict[str, Any]:
    known = cls._parameter_names()
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ValueError(f"Expected --set with one of {', '.join(known)}; got {unknown[0]}.")
    return options


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
