"""x without a density is found by its columns, whatever they are scaled, shifted or called."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identiflow.shared.inputs.columns import step_of
from identiflow.shared.inputs.density import (
    DensityWarning,
    Observed,
    check_density,
    has_density,
)

Array = np.ndarray
RNG = np.random.default_rng(0)
X = RNG.standard_normal((1000, 3))
U = np.arange(1000) % 8
NAMES = list("abcdefgh")
SOURCES: dict[str, Callable[..., Array]] = {
    "normal": lambda rng, *shape: rng.standard_normal(shape),
    "uniform": lambda rng, *shape: rng.random(shape),
    "Cauchy": lambda rng, *shape: rng.standard_cauchy(shape),
    "log-normal": lambda rng, *shape: np.exp(2 * rng.standard_normal(shape)),
    "outliers": lambda rng, *shape: (
        rng.standard_normal(shape) * np.where(rng.random((shape[0], 1)) < 0.02, 1e6, 1)
    ),
}
SEEDS = st.integers(0, 2**32 - 1)


def refusal(x: Any, u: Array | None = None, names: list[str] | None = None) -> str:
    """The words by which these rows are refused, "" if they are not."""
    labels = None if u is None else [f"L{code}" for code in range(u.max() + 1)]
    try:
        check_density(Observed(x, names, u, labels))
    except ValueError as error:
        return str(error)
    return ""


def doubts(x: Any, u: Array | None = None) -> str:
    """The words by which these rows are warned of, "" if they are not."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert not refusal(x, u)
    assert all(warning.category is DensityWarning for warning in said)
    return " ".join(str(warning.message) for warning in said)


# --- dependence, case by case

SHARES = np.exp(X) / np.exp(X).sum(1, keepdims=True)
DEPENDENT: dict[str, tuple[Array, str]] = {
    "a copy": (np.c_[X, X[:, 0]], r"column 3 \('d'\).* function of column 0 \('a'\)\. Such"),
    "°C beside °F": (
        np.c_[X[:, 0], X[:, 1], 1.8 * X[:, 1] + 32],
        r"column 2 \('c'\), which is a linear function of column 1 \('b'\)\.",
    ),
    "a total": (
        np.c_[X[:, :2], X[:, 0] + X[:, 1]],
        r"column 2 \('c'\), which is a linear function of columns 0 \('a'\) and 1 \('b'\)\.",
    ),
    "shares of a whole": (SHARES, r"column 2 .* of columns 0 \('a'\) and 1 \('b'\)\."),
    "a one-hot group": (
        np.c_[X, np.eye(3)[U % 3]],
        r"column 5 \('f'\), which is a linear function of columns 3 \('d'\) and 4 \('e'\)\.",
    ),
    "a copy of a total": (
        np.c_[X[:, :2], X[:, 0] + X[:, 1], X[:, 0] + X[:, 1]],
        r"columns 0 \('a'\) and 1 \('b'\); column 3 \('d'\), .* of column 2 \('c'\)\.",
    ),
    "single precision": (
        np.c_[X + 300, 1.8 * (X[:, 0] + 300) - 459.67].astype(np.float32),
        r"column 3 \('d'\), which is a linear function of column 0 \('a'\)\.",
    ),
    "far from 0": (np.c_[X, 1.8 * X[:, 0]] + 1e9, r"column 3 .* of column 0 \('a'\)\."),
    "outliers of 1e90": (
        (lambda x: np.c_[x, x.sum(1)])(X * np.where(U == 0, 1e90, 1)[:, None]),
        r"column 3 \('d'\), which is a linear function of columns 0 .*, 1 .* and 2 \('c'\)\.",
    ),
    "decimals that add up": (
        (lambda x: np.c_[x, x.sum(1)])(np.round(X, 3)),
        r"column 3 \('d'\), which is a linear function of columns 0",
    ),
}


@pytest.mark.parametrize("case", DEPENDENT)
def test_columns_that_depend_on_others_are_refused_by_name(case: str) -> None:
    x, message = DEPENDENT[case]
    assert re.search(message, refusal(x, names=NAMES)), refusal(x, names=NAMES)
    assert "Drop the column, add noise" in refusal(x) and not has_density(x)


def test_many_columns_are_counted() -> None:
    x = RNG.standard_normal((200, 20))
    said = refusal(np.c_[x, x.sum(1), x[:, :4]])
    assert "column 20, which is a linear function of columns 0, 1, 2, 3, 4 and 15 others" in said
    assert "column 21, which is a linear function of column 0; " in said and "; and 2 more" in said


def test_rows_that_are_as_few_as_columns_are_refused_in_words_of_their_own() -> None:
    for n_rows in (10, 30, 31):
        assert "at least 32 rows for 30 columns; got" in refusal(RNG.standard_normal((n_rows, 30)))
    assert refusal(RNG.standard_normal((32, 30))) == ""
    assert not has_density(RNG.standard_normal((31, 30)))


class Tables(NamedTuple):
    """A table in which columns depend on others, and the numbers of all columns in that."""

    x: Array
    involved: set[int]


def dependent(seed: int, rest: float = 0.0) -> Tables:
    """A random one, of which `rest` of a column's spread does not depend on others."""
    rng = np.random.default_rng(seed)
    n, k, more = int(rng.integers(30, 2000)), int(rng.integers(1, 7)), int(rng.integers(1, 3))
    base = SOURCES[rng.choice(list(SOURCES))](rng, n, k)
    slopes = rng.choice([-1, 1], (k, more)) * np.exp(rng.uniform(-2, 2, (k, more)))
    slopes *= rng.random((k, more)) < 0.6
    slopes[rng.integers(k)] = 1.0
    sums = base @ slopes
    spread = np.median(np.abs(sums - np.median(sums, 0)), 0)
    sums += (
        rest
        * spread
        * np.sqrt(1 + np.square(base / np.median(np.abs(base))).mean(1))[:, None]
        * rng.standard_normal(sums.shape)
    )
    used = [*slopes.any(1), *[True] * more]
    x, order = np.c_[base, sums], rng.permutation(k + more)
    scale = 10.0 ** rng.uniform(-12, 12, k + more)
    x = (x + 100 * rng.standard_normal(k + more)) * scale
    return Tables(x[:, order], {i for i, column in enumerate(order) if used[column]})


FORMS: dict[str, Callable[[Array, Any], Any]] = {
    "float64": lambda x, path: x,
    "Fortran order": lambda x, path: np.asfortranarray(x),
    "single precision": lambda x, path: x.astype(np.float32),
    "on disk": lambda x, path: on_disk(x, path),
}


def on_disk(x: Array, path: Any) -> Array:
    stored = np.memmap(path, x.dtype, "w+", shape=x.shape)
    stored[:] = x
    return stored


@pytest.mark.parametrize("form", FORMS)
@given(seed=SEEDS)
def test_generated_tables_without_a_density_are_refused(form: str, tmp_path_factory, seed) -> None:
    table = dependent(seed)
    said = refusal(FORMS[form](table.x, tmp_path_factory.getbasetemp() / "x.bin"))
    first = re.search(r"got column (\d+), which is a linear function of column", said)
    assert first and int(first[1]) in table.involved, (said, table.involved)


@given(seed=SEEDS)
def test_generated_tables_with_a_density_are_not(seed) -> None:
    rng = np.random.default_rng(seed)
    source = SOURCES[rng.choice(list(SOURCES))]
    x = source(rng, int(rng.integers(30, 2000)), int(rng.integers(1, 9)))
    x = (x @ rng.standard_normal((x.shape[1],) * 2) + 10) * 10.0 ** rng.uniform(-12, 12, x.shape[1])
    u = rng.integers(0, 5, len(x))
    assert doubts(x, u) == doubts(x.astype(np.float32), u) == ""


@given(seed=SEEDS)
def test_a_rest_of_1e_5_is_a_density(seed) -> None:
    assert doubts(dependent(seed, rest=1e-5).x) == ""


# --- u


def under(label: int, values: Callable[[Array], Any], column: int = 0) -> Array:
    x = X.copy()
    x[U == label, column] = values(x[U == label])
    return x


OF_LABELS: dict[str, tuple[Array, str]] = {
    "constant": (
        under(3, lambda x: 1.0),
        r"column 0 \('a'\), which is constant in the rows of label 'L3' of u\.",
    ),
    "a copy": (
        under(3, lambda x: x[:, 1]),
        r"column 1 \('b'\), .* of column 0 \('a'\) in the rows of label 'L3' of u\.",
    ),
    "constant under all": (
        np.c_[X, U],
        r"beside u; got column 3 \('d'\), which has one value for each label of u\. .* Leave it",
    ),
}


@pytest.mark.parametrize("case", OF_LABELS)
def test_a_column_that_others_determine_under_a_label_is_refused(case: str) -> None:
    x, message = OF_LABELS[case]
    assert re.search(message, refusal(x, U, NAMES)), refusal(x, U, NAMES)


def test_few_rows_of_a_label_may_be_alike() -> None:
    of_two = np.arange(1000) // 2
    x = np.repeat(X[::2], 2, axis=0)  # in pairs
    assert doubts(x, of_two).startswith("50 % of the rows of x are copies of others.")
    assert doubts(X, np.arange(1000)) == ""
    of_four = np.arange(1000) // 4
    assert "100 % of the rows of label 'L0' of u share" in doubts(np.repeat(X[::4], 4, 0), of_four)
    of_ten = np.arange(1000) // 10
    said = refusal(np.repeat(X[::10], 10, axis=0), of_ten)
    assert "column 0, which is constant in the rows of label 'L0'" in said
    rare = (RNG.random((1000, 1)) < 0.02).astype(float)
    assert "98 % of the rows share the value 0" in doubts(np.c_[X, rare], U // 4 * 100 + U)


# --- values that many rows share, and rounding


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.6])
def test_a_value_of_many_rows_is_warned_of(share: float) -> None:
    rain = np.where(RNG.random(1000) < share, 0.0, X[:, 0])
    said = doubts(np.c_[rain, X[:, 1:]], U)
    assert bool(said) == (share > 0.1)
    assert not said or re.match(r"\d+ % of the rows share the value 0 in column 0 of x\. ", said)


@pytest.mark.parametrize("spread", [0.3, 1, 3, 10, 100])
def test_integers_are_warned_of_if_they_are_few(spread: float) -> None:
    assert bool(doubts(np.round(spread * X))) == (spread < 10)


def test_nearly_all_rows_of_a_label_are_a_value_too_many() -> None:
    x, u = X.copy(), np.arange(1000) % 20
    x[60:, 0] = np.where(u == 3, 7.0, X[:, 0])[60:]
    assert "94 % of the rows of label 'L3' of u share the value 7 in column 0" in doubts(x, u)


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_dependence_up_to_rounding_is_warned_of(digits: int) -> None:
    said = doubts(np.round(np.c_[X, X.sum(1)], digits))
    assert said.startswith("Column 3 of x is a linear function of columns 0, 1 and 2, but for the")
    assert doubts(np.round(np.c_[X, X.sum(1) + 0.1 * RNG.standard_normal(1000)], digits)) == ""


@pytest.mark.parametrize(
    ("values", "step"),
    [(np.arange(9), 1), (1e9 + 0.25 * np.arange(9), 0.25), (1e-12 * np.arange(0, 9, 3), 3e-12)],
)
def test_the_step_of_what_was_rounded_is_found(values: Array, step: float) -> None:
    assert step_of(values.astype(float)) == pytest.approx(step)
    assert step_of(X[:, 0]) == step_of(np.ones(5)) == 0


# --- large tables, and single precision


@pytest.mark.parametrize("shape", [(1_000_000, 10), (1100, 1000)])
def test_looking_is_at_some_of_many_rows(shape: tuple[int, int]) -> None:
    x = RNG.random(shape, dtype=np.float32)
    assert Observed(x).sample.x.size <= 1_100_000
    assert refusal(x, np.arange(len(x)) % 50) == ""


@pytest.mark.parametrize("digits", [3, 4, 5])
def test_a_sum_is_seen_through_significant_digits(digits: int) -> None:
    spread = X * np.exp(X[:, [0]])  # of many sizes
    total = np.c_[spread, spread.sum(1)]
    x = np.array([[float(f"{value:.{digits}g}") for value in row] for row in total])
    assert "is a linear function of columns 0, 1 and 2, but for the rounding" in doubts(x)
    apart = np.c_[x[:, :3], X[:, 0] + RNG.standard_normal(1000)]
    assert doubts(np.array([[float(f"{v:.{digits}g}") for v in row] for row in apart])) == ""


def test_copies_that_single_precision_makes_are_copies() -> None:
    nearly = X + 1e-10 * RNG.standard_normal(X.shape)
    assert "of the rows of x are copies of others" in doubts(np.r_[X, nearly])
