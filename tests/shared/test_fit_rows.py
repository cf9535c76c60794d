"""Rows that fit a linear score: a mask or indices, of which one is not taken for the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given

from identiflow.shared.metrics import linear_mean_corr_coef, mean_r2, r2_per_source

N, D = 60, 3
Z = np.random.default_rng(0).laplace(size=(N, D))
NOISY = Z @ np.random.default_rng(1).normal(size=(D, D)) + np.random.default_rng(2).laplace(
    size=(N, D)
)
MASK = np.random.default_rng(3).permutation(N) < N // 2
NAMES = [f"cell {i}" for i in range(N)]
TRUE, PRED = pd.DataFrame(Z, NAMES), pd.DataFrame(NOISY, NAMES)
BACK = np.arange(N)[::-1]

SCORES = {
    "mean_r2": mean_r2,
    "r2_per_source": lambda *z, **options: r2_per_source(*z, **options).mean(),
    "linear_mean_corr_coef": linear_mean_corr_coef,
}
scores = pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)

# What holds a mask or indices, and what it does to the numbers in it.
HOLDERS: dict[str, Callable[[np.ndarray], Any]] = {
    "array": np.asarray,
    "list": np.ndarray.tolist,
    "list of numpy's": list,
    "tuple": tuple,
    "column": lambda rows: rows[:, None],
    "objects": lambda rows: rows.astype(object),
    "tensor": torch.from_numpy,
    "series": pd.Series,
    "series of objects": lambda rows: pd.Series(rows, dtype=object),
    "nullable series": lambda rows: pd.Series(rows).convert_dtypes(),
    "frame": lambda rows: pd.DataFrame({"fit": rows}),
    "index": pd.Index,
    "pyarrow": pa.array,
}
holders = pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)


@scores
@holders
def test_a_mask_and_its_indices_choose_the_same_rows(score: Any, hold: Any) -> None:
    expected = score(Z, NOISY, fit_rows=MASK)
    assert score(Z, NOISY, fit_rows=hold(MASK)) == expected
    assert score(Z, NOISY, fit_rows=hold(np.flatnonzero(MASK))) == expected
    assert score(Z, NOISY, fit_rows=hold(np.flatnonzero(MASK) - N)) == expected


@scores
@pytest.mark.parametrize("kind", ["i8", "u1", "i4", "f8"])
@holders
def test_a_mask_of_numbers_is_refused(score: Any, kind: str, hold: Any) -> None:
    message = r"got 60 numbers, all 0 or 1\. Is it a mask\? Pass .*\.astype\(bool\)"
    with pytest.raises(ValueError, match=message):
        score(Z, NOISY, fit_rows=hold(MASK.astype(kind)))


@given(st.lists(st.integers(-N, N - 1), min_size=2 * D + 1, max_size=N - 2))
def test_generated_indices_are_each_of_another_row_or_refused(rows: list[int]) -> None:
    if len(set(np.array(rows) % N)) == len(rows):
        mask = np.zeros(N, bool)
        mask[rows] = True
        assert mean_r2(Z, NOISY, fit_rows=rows) == mean_r2(Z, NOISY, fit_rows=mask)
        return
    with pytest.raises(ValueError, match=r"each once; got row \d+ \d+ times. Pass each row once"):
        mean_r2(Z, NOISY, fit_rows=rows)


@given(st.lists(st.sampled_from([0, 1, True, False]), min_size=N, max_size=N))
def test_no_generated_list_of_flags_is_taken_for_row_numbers(flags: list[Any]) -> None:
    if all(isinstance(flag, bool) for flag in flags):
        flags = [0, *flags[1:]]
    with pytest.raises(ValueError, match="Is it a mask"):
        mean_r2(Z, NOISY, fit_rows=flags)


WRONG: dict[str, tuple[Any, str]] = {
    "words": (["a", "b"], r"got an array of dtype <U1"),
    "floats": ([0.5, 3.0], "got an array of dtype float64"),
    "a missing flag": (
        pd.array([True, None] * (N // 2), "boolean"),
        "got an array of dtype object",
    ),
    "a missing index": ([1, None], "got an array of dtype object"),
    "a table": (np.zeros((N, 2), bool), r"got an array of shape \(60, 2\)"),
    "a flag": (True, r"got an array of shape \(\)"),
    "a short mask": (MASK[1:], "a mask of 60 booleans .* got 59 booleans"),
    "an index beyond": ([3, 60], "indices below 60.* got 60 at position 1"),
    "an index before": ([-61], "got -61 at position 0"),
    "labels in a slice": (slice("cell 0", "cell 30"), "got an invalid index"),
    "none": ([], "rows to fit on and 2 to score on; got 0 and 60"),
    "all": (range(N), "got 60 and 0"),
}


@pytest.mark.parametrize("case", WRONG)
@scores
def test_what_is_no_choice_of_rows_is_refused(score: Any, case: str) -> None:
    rows, message = WRONG[case]
    with pytest.raises(ValueError, match=f"(?s)Expected fit_rows.*{message}"):
        score(Z, NOISY, fit_rows=rows)


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_directions_are_fitted_to_more_rows_than_columns(columns: int) -> None:
    z = np.random.default_rng(columns).normal(size=(N, columns))
    needed = 2 * columns + 1
    assert np.isfinite(linear_mean_corr_coef(z, z[::-1], fit_rows=slice(0, needed)))
    with pytest.raises(ValueError, match=f"at least {needed} rows to fit .* got {needed - 1} and"):
        linear_mean_corr_coef(z, z[::-1], fit_rows=range(needed - 1))


# Indexes of pandas -------------------------------------------------------------------------------

INDEXES: dict[str, Any] = {
    "words": NAMES,
    "numbers": np.arange(N) * 7 % N,
    "days": pd.date_range("2020-01-01", periods=N),
    "pairs": pd.MultiIndex.from_product([range(6), range(10)]),
}
PAIRS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "both": lambda index: (pd.DataFrame(Z, index), pd.DataFrame(NOISY, index)),
    "true": lambda index: (pd.DataFrame(Z, index), NOISY),
    "pred": lambda index: (Z, pd.DataFrame(NOISY, index)),
    "series": lambda index: (pd.Series(Z[:, 0], index), pd.Series(NOISY[:, 0], index)),
}
indexed = pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
in_pandas = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


@indexed
@in_pandas
@scores
def test_a_mask_of_another_index_is_refused(score: Any, pair: Any, index: Any) -> None:
    true, pred = pair(index)
    mask = pd.Series(MASK, index)
    expected = score(np.asarray(true), np.asarray(pred), fit_rows=MASK)
    assert score(true, pred, fit_rows=mask) == expected
    assert score(np.asarray(true), np.asarray(pred), fit_rows=mask.iloc[BACK].to_numpy()[BACK])
    for shuffled in (mask.iloc[BACK], mask.astype(object).iloc[BACK], mask.to_frame().iloc[BACK]):
        with pytest.raises(
            ValueError, match=r"fit_rows with the index of z_(true|pred), in the sa"
        ):
            score(true, pred, fit_rows=shuffled)
        assert score(true, pred, fit_rows=shuffled.loc[mask.index]) == expected


@indexed
@in_pandas
@scores
def test_an_index_as_rows_is_refused_where_it_may_be_labels(
    score: Any, pair: Any, index: Any
) -> None:
    true, pred = pair(index)
    labels = pd.Series(MASK, index).index[MASK]
    message = r"got a pandas \w*Index, which may be labels of the index of (z_true|z_pred)\..* mask"
    with pytest.raises(ValueError, match=message):
        score(true, pred, fit_rows=labels)
    expected = score(np.asarray(true), np.asarray(pred), fit_rows=MASK)
    assert score(true, pred, fit_rows=pd.Series(MASK, index).index.isin(labels)) == expected
    assert score(true, pred, fit_rows=np.flatnonzero(MASK)) == expected


@scores
@pytest.mark.parametrize("index", [None, np.arange(N), pd.RangeIndex(N)])
def test_an_index_of_positions_is_taken(score: Any, index: Any) -> None:
    true, pred = pd.DataFrame(Z, index), pd.DataFrame(NOISY, index)
    assert score(true, pred, fit_rows=true.index[MASK]) == score(Z, NOISY, fit_rows=MASK)
