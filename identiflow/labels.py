"""Columns of labels: their words as a file has them, the same whatever its other rows are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from identiflow.shared.estimators import IdentifiableEstimator

# What str() makes of an integer: 007 and +7 are words.
INTEGER = re.compile(r"0|-?[1-9][0-9]*")
FLAGS = {"true": 1, "false": 0}  # pandas read these words as flags, however they are spelt


def columns_of(estimator: IdentifiableEstimator) -> list[str]:
    """The columns of labels that an estimator was fitted with."""
    return (estimator.auxiliary_.names or [[]])[0]


def as_written(words: Series) -> Series:
    """Cells of text as labels: integers if all of them are, else as they stand; "" is missing."""
    words = words.where(words != "").map(_without_spaces, na_action="ignore")
    if words.notna().all() and all(map(_is_int64, words.unique())):
        return words.astype("int64")
    return words


def flags_as_words(labels: DataFrame) -> DataFrame:
    """Columns of True and False as text, as it stands in a CSV file."""
    flags = [name for name in labels.columns if labels[name].dtype.kind == "b"]
    return labels.astype(dict.fromkeys(flags, str))


def as_in_fit(labels: DataFrame, known: Sequence[Any]) -> DataFrame:
    """One column of text as the numbers it says, where the labels of fit are numbers.

    Files of numbers may write 1 as 1.0 or 01, and models fitted in Python have 1 for True.
    """
    if len(labels.columns) > 1 or not all(isinstance(label, int) for label in known):
        return labels
    import pandas as pd

    words = labels.iloc[:, 0]
    if words.dtype.kind != "O":
        return labels
    if set(known) <= set(FLAGS.values()):
        words = words.map(lambda word: FLAGS.get(str(word).lower(), word))
    numbers = pd.to_numeric(words, errors="coerce")
    return numbers.to_frame() if numbers.notna().all() else labels


def _without_spaces(word: str) -> str:
    """An integer without the space that some put after a comma; any other word as it is."""
    return word.strip() if INTEGER.fullmatch(word.strip()) else word


def _is_int64(word: str) -> bool:
    return INTEGER.fullmatch(word) is not None and -(2**63) <= int(word) < 2**63
