"""Each bad input is a ValueError that says what was expected, what came, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from identiflow.shared.auxiliary import History, TimeSegments
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.priors import GaussianPrior
from identiflow.shared.training.training import Training

Array = np.ndarray
Make = Callable[..., Estimator]

TIME = np.linspace(-1, 1, 200)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*args: object) -> None:
        pytest.fail("A step of training came before the error.")

    monkeypatch.setattr(Training, "batch", train)


def with_one(values: Any, where: tuple, value: Any) -> Array:
    changed = np.array(values, dtype=object if isinstance(value, (str, int)) else float)
    changed[where] = value
    return changed


BAD_X: dict[str, tuple[Callable[[Array], Any], str]] = {
    "NaN": (
        lambda x: with_one(x, (3, 1), np.nan),
        r"finite values in x; got 1 NaN, infinite .*, the first at \(3, 1\). Drop or impute",
    ),
    "infinity": (lambda x: with_one(x, (7, 0), -np.inf), r"finite values in x.* at \(7, 0\)"),
    "an overflow": (lambda x: with_one(x, (0, 0), 10**400), "Expected x to be numeric"),
    "a string": (lambda x: with_one(x, (0, 0), "a"), "Expected x to be numeric"),
    "complex numbers": (lambda x: x * 1j, "Expected x to be numeric.* got complex"),
    "one axis": (lambda x: x[:, 0], r"x of shape \(N, d\).* got shape \(200,\). .* np.c_\[x\]"),
    "three axes": (lambda x: x[None], r"x of shape \(N, d\).* got shape \(1, 200, 2\)"),
    "a constant column": (lambda x: x * [1, 0] + 0.1, r"x to vary; got constant.*\[1\]. Drop"),
    "no columns": (lambda x: x[:, :0], "x with at least 1 column; got 0 feature"),
    "too few rows": (
        lambda x: x[:9],
        "10 rows for 2 columns; got n_samples = 9. Collect",
    ),
    "rows without a u": (
        lambda x: np.concatenate([x, x]),
        "u with 400 rows, one for each row of x; got 200. Pass the u",
    ),
}
BAD_U: dict[str, tuple[Callable[[Array], Any], str]] = {
    "none": (lambda _: None, "Expected u, the auxiliary variable.* got None. Pass labels"),
    "rows missing": (lambda u: u[:150], "u with 200 rows, one for each row of x; got 150"),
    "one value": (lambda u: 0 * u, "u with at least 2 different values; got only 0. Without"),
    "one real value": (lambda u: 0 * u + 0.1, r"u with at least 2 different values; got only"),
    "NaN": (lambda _: with_one(TIME, (5,), np.nan), r"finite values in u; got 1 NaN.*\(5,\)"),
    "no label": (lambda u: [None, *u[1:]], "label in every row of u; got 1 missing.* row 0"),
    "a label of 2**70": (
        lambda u: [2**70, *u[1:]],
        f"labels of u within 64 bits.* got {2**70}. Use strings",
    ),
    "an unsigned label": (
        lambda u: np.where(u == 0, np.uint64(2**64 - 1), u.astype(np.uint64)),
        f"labels of u within 64 bits.* got {2**64 - 1}. Use strings",
    ),
    "too many segments": (
        lambda _: TimeSegments(201),
        r"TimeSegments\(n\) with 2 ≤ n ≤ 200.* n = 201",
    ),
    "too many lags": (lambda _: History(200), "1 ≤ lags < 200 rows of x; got 200"),
}


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("case", BAD_X)
def test_bad_x_is_refused_before_training(case: str, make: Make, x: Array, u: Array) -> None:
    spoil, message = BAD_X[case]
    bad = spoil(x)
    with pytest.raises(ValueError, match=message):
        make().fit(bad, u[:9] if case == "too few rows" else u)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("case", BAD_U)
def test_bad_u_is_refused_before_training(case: str, make: Make, x: Array, u: Array) -> None:
    spoil, message = BAD_U[case]
    with pytest.raises(ValueError, match=message):
        make().fit(x, spoil(u))


BAD_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown prior": ({"prior": "student"}, "prior to be .*'laplace'.*; got 'student'"),
    "a prior of another size": (
        {"prior": GaussianPrior(5, n_labels=10)},
        "prior over [12] latents; got one over 5",
    ),
    "a prior of other labels": (
        {"prior": GaussianPrior(2, n_labels=3)},
        "prior (with n_labels=10.* got n_labels=3|over 1 latents; got one over 2)",
    ),
    "a prior of another kind of u": (
        {"prior": GaussianPrior(2, aux_dim=1)},
        "prior (with n_labels=10.* got n_labels=None|over 1 latents; got one over 2)",
    ),
    "too many informative latents": ({"informative": 9}, "informative between 0 and .*; got 9"),
    "an unknown device": ({"device": "gpu"}, "device 'auto', 'cpu' or 'cuda'; got 'gpu'"),
    "a device with an odd number": ({"device": "cpu:x"}, "'cpu' or 'cuda'; got 'cpu:x'"),
    "a device without numbers": ({"device": "meta"}, "device 'auto', 'cpu' or 'cuda'; got 'meta'"),
    "nothing held out": ({"validation_fraction": 0.0}, "validation_fraction between 0 and 1"),
    "all held out": ({"validation_fraction": 1.0}, "validation_fraction between 0 and 1"),
    "no steps": ({"max_steps": 0}, "max_steps to be an integer of at least 1; got 0"),
    "empty batches": ({"batch_size": 0}, "batch_size to be an integer of at least 1; got 0"),
    "no fit at all": ({"n_restarts": 0}, "n_restarts to be an integer of at least 1; got 0"),
    "no learning": ({"learning_rate": 0.0}, "learning_rate to be positive; got 0.0"),
    "a rate of nan": ({"learning_rate": np.nan}, "learning_rate to be positive; got nan"),
    "a decay that grows weights": (
        {"weight_decay": -0.1},
        "weight_decay to be at least 0; got -0.1",
    ),
    "a decay of more than all": (
        {"weight_decay": 2.0, "learning_rate": 0.5},
        r"below 1 / learning_rate = 2; got 2\.0",
    ),
    "no patience": ({"patience": 0}, "patience to be an integer of at least 1; got 0"),
}


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_refused_before_training(case: str, make: Make, x: Array, u: Array) -> None:
    options, message = BAD_OPTIONS[case]
    with pytest.raises(ValueError, match=message):
        make(**options).fit(x, u)


BAD_CALLS: dict[str, tuple[Callable[[Estimator, Array, Array], object], str]] = {
    "unseen labels": (
        lambda e, x, u: e.log_prob(x[:2], [0, 77]),
        "seen in fit .*; got 77, first in row 1. Refit",
    ),
    "labels for sampling": (lambda e, x, u: e.sample([0, 77]), "seen in fit .*; got 77"),
    "labels for a check": (lambda e, x, u: e.check_identifiability([0, 77]), "got 77"),
    "one u that is no row": (
        lambda e, x, u: e.sample(3),
        r"u of shape \(N,\).* got 3. Pass a list",
    ),
    "another kind of u": (
        lambda e, x, u: e.log_prob(x, TIME),
        "of labels, as in fit; got u with 1 cont",
    ),
    "other rows of u": (lambda e, x, u: e.log_prob(x, u[:3]), "u with 200 rows.* got 3"),
    "no u": (lambda e, x, u: e.transport(x, None, u), "Expected u.* got None"),
    "another width": (
        lambda e, x, u: e.transform(x[:, :1], u),
        "x with 2 columns, as in fit; got 1",
    ),
    "width of log_prob": (
        lambda e, x, u: e.log_prob(x[:, [0, 1, 1]], u),
        "x with 2 columns.* got 3",
    ),
    "width of latents": (
        lambda e, x, u: e.inverse_transform(np.zeros((4, 7))),
        "z with [12] columns.* got 7",
    ),
    "NaN in x": (
        lambda e, x, u: e.transform(with_one(x, (0, 0), np.nan), u),
        r"finite values in x.* \(0, 0\)",
    ),
    "NaN in latents": (
        lambda e, x, u: e.inverse_transform(np.full((1, e.prior_.latent_dim), np.nan)),
        "finite values in z",
    ),
    "one axis": (lambda e, x, u: e.transform(x[0], u), r"x of shape \(N, d\)"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls_are_refused(case: str, fitted: Estimator, x: Array, u: Array) -> None:
    call, message = BAD_CALLS[case]
    with pytest.raises(ValueError, match=message):
        call(fitted, x, u)


CALLS: dict[str, Callable[[Estimator, Array, Array], object]] = {
    "transform": lambda e, x, u: e.transform(x, u),
    "inverse_transform": lambda e, x, u: e.inverse_transform(x[:, :1]),
    "log_prob": lambda e, x, u: e.log_prob(x, u),
    "score": lambda e, x, u: e.score(x, u),
    "sample": lambda e, x, u: e.sample(u),
    "check_identifiability": lambda e, x, u: e.check_identifiability(u),
    "prior_": lambda e, x, u: e.prior_,
    "save": lambda e, x, u: e.save("nowhere"),
}


@pytest.mark.parametrize("call", CALLS)
def test_nothing_works_before_fit(call: str, make: Make, x: Array, u: Array) -> None:
    message = r"Expected a fitted (IFlow|IVAE); got one before fit. Call fit\(x, u\)"
    with pytest.raises(ValueError, match=message):
        CALLS[call](make(), x, u)
