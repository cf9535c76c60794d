"""Estimators by name, and a table's columns as their x and u.

Importing this is light: `identiflow.IFlow` is imported where it is first asked for.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import identiflow
from identiflow.labels import as_in_fit, flags_as_words

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from identiflow.shared.auxiliary import Auxiliary
    from identiflow.shared.estimators import IdentifiableEstimator

ESTIMATORS = {"iflow": "IFlow", "ivae": "IVAE"}
ROW_NUMBERS = "Unnamed: 0"  # what pandas calls the column that its to_csv writes first
IN_FIT = "Name it with --aux or --ignore, or remove what is no number."


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
        set_here[name] = _value(value)  # of the same setting the last one counts
    return given | set_here


def check_named(aux: Sequence[str], continuous: Sequence[str], ignore: Sequence[str]) -> None:
    """Raise unless there are columns of u, and none is named twice."""
    named = [*aux, *continuous]
    if not named:
        raise ValueError("Expected --aux COLUMN, the column of u; got none.")
    twice = [name for name, count in Counter([*named, *ignore]).items() if count > 1]
    if twice:
        raise ValueError(f"Expected each column to be named once; got {twice[0]} twice.")


def split(
    table: DataFrame, aux: Sequence[str], continuous: Sequence[str], ignore: Sequence[str]
) -> tuple[DataFrame, DataFrame]:
    """x and u of a table: u the columns named, x all others but those to ignore."""
    named = [*aux, *continuous]
    _check_present(table, [*named, *ignore])
    u = select(table, named).astype(dict.fromkeys(continuous, float))
    x = numbers(table.drop(columns=[*named, *ignore]), IN_FIT)
    if ROW_NUMBERS in x and list(x[ROW_NUMBERS]) == list(range(len(x))):
        raise ValueError(
            f"Expected measurements in every column of x; got the numbers of the rows in "
            f'{ROW_NUMBERS!r}. Leave them out: --ignore "{ROW_NUMBERS}".'
        )
    return x, flags_as_words(u)


def x_of(table: DataFrame, estimator: IdentifiableEstimator) -> DataFrame:
    """The columns of x that an estimator was fitted to."""
    return numbers(select(table, getattr(estimator, "feature_names_in_", table.columns)))


def latents_of(table: DataFrame, estimator: IdentifiableEstimator, named: bool) -> DataFrame:
    """The columns of latents, by their names; in their order, if the table has no names."""
    names = list(estimator.get_feature_names_out())
    if not named:
        return numbers(table)
    if not set(names) <= set(table.columns):
        raise ValueError(
            f"Expected the latents {', '.join(names)} as columns, as `transform` writes them; got "
            f"{', '.join(map(_seen, table.columns))}."
        )
    return numbers(select(table, names))


def u_of(table: DataFrame, estimator: IdentifiableEstimator) -> Auxiliary | None:
    """The columns of u that an estimator was fitted with; None if it was fitted without."""
    names = estimator.auxiliary_.names
    if names is None and estimator.prior_.informative:
        raise ValueError(
            "Expected a model whose u was columns of a table; got one fitted to an array. Fit it "
            "with `identiflow fit`, or in Python to a data frame as u."
        )
    if names is None:
        return None
    labels, continuous = (select(table, part) for part in names)
    if not len(labels.columns):
        return identiflow.Continuous(continuous)
    labels = as_in_fit(flags_as_words(labels), estimator.auxiliary_.labels or [])
    if not len(continuous.columns):
        return identiflow.Labels(labels)
    return identiflow.Mixed(labels, continuous)


def u_of_values(values: Sequence[str], rows: int, estimator: IdentifiableEstimator) -> Any:
    """One u in each of `rows` rows, its values in the order of u's columns."""
    import pandas as pd

    labels, continuous = estimator.auxiliary_.names or ([], [])
    columns = [*labels, *continuous]
    if len(values) != len(columns):
        raise ValueError(
            f"Expected --aux once for each of {columns}, in this order; got {list(values)}."
        )
    row = {name: [value] for name, value in zip(columns, values, strict=True)}
    u = u_of(pd.DataFrame(row, index=[0]).loc[[0] * rows], estimator)
    return [0] * rows if u is None else u


def select(table: DataFrame, names: Sequence[str]) -> DataFrame:
    """Columns by name, none of which may be missing, nor a cell of theirs."""
    _check_present(table, names)
    chosen = table[list(names)]
    for name in chosen.columns:
        empty = chosen[name].isna()
        if empty.any():
            raise ValueError(
                f"Expected a value in every cell; got {int(empty.sum())} missing in the column "
                f"{_seen(name)}, the first in row {int(empty.to_numpy().argmax()) + 1}. Fill those "
                "cells, or drop the rows."
            )
    return chosen


def numbers(x: DataFrame, advice: str = "Remove what is no number.") -> DataFrame:
    """The columns, if all are numbers and there are any."""
    for name in select(x, list(x.columns)).columns:
        if x[name].dtype.kind not in "fiub":
            raise ValueError(
                f"Expected numbers in every column of x; got {_no_number(x[name])!r} in the column "
                f"{_seen(name)}. {advice}"
            )
    return x


def _check_present(table: DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(
            f"Expected columns among {', '.join(map(_seen, table.columns))}; got "
            f"{', '.join(map(_seen, missing))}."
        )


def _seen(name: Any) -> str:
    """A column's name, in quotes where one would not see where it begins and ends."""
    text = str(name)
    plain = text.isprintable() and text == text.strip() and "," not in text
    return text if plain and text else repr(text)


def _no_number(column: Series) -> Any:
    """The first cell that is no number; the first cell, where each of them is text."""
    import pandas as pd

    is_none = pd.to_numeric(column.astype(object), errors="coerce").isna()
    return column.iloc[int(is_none.to_numpy().argmax())]


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
