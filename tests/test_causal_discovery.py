"""The rule that names a cause: it finds one that is known, and names none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.protocol.table import Row
from experiments.studies import causal_discovery
from experiments.studies.causal_discovery import (
    FIRST,
    GIVEN_U,
    OVER_ALL_ROWS,
    SECOND,
    cause,
    count,
    larger,
    measure,
    p_values,
    ranks_within,
    verdict,
)
from identiflow.iflow import IFlow
from identiflow.shared.datasets import Dataset
from identiflow.shared.metrics import hsic_test

N_VALUES, ROWS = 9, 400
BUDGET = {"n_layers": 1, "hidden": (32,), "max_steps": 100, "compile": False}


def sources(seed: int, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """n sources whose mean and spread change with u, and u."""
    rng = np.random.default_rng(seed)
    u = np.repeat(np.arange(N_VALUES), ROWS)
    mean, spread = rng.uniform(-3, 3, (N_VALUES, n)), rng.uniform(0.5, 2, (N_VALUES, n))
    return mean[u] + spread[u] * rng.standard_normal((len(u), n)), u


def fitted(kind: str, seed: int = 1) -> Row:
    """Two columns: one the cause of the other, neither, or both of the same."""
    z, u = sources(seed)
    a, b, c = z.T
    columns = {
        FIRST: (a, a + b),
        SECOND: (a + b, a),
        "neither": (a, b),
        "a common cause": (a + c, b + c),
    }
    return measure(Dataset(name=kind, x=np.column_stack(columns[kind]), u=u), 1, seed, BUDGET)


@pytest.mark.parametrize("known", [FIRST, SECOND])
def test_a_direction_that_is_known_is_found(known) -> None:
    row = fitted(known, seed=5)
    assert cause(row, GIVEN_U) == larger(row, GIVEN_U) == known
    assert min(p_values(row, GIVEN_U)) < 1e-6
    assert cause(row, OVER_ALL_ROWS) is None  # the paper's test sees u in both, and rejects both


def test_of_independent_columns_none_is_the_cause() -> None:
    row = fitted("neither", seed=2)
    assert cause(row, GIVEN_U) is None
    assert min(p_values(row, GIVEN_U)) > 0.05


def test_of_two_effects_of_a_third_none_is_the_cause() -> None:
    row = fitted("a common cause", seed=1)
    assert cause(row, GIVEN_U) is None
    assert max(p_values(row, GIVEN_U)) < 1e-3


def test_what_is_independent_given_u_is_rejected_over_all_rows_and_not_by_ranks() -> None:
    """Of 20 pairs of sources that u moves and nothing else ties, at the 5 % level."""
    over_all, given_u, tied = [], [], []
    for seed in range(20):
        z, u = sources(seed, n=2)
        some = np.random.default_rng(seed).permutation(len(u))[:320]
        z, u = z[some], u[some]
        over_all.append(hsic_test(*z.T).p_value)
        given_u.append(hsic_test(*ranks_within(z, u).T).p_value)
        tied.append(hsic_test(*ranks_within(z @ [[1, 0.7], [0, 1]], u).T).p_value)
    rejected = [sum(p < 0.05 for p in group) for group in (over_all, given_u, tied)]
    assert rejected[0] >= 14 and rejected[1] <= 4 and rejected[2] >= 18, rejected


def test_nats_and_p_values_are_of_rows_that_the_fit_has_not_seen(monkeypatch) -> None:
    z, u = sources(1, n=2)
    fits = []

    class Watched(IFlow):
        def fit(self, x, u):
            fits.append(x)
            return super().fit(x, u)

        def transform(self, x):
            assert not (x[:, None] == fits[0]).all(-1).any()
            return super().transform(x)

        def score(self, x, u):
            return float(len(x))

    monkeypatch.setattr(causal_discovery, "IFlow", Watched)
    row = measure(Dataset(name="pair", x=z, u=u), 10, 1, {**BUDGET, "max_steps": 2})
    assert (len(fits[0]), row.nats) == (0.8 * len(z), 0.2 * len(z))


def of(first: float, second: float, how: str = GIVEN_U) -> Row:
    details = {f"p {FIRST} is cause, {how}": first, f"p {SECOND} is cause, {how}": second}
    return Row("data", "a → b", details=details)


def test_the_rule_is_that_one_direction_is_rejected_and_the_other_is_not() -> None:
    rows = [of(0.2, 0.01), of(0.01, 0.2), of(0.3, 0.2), of(0.04, 0.01), of(0.01, 0.04)]
    assert [cause(row, GIVEN_U) for row in rows] == [FIRST, SECOND, None, None, None]
    assert count(rows, GIVEN_U) == {"in order": 3, "clear": 1, "against": 1, "both rejected": 2}
    assert verdict("data", rows, GIVEN_U).startswith("data, given u: 3 of 5 pairs in the order")
    assert cause(of(0.2, 0.01, OVER_ALL_ROWS), OVER_ALL_ROWS) == FIRST
