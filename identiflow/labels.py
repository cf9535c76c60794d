"""Columns of labels: their words as a file has them, the same whatever its other rows are."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from identiflow.shared.estimators import IdentifiableEstimator

# What str() makes of an integer: 007 and +7 are words.
INTEGER = re.compile(r"0|-?[1-9][0-9]*")
WITH_POINT = re.compile(r"^(0|-?[1-9][0-9]*)\.0*$")  # 7. and 7.0, not the 7. of 7.5
EXACT = 2**53  # from here on floats do not hold all integers
# A part of a label of several columns: joined by ", ", a comma in one has a backslash before it.
PART = re.compile(r"(?:^|, )((?:\\.|[^\\,])*)")
# What pandas takes for a missing value, and so for none of the numbers of a column.
MISSING = frozenset(
    "NA N/A n/a #NA #N/A <NA> NaN nan -NaN -nan NULL null None 1.#IND -1.#IND 1.#QNAN".split()
) | {"", "#N/A N/A", "-1.#QNAN"}
FLAGS = {"true": 1, "false": 0}  # pandas read these words as flags, however they are spelt


def labels_of(estimator: IdentifiableEstimator) -> dict[str, list[Any]]:
    """The columns of labels that an estimator was fitted with, each with the labels in it."""
    columns, known = (estimator.auxiliary_.names or [[]])[0], estimator.auxiliary_.labels or []
    if len(columns) < 2:
        return dict.fromkeys(columns, list(known))
    rows = [[_unescaped(part) for part in PART.findall(str(label))] for label in known]
    return {name: list(dict.fromkeys(row[i] for row in rows)) for i, name in enumerate(columns)}


def are_floats(labels: Sequence[Any]) -> bool:
    """True for labels made of floats by `floats_as_words`, which are compared as numbers."""
    return bool(labels) and all(isinstance(label, str) and _is_float(label) for label in labels)


def floats_as_words(labels: DataFrame, names: Sequence[str]) -> DataFrame:
    """The table with these columns, where they hold floats, as the words that Python has for them.

    One number is one label then, be it written 0.5, .50 or 5e-1.
    """
    floats = [name for name in names if labels[name].dtype.kind == "f"]
    return labels.assign(**{name: _doubles(labels[name]).map(_word) for name in floats})


def as_written(words: Series, known: Collection[Any] = ()) -> Series:
    """Cells of text as labels: integers if all of them are, else as they stand.

    Words for what is missing are NaN, but those among `known`, which are labels.
    """
    missing = [word for word in words.unique() if word.strip() in MISSING and word not in known]
    words = words.where(~words.isin(missing)).map(_without_spaces, na_action="ignore")
    if words.notna().all() and all(map(_is_int64, words.unique())):
        return words.astype("int64")
    return words


def beyond_floats(column: Series) -> bool:
    """True for floats that are whole numbers, some of them too large to be sure of."""
    return bool((column % 1 == 0).all() and (column.abs() >= EXACT).any())


def whole_as_written(words: Series) -> Series | None:
    """The integers that words say, as 7 or as 7.0, exactly; as words, if some are beyond 64 bits.

    None if some are written in another way.
    """
    plain = words.str.strip().str.replace(WITH_POINT, r"\1", regex=True)
    return as_written(plain) if all(map(INTEGER.fullmatch, plain.unique())) else None


def two_spellings(words: Series, numbers: Series) -> tuple[str, str] | None:
    """Two of these words that say the same of these numbers, 250.1 and 250.10; None if none do."""
    written = words.str.strip().to_frame("word").assign(number=numbers)
    written = written.drop_duplicates("word").dropna()
    again = written[written.duplicated("number")]
    if not len(again):
        return None
    first = written[written.number == again.number.iloc[0]]
    return first.word.iloc[0], first.word.iloc[1]


def flags_as_words(labels: DataFrame) -> DataFrame:
    """Columns of True and False as text, as it stands in a CSV file."""
    flags = [name for name in labels.columns if labels[name].dtype.kind == "b"]
    return labels.astype(dict.fromkeys(flags, str))


def as_in_fit(labels: DataFrame, known: Mapping[str, Sequence[Any]]) -> DataFrame:
    """Labels as they were in fit: the same numbers, however a file writes them.

    Files of numbers may write 1 as 1.0 or 01, and models fitted in Python have 1 for True.
    """
    floats = [name for name in labels.columns if are_floats(known.get(name, ()))]
    labels = floats_as_words(labels.assign(**{n: _as_floats(labels[n]) for n in floats}), floats)
    return labels if len(labels.columns) > 1 else _as_integers(labels, list(known.values())[0])


def _as_integers(labels: DataFrame, known: Sequence[Any]) -> DataFrame:
    """One column of text as the numbers it says, where the labels of fit are numbers."""
    words = labels.iloc[:, 0]
    if words.dtype.kind != "O" or not all(isinstance(label, int) for label in known):
        return labels
    import pandas as pd

    if set(known) <= set(FLAGS.values()):
        words = words.map(lambda word: FLAGS.get(str(word).lower(), word))
    exact = whole_as_written(words.astype(str))
    if exact is not None:
        return exact.to_frame()
    numbers = pd.to_numeric(words, errors="coerce")
    return numbers.to_frame() if (numbers.abs() < EXACT).all() else labels


def _as_floats(words: Series) -> Series:
    """The numbers that words say; the words, if some say none."""
    import pandas as pd

    numbers = pd.to_numeric(words, errors="coerce")
    return _doubles(numbers) if numbers.notna().all() else words


def _doubles(numbers: Series) -> Series:
    """Numbers in double precision, in which 0.1 of less is 0.1."""
    is_less = numbers.dtype.kind == "f" and numbers.dtype.itemsize < 8
    return (numbers.astype(str) if is_less else numbers).astype(float)


def _word(value: float) -> str:
    return repr(float(value))


def _is_float(word: str) -> bool:
    try:
        return _word(float(word)) == word and math.isfinite(float(word))
    except ValueError:
        return False


def _unescaped(part: str) -> str:
    return re.sub(r"\\(.)", r"\1", part)


def _without_spaces(word: str) -> str:
    """An integer without the space that some put after a comma; any other word as it is."""
    return word.strip() if INTEGER.fullmatch(word.strip()) else word


def _is_int64(word: str) -> bool:
    return INTEGER.fullmatch(word) is not None and -(2**63) <= int(word) < 2**63
