"""Some rows of an object in the place of u: by position or by a mask, and never by their labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.model_selection import KFold

from identiflow.shared.auxiliary import Auxiliary, Continuous, Fourier, Labels, Mixed

N = 20
X = np.zeros((N, 1))
VALUES = np.random.default_rng(0).permutation(N)
MASK = VALUES % 3 == 0
ROWS = np.flatnonzero(MASK)
NAMES = [f"cell {i}" for i in range(N)]
NUMBERS = np.arange(N)[::-1]
KINDS: dict[str, Callable[[Any], Auxiliary]] = {
    "Labels": Labels,
    "Continuous": Continuous,
    "Fourier": lambda values: Fourier(values, 7.0),
    "Mixed": lambda values: Mixed(values, np.arange(N) / N),
    "Mixed of one with an index": lambda values: Mixed(np.arange(N) % 2, values),
    "Mixed of objects": lambda values: Mixed(Labels(values), Fourier(values, 7.0)),
}
kinds = pytest.mark.parametrize("kind", KINDS)

# What chooses rows, beside values of any kind.
CHOICES: dict[str, Any] = {
    "positions": ROWS,
    "from the end": ROWS - N,
    "a list": ROWS.tolist(),
    "scikit-learn's": (ROWS, ...),
    "scikit-learn's of a mask": (MASK, ...),
    "a tensor": torch.from_numpy(ROWS),
    "a series of positions": pd.Series(ROWS),
    "a mask": MASK,
    "a list of booleans": MASK.tolist(),
    "a nullable mask": pd.Series(MASK, NAMES, dtype="boolean"),
    "a series of booleans": pd.Series(MASK, NAMES),
    "a series without labels": pd.Series(MASK),
    "pyarrow": pa.array(MASK),
    "a mask of labels": pd.Index(NAMES).isin(np.array(NAMES)[ROWS]),
}


def read(u: Any) -> np.ndarray:
    parts = u.columns(X[: len(u)])[:2]
    return np.column_stack([part for part in parts if part is not None])


@kinds
@pytest.mark.parametrize("case", CHOICES)
@pytest.mark.parametrize("index", [None, NAMES], ids=["array", "series"])
def test_rows_are_the_same_whatever_chooses_them(kind: str, case: str, index: Any) -> None:
    values = VALUES if index is None else pd.Series(VALUES, index)
    u = KINDS[kind](values)
    np.testing.assert_array_equal(read(u[CHOICES[case]]), read(u)[ROWS])
    np.testing.assert_array_equal(read(u[3:11]), read(u)[3:11])
    np.testing.assert_array_equal(read(u[-1]), read(u)[-1:])
    assert len(u[[]]) == 0 and len(u[np.zeros(N, bool)]) == 0 and len(u[...]) == N


@kinds
def test_folds_and_draws_with_repetition_are_positions(kind: str) -> None:
    u = KINDS[kind](pd.Series(VALUES, NUMBERS))
    for train, test in KFold(4).split(X):
        np.testing.assert_array_equal(read(u[test]), read(u)[test])
        assert len(u[train]) == N - len(u[test])
    np.testing.assert_array_equal(read(u[[4, 4, 2]]), read(u)[[4, 4, 2]])


OF_LABELS: dict[str, tuple[Any, Any]] = {
    "numbers in another order": (NUMBERS, pd.Index([0, 1, 2])),
    "numbers from 1": (np.arange(1, N + 1), pd.RangeIndex(1, 4)),
    "words": (NAMES, pd.Index(NAMES[:3])),
    "positions beside words": (NAMES, pd.Index([0, 1, 2])),
}


@kinds
@pytest.mark.parametrize("case", OF_LABELS)
def test_an_index_that_may_be_labels_is_refused(kind: str, case: str) -> None:
    index, rows = OF_LABELS[case]
    u = KINDS[kind](pd.Series(VALUES, index))
    message = r"may be labels of the index of u\..* mask u\..*\.index\.isin\(rows\), of positions"
    with pytest.raises(ValueError, match=message):
        u[rows]


@kinds
@pytest.mark.parametrize("values", [VALUES, pd.Series(VALUES), pd.Series(VALUES, range(N))])
def test_an_index_beside_rows_without_labels_is_of_positions(kind: str, values: Any) -> None:
    u = KINDS[kind](values)
    np.testing.assert_array_equal(read(u[pd.Index(ROWS)]), read(u)[ROWS])


OTHER_MASKS: dict[str, Any] = {
    "another order": pd.Series(MASK, NAMES[::-1]),
    "other labels": pd.Series(MASK, [f"row {i}" for i in range(N)]),
    "numbers": pd.Series(MASK, NUMBERS),
    "some rows": pd.Series(MASK, NAMES)[5:],
}


@kinds
@pytest.mark.parametrize("case", OTHER_MASKS)
def test_a_mask_of_another_index_is_refused(kind: str, case: str) -> None:
    message = r"Expected rows with the index of u\..*; got .* rows\.to_numpy\(\) pairs rows by"
    with pytest.raises(ValueError, match=message):
        KINDS[kind](pd.Series(VALUES, NAMES))[OTHER_MASKS[case]]


def test_a_mask_in_another_order_says_how_to_bring_it_into_that_of_the_values() -> None:
    with pytest.raises(ValueError, match=r"Pass rows\.loc\[u\.values\.index\] to pair rows by"):
        Labels(pd.Series(VALUES, NAMES))[pd.Series(MASK, NAMES[::-1])]


NO_ROWS: dict[str, tuple[Any, str]] = {
    "a word": ("cell 1", "got an array of dtype <U6. Pass positions, or of labels of an index the"),
    "words": (["cell 1", "cell 2"], "dtype <U6"),
    "a slice of words": (slice("cell 1", "cell 3"), "got an invalid slice"),
    "floats": ([0.0, 1.0], "dtype float64"),
    "dates": (pd.date_range("2020", periods=3), "dtype datetime64"),
    "a matrix": (np.zeros((2, 3), int), r"an array of shape \(2, 3\)"),
    "too few booleans": (MASK[1:], "of 20 booleans .*; got 19 booleans"),
    "nothing": (None, "dtype object"),
}


@kinds
@pytest.mark.parametrize("case", NO_ROWS)
def test_what_chooses_no_rows_is_refused_in_words_of_u(kind: str, case: str) -> None:
    rows, message = NO_ROWS[case]
    with pytest.raises(ValueError, match=rf"Expected u\[rows\] with a slice, a mask.*{message}"):
        KINDS[kind](VALUES)[rows]


@kinds
def test_positions_beyond_the_rows_are_an_index_error_at_which_loops_end(kind: str) -> None:
    u = KINDS[kind](VALUES)
    with pytest.raises(IndexError, match=r"positions below 20; got rows = \[0, 20\]"):
        u[[0, 20]]
    assert len(list(u)) == N
