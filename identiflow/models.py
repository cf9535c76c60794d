"""Estimators by name, and a table's columns as their x and u."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iflow import IFlow
from ivae import IVAE
from shared.auxiliary import Auxiliary, Continuous, Labels, Mixed
from shared.estimator import Estimator
from shared.training import FileFormatError, kind_of

if TYPE_CHECKING:
    from pandas import DataFrame

ESTIMATORS: dict[str, type[Estimator]] = {"iflow": IFlow, "ivae": IVAE}


def build(model: str, latent_dim: int | None, **given: Any) -> Estimator:
    """An estimator that is not fitted; what is None keeps its default."""
    options = {name: value for name, value in given.items() if value is not None}
    if model == "ivae":
        if latent_dim is None:
            raise ValueError("Expected --latent-dim with --model ivae; got none. Try 2.")
        return IVAE(latent_dim, **_known(IVAE, options))
    if latent_dim is not None or "likelihood" in options:
        raise ValueError(
            "Expected --latent-dim and --likelihood with --model ivae alone: a flow has as many "
            "latents as columns. Take --model ivae, or --set informative=N."
        )
    return IFlow(**_known(IFlow, options))


def load(path: Path) -> Estimator:
    """The estimator in a file that `fit` or `save` wrote."""
    kind = kind_of(path)
    classes = {cls.__name__: cls for cls in ESTIMATORS.values()}
    if kind not in classes:
        raise FileFormatError(f"Expected {path} to hold a fitted model; got {kind!r}.")
    return classes[kind].load(path)


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """`["n_layers=4", "prior=scale"]` as names and values."""
    pairs = [setting.partition("=") for setting in settings]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise ValueError(f"Expected --set NAME=VALUE; got {name + equals + value!r}.")
    return {name: _value(value) for name, _, value in pairs}


def split(
    table: DataFrame, aux: Sequence[str], continuous: Sequence[str], ignore: Sequence[str]
) -> tuple[DataFrame, DataFrame]:
    """x and u of a table: u the columns named, x all others but those to ignore."""
    named = [*aux, *continuous]
    if not named:
        raise ValueError("Expected --aux COLUMN, the column of u; got none.")
    twice = [name for name, count in Counter([*named, *ignore]).items() if count > 1]
    if twice:
        raise ValueError(f"Expected each column to be named once; got {twice[0]} twice.")
    select(table, [*named, *ignore])
    u = table[named].astype(dict.fromkeys(continuous, float))
    x = table.drop(columns=[*named, *ignore])
    return numbers(x), u


def x_of(table: DataFrame, estimator: Estimator) -> DataFrame:
    """The columns of x that an estimator was fitted to."""
    return numbers(select(table, getattr(estimator, "feature_names_in_", table.columns)))


def u_of(table: DataFrame, estimator: Estimator) -> Auxiliary | None:
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
    if not len(continuous.columns):
        return Labels(labels.to_numpy())
    if not len(labels.columns):
        return Continuous(continuous)
    return Mixed(labels.to_numpy(), continuous)


def u_of_values(values: Sequence[str], rows: int, estimator: Estimator) -> Any:
    """So many rows of one u, its values in the order of u's columns."""
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
    """Columns by name, none of which may be missing."""
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(
            f"Expected columns among {', '.join(map(str, table.columns))}; got "
            f"{', '.join(map(str, missing))}."
        )
    chosen = table[list(names)]
    for name in chosen.columns:
        empty = chosen[name].isna()
        if empty.any():
            raise ValueError(
                f"Expected a value in every cell; got {int(empty.sum())} missing in the column "
                f"{name}, the first in row {int(empty.to_numpy().argmax()) + 1}. Fill those cells, "
                "or drop the rows."
            )
    return chosen


def numbers(x: DataFrame) -> DataFrame:
    """The columns, if all are numbers and there are any."""
    for name in select(x, list(x.columns)).columns:
        if x[name].dtype.kind not in "fiub":
            raise ValueError(
                f"Expected numbers in every column of x; got {x[name].iloc[0]!r} in the column "
                f"{name}. Name it with --aux or --ignore, or remove what is no number."
            )
    return x


def _known(cls: type[Estimator], options: dict[str, Any]) -> dict[str, Any]:
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
