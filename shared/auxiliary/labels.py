"""What a label is: values of any type, alone or combined, as integers, floats or words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.auxiliary.precision import (
    as_they_print,
    floats_of,
    places_in_single,
    twins_in_single,
    word_in_double,
)
from identiflow.shared.inputs.columns import codes
from identiflow.shared.inputs.moments import MOMENTS, as_written, word_of, words_of
from identiflow.shared.inputs.remarks import remark, row_number
from identiflow.shared.inputs.validation import check_finite, missing_rows

INT64 = np.iinfo(np.int64)
NONE = ("NA", "nan", "NaN", "<NA>", "None", "NaT", "NULL", "null", "")  # missing values as words
LONGEST = 2000  # letters of a label
REFIT = "Refit with those rows, or drop them."
# What programs and people write where there is no value.
FOR_NOTHING = frozenset({r"\n", "missing", "#div/0!", "#value!", "#ref!", "#num!", "#name?"})
IN_BRACKETS = frozenset({"na", "nd", "nan", "null", "missing", "undefined", "nodata"})  # or dotted
OTHER_SIGNS = re.compile(r"[\W_]+")
SIGNS = frozenset("+-\u2212*±")  # labels, if there are several
FLAGS = {"true": "1", "false": "0"}
# Dashes and quotation marks that programs put in the place of those on a keyboard.
DASHES, QUOTES, DOUBLE = (
    "\u2010\u2011\u2012\u2013\u2014\u2212",
    "\u2018\u2019\u02bc",
    "\u201c\u201d",
)
TYPED = {ord(c): typed for of, typed in ((DASHES, "-"), (QUOTES, "'"), (DOUBLE, '"')) for c in of}
UNSEEN = ("Cc", "Cf")  # control characters, and marks that have no width
WHOLE = re.compile(r"[+-]?\d+")
FEW_ROWS, OF_ROWS = 5, 50  # of a label, of all labels of as many rows


def as_labels(values: NDArray[Any]) -> NDArray[Any]:
    """One label a row, (N,): of several columns, the combination."""
    if values.ndim == 2 and values.shape[1] > 1:
        return joint_labels(list(values.T))
    values = values.reshape(-1)
    if values.dtype.kind == "f":
        check_finite(values, "u")
        _check_exact(values)
        return as_they_print(values)
    check_none_missing([values])
    if values.dtype.kind == "c":
        raise ValueError("Expected labels of u to be words or real numbers; got complex numbers.")
    if values.dtype.kind == "O":
        return _of_objects(values)
    if values.dtype.kind == "u" and values.size and values.max() > INT64.max:
        raise ValueError(_too_large(values.max()))
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", "backslashreplace")
    if values.dtype.kind in "mM":
        return words_of(values)
    return values.astype(np.int64) if values.dtype.kind in "bui" else values.astype(str)


def joint_labels(columns: Sequence[NDArray[Any]], names: Sequence[Any] = ()) -> NDArray[Any]:
    """One label for each combination of the columns, (N,) each: "subject 1, left"."""
    check_none_missing(columns, names)
    for column in columns:
        _remark_merged(column)
    parts = [map(_escaped, _as_printed(column)) for column in columns]
    return np.asarray([", ".join(row) for row in zip(*parts, strict=True)])


def codes_of(
    labels: NDArray[Any], seen: Sequence[Any]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The place of each label (N,) among those seen, and where it is none of them."""
    known = np.asarray(seen)
    if known.dtype.kind != labels.dtype.kind and "U" in (known.dtype.kind, labels.dtype.kind):
        labels, known = labels.astype(str), known.astype(str)  # one of them may be numbers
    codes, unseen = _found(labels, known)
    if unseen.any() and known.dtype.kind == "U":  # which may be written in several ways
        pair = [np.asarray(list(map(_in_one_way, words))) for words in (labels, known)]
        if len(np.unique(pair[1])) == len(known):
            return _found(*pair)
    if unseen.any() and known.dtype.kind == labels.dtype.kind == "f":
        places, found = places_in_single(labels[unseen], known)
        codes[unseen] = places
        unseen[unseen] = ~found
    return codes, unseen


def _in_one_way(label: str) -> str:
    """A label with its moments in the one way, and numbers and flags in combinations."""
    parts = [as_written(part) for part in label.split(", ")]
    if len(parts) < 2:
        return parts[0]
    parts = [word_in_double(part).removesuffix(".0") for part in parts]
    return ", ".join(FLAGS.get(part.lower(), part) for part in parts)


def _as_printed(column: NDArray[Any]) -> NDArray[Any]:
    if column.dtype.kind == "f":
        return as_they_print(column)
    return words_of(column) if column.dtype.kind in "mM" else column


def twins(labels: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Pairs of labels that may be one, written in two ways: "A" and " a", "1" and "1.0"."""
    first: dict[str, Any] = {}
    pairs = []
    for label in labels:
        other = first.setdefault(_folded(label), label)
        if other is not label:
            pairs.append((other, label))
    return pairs


def advice_on(label: Any, known: Sequence[Any]) -> str:
    """What to do about a label that is none of these: it may be one, written in another way."""
    near = [other for other in known if _folded(other) == _folded(label)]
    if near:
        return f"Is it {near[0]!r}? Write it as in fit."
    return REFIT


def _folded(label: Any) -> str:
    """A label without what is easily written in another way: case, spaces, digits beyond 12.

    Nor has it what is not seen, such as a space without width, or other dashes than -.
    """
    if isinstance(label, int):
        return str(label)
    words = unicodedata.normalize("NFKC", as_written(str(label))).translate(TYPED).casefold()
    text = "".join(c for c in "".join(words.split()) if unicodedata.category(c) not in UNSEEN)
    text = FLAGS.get(text, text)
    if WHOLE.fullmatch(text):  # of which all digits count: 007 is 7
        sign, digits = ("-" * text.startswith("-"), text.lstrip("+-0"))
        return sign * bool(digits) + (digits or "0")
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def _found(
    labels: NDArray[Any], known: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The code of each label, and where it is none because the label is not known."""
    order = np.argsort(known)
    position = np.searchsorted(known, labels, sorter=order).clip(max=len(known) - 1)
    codes = order[position]
    return codes, known[codes] != labels


def remark_doubtful(labels: Sequence[Any], counts: NDArray[np.int64]) -> None:
    """Warn of labels that may be one, that stand for none, or that have next to no rows."""
    if pairs := twins(labels):
        first = " and ".join(map(repr, pairs[0]))
        more = f", and {len(pairs) - 1} more such pairs" if len(pairs) > 1 else ""
        remark(
            f"Labels of u that may be one, written in two ways, are two: {first}{more}. If they are"
            " the same, write them alike before fit."
        )
    if any(isinstance(label, float) for label in labels) and (same := twins_in_single(labels)):
        remark(
            "Labels of u that are one number in single precision are two: "
            f"{' and '.join(map(str, same[0]))}. If they are the same, give all in one precision."
        )
    if none := _for_nothing(labels):
        remark(
            f"The label {none[0]!r} of u may be a missing value turned into text, which numpy does "
            "to None and NaN among words, or a code for one. If so, drop its rows or give them a "
            "label of their own."
        )
    rare = np.flatnonzero(counts < FEW_ROWS)
    if len(rare) and counts.sum() >= OF_ROWS and 2 * (counts == 1).sum() <= len(counts):
        shown = ", ".join(f"{labels[i]!r} ({counts[i]})" for i in rare[:5])
        more = f", … ({len(rare)} such labels in all)" if len(rare) > 5 else ""
        remark(
            f"Labels of u with fewer than {FEW_ROWS} rows: {shown}{more}. Of so few rows λ(u) "
            "learns next to nothing; join such labels to others, leave their rows out, or pass "
            "Continuous(u) if they are numbers."
        )


def _for_nothing(labels: Sequence[Any]) -> list[Any]:
    """The labels that may say that nothing was known: nan, a dot, (null), -999 beside 1 and 2."""
    if all(isinstance(label, int) for label in labels):
        return [int(c.value) for c in codes(np.array(labels, float)[:, None]) if abs(c.value) > 9]
    found = [label for label in labels if isinstance(label, str) and says_nothing(label)]
    signs = [word for word in found if word and set(word) <= SIGNS]
    return [word for word in found if word not in signs] if len(signs) > 1 else found


def says_nothing(word: str) -> bool:
    """True for a word that programs or people write where there is no value."""
    text = word.strip().casefold()
    core = OTHER_SIGNS.sub("", text)
    return word in NONE or text in FOR_NOTHING or not core or (core in IN_BRACKETS and core != text)


def check_none_missing(
    columns: Sequence[NDArray[Any]], names: Sequence[Any] = (), what: str = "label"
) -> None:
    """Raise if a cell of these columns (N,) has no value, naming row and column."""
    missing = [(row, number) for number, c in enumerate(columns) for row in missing_rows(c)]
    if missing:
        row, number = min(missing)
        column = f", column {names[number]!r}" if len(names) else ""
        raise ValueError(
            f"Expected a {what} in every row of u; got {len({row for row, _ in missing})} missing, "
            f"the first in row {row_number(row)}{column}. Drop them, or give them one of their own."
        )


def are_floats(values: NDArray[Any]) -> bool:
    """True for numbers that are not all integers, in an array of them or of objects."""
    if values.dtype.kind != "O":
        return values.dtype.kind == "f"
    types = set(map(type, values.flat))
    if np.timedelta64 in types:  # which numpy counts among integers
        return False
    return all(issubclass(t, (Real, Decimal)) for t in types) and not _are_integers(types)


def _check_exact(values: NDArray[Any]) -> None:
    """Raise for floats so large that different integers are one of them."""
    limit = 2.0 ** (np.finfo(values.dtype).nmant + 1)
    if values.size and (largest := np.abs(values).max()) >= limit:
        raise ValueError(
            f"Expected labels of u that are floats below {limit:.0f}, up to which {values.dtype} "
            f"tells integers apart; got {largest:.0f}. Pass integers or strings as identifiers."
        )


def _of_objects(values: NDArray[Any]) -> NDArray[Any]:
    if _are_integers(set(map(type, values))):
        too_large = [v for v in values if not INT64.min <= v <= INT64.max]
        if too_large:
            raise ValueError(_too_large(too_large[0]))
        return values.astype(np.int64)
    return as_labels(floats_of(values)) if are_floats(values) else _words(values)


def _are_integers(types: set[type]) -> bool:
    numbers = (Integral, np.bool_)
    return all(issubclass(t, numbers) and t is not np.timedelta64 for t in types)


def _words(values: NDArray[Any]) -> NDArray[Any]:
    _remark_merged(values)
    words = [_word(value).replace("\0", "\\x00") for value in values]  # which numpy cuts off
    lengths = list(map(len, words))
    if max(lengths, default=0) > LONGEST:  # each row of an array takes as much as the longest
        row = row_number(lengths.index(max(lengths)))
        raise ValueError(
            f"Expected labels of u of {LONGEST} letters at most; got {max(lengths)} in row {row}. "
            "Pass shorter words, or numbers."
        )
    return np.asarray(words)


def _remark_merged(values: NDArray[Any]) -> None:
    """Warn of values (N,) of several types that are one label as words, such as 1 and "1"."""
    if values.dtype.kind != "O" or len(set(map(type, values))) < 2:
        return
    first: dict[str, Any] = {}
    for value in values:
        other = first.setdefault(_word(value), value)
        if other != value:
            remark(
                f"Labels of u of several types are one, as words: {other!r} and {value!r}. If they "
                "are not the same, give them other words."
            )
            return


def _word(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return word_of(value) if isinstance(value, MOMENTS) else str(value)


def _escaped(part: Any) -> str:
    return _word(part).replace("\\", r"\\").replace(",", r"\,")


def _too_large(value: Any) -> str:
    return (
        f"Expected integer labels of u within 64 bits (≤ {INT64.max}); got {value}. Use strings "
        "for identifiers this long."
    )
