"""Data that breaks arithmetic: a fit ends with finite nats, or an error that names the cause."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.identifiability import IdentifiabilityWarning
from identiflow.shared.inputs.density import DensityWarning
from identiflow.shared.training import DivergedError

Array = np.ndarray
Make = Callable[..., Estimator]
RNG = np.random.default_rng(0)
NORMAL = RNG.standard_normal((200, 2))
CAUCHY = RNG.standard_cauchy((200, 2))


def with_outliers(x: Array, size: float) -> Array:
    x = x.copy()
    x[::50] *= size
    return x


# What becomes of x. None is constant, and all are finite.
HARD_X: dict[str, Callable[[Array], Array]] = {
    "Cauchy": lambda x: CAUCHY,
    "outliers of 1e6": lambda x: with_outliers(x, 1e6),
    "outliers of 1e90": lambda x: with_outliers(x, 1e90),
    "nearly singular": lambda x: np.c_[x[:, 0], x[:, 0] + 1e-9 * x[:, 1]],
    "a column twice": lambda x: x[:, [0, 0]],
    "nearly constant": lambda x: np.c_[x[:, 0], 1 + 1e-14 * x[:, 1]],
    "constant but for one row": lambda x: np.c_[x[:, 0], np.arange(200) == 100],
    "integers": lambda x: np.round(3 * x).astype(int),
    "two values": lambda x: (x > 0).astype(bool),
    "scales of 1e-12 and 1e12": lambda x: x * [1e-12, 1e12],
    "scales of 1e-90 and 1e90": lambda x: x * [1e-90, 1e90],
    "far from 0": lambda x: x + 1e9,
    "half precision": lambda x: x.astype(np.float16),
    "single precision": lambda x: x.astype(np.float32),
    "single precision, large": lambda x: (x * 1e37).astype(np.float32),
}
HARD_U: dict[str, Callable[[Array], Array]] = {
    "two rows a label": lambda u: np.arange(200) // 2,
    "one row a label": lambda u: np.arange(200),
    "one label of one row": lambda u: np.where(np.arange(200) == 7, 99, u),
    "a label that has nearly all": lambda u: (np.arange(200) < 3).astype(int),
    "continuous, with an outlier": lambda u: np.where(np.arange(200) == 7, 1e12, u / 3),
    "continuous, tiny": lambda u: 1e-90 * u,
    "continuous, huge": lambda u: 1e90 * u,
}
# Of these a flow has no density to learn, and says so; it warns of those.
REFUSED_BY_FLOWS = {"nearly singular", "a column twice"}
WARNED_OF_BY_FLOWS = {"constant but for one row", "integers", "two values"}
CASES = [*(("x", case) for case in HARD_X), *(("u", case) for case in HARD_U)]


def spoilt(case: tuple[str, str], x: Array, u: Array) -> tuple[Array, Array]:
    kind, name = case
    return (HARD_X[name](x), u) if kind == "x" else (x, HARD_U[name](u))


@pytest.mark.filterwarnings("ignore::shared.identifiability.IdentifiabilityWarning")
@pytest.mark.filterwarnings("ignore:Labels of u with fewer than 5 rows")
@pytest.mark.filterwarnings("ignore:The label 99 of u may be a missing value")
@pytest.mark.filterwarnings("ignore:Taken for measurements, far from all others. row 7 has the val")
@pytest.mark.filterwarnings("ignore:u has 10 different values, floats that are whole numbers")
@pytest.mark.parametrize("case", CASES, ids=[": ".join(case) for case in CASES])
def test_hard_data_end_in_finite_nats(case, make: Make, x: Array, u: Array, outputs) -> None:
    x, u = spoilt(case, x, u)
    of_flow = isinstance(make(), IFlow) and case[1]
    if of_flow in REFUSED_BY_FLOWS:
        with pytest.raises(ValueError, match="column 1, which is a linear function of column 0"):
            make().fit(x, u)
        return
    warned = pytest.warns(DensityWarning) if of_flow in WARNED_OF_BY_FLOWS else nullcontext()
    with warned:
        estimator = make().fit(x, u)
    assert math.isfinite(estimator.held_out_nats_)
    for name, values in outputs(estimator, x, u).items():
        assert np.isfinite(values).all(), name


@pytest.mark.parametrize("size", [1e300, 1e101, 1e-101, 1e-310, 5e-324])
@pytest.mark.parametrize("name_of_data", ["x", "u"])
def test_sizes_whose_squares_are_no_numbers_are_refused(
    name_of_data: str, size: float, make: Make, x: Array, u: Array
) -> None:
    x, u = (x * [1, size], u) if name_of_data == "x" else (x, u * size)
    with pytest.raises(
        ValueError, match=f"beyond 1e.100|columns of {name_of_data} that vary by at least 1e-100"
    ):
        make().fit(x, u)


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("architecture", ["spline", "affine", "autoregressive"])
def test_few_columns_are_enough(columns: int, architecture: str, x: Array, u: Array) -> None:
    flow = IFlow(architecture=architecture, n_layers=2, hidden=(16,), max_steps=24).fit(
        x[:, :columns], u
    )
    assert np.isfinite(flow.log_prob(x[:, :columns], u)).all()
    assert flow.round_trip_error_ < 1e-6


@pytest.mark.parametrize("rate", [1.0, 100.0])
def test_a_rate_far_too_high_ends_in_finite_nats_or_a_named_error(
    rate: float, make: Make, x: Array, u: Array, outputs
) -> None:
    estimator = make(learning_rate=rate, weight_decay=0.0, max_steps=300)
    try:
        estimator.fit(x, u)
    except DivergedError as error:
        assert "Lower learning_rate" in str(error)
        return
    assert math.isfinite(estimator.history_.best_loss)
    for name, values in outputs(estimator).items():
        assert np.isfinite(values).all(), name


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson", "categorical"])
def test_rare_values_of_discrete_data_are_fitted(likelihood: str, u: Array) -> None:
    x = np.zeros((200, 3), int)
    x[np.arange(0, 200, 40), [0, 1, 2, 0, 1]] = 1 if likelihood != "poisson" else 10_000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentifiabilityWarning)
        vae = IVAE(2, likelihood=likelihood, hidden=(16,), max_steps=24).fit(x, u)
    assert np.isfinite(vae.log_prob(x, u)).all() and np.isfinite(vae.transform(x, u)).all()


def test_a_short_fit_without_a_finite_step_is_an_error(x: Array, u: Array) -> None:
    options = {"learning_rate": 1e10, "weight_decay": 0.0, "max_steps": 60}
    with pytest.raises(DivergedError, match="steps in a row without up to step .* Lower learning_"):
        IFlow(architecture="affine", n_layers=1, hidden=(8,), **options).fit(x, u)
