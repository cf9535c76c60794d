"""Whatever is passed in: a right answer, or a ValueError or TypeError that names the argument.

`HYPOTHESIS_PROFILE=nightly` tries five times as many inputs, other ones each time.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.shared import metrics
from identiflow.shared.auxiliary import Continuous, Fourier, History, Labels, Mixed, TimeSegments
from identiflow.shared.datasets import autocorrelated_sources, nonstationary_sources
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.identifiability import IdentifiabilityWarning
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.shared.training import DivergedError

# History has rows without a past, and new u may lie beyond the range of fit.
pytestmark = pytest.mark.filterwarnings("ignore::shared.inputs.remarks.InputWarning")

N_ROWS = 12
TINY: dict[str, Any] = {"hidden": (4,), "max_steps": 2, "compile": False, "progress": False}
MAKE: dict[str, Callable[[], Estimator]] = {
    "IFlow": lambda: IFlow(n_layers=1, **TINY),
    "IVAE": lambda: IVAE(1, n_samples=2, **TINY),
}

# What could be passed -----------------------------------------------------------------------------

SIDES = st.sampled_from([0, 1, 2, 3, N_ROWS])
SHAPES = st.one_of(
    st.just((N_ROWS, 2)),
    st.just((N_ROWS, 2)),
    st.lists(SIDES, max_size=3).map(tuple),
)
DTYPES = st.one_of(
    hnp.floating_dtypes(endianness="?"),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(),
    hnp.boolean_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.unicode_string_dtypes(max_len=3),
    hnp.byte_string_dtypes(max_len=3),
    hnp.datetime64_dtypes(),
)
ARRAYS = st.tuples(DTYPES, SHAPES).flatmap(lambda pair: hnp.arrays(*pair))
CELLS = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=2), st.booleans(), st.just(pd.NA)
)
OBJECTS = SHAPES.flatmap(lambda shape: hnp.arrays(object, shape, elements=CELLS))


def masked(array: np.ndarray) -> Any:
    return np.ma.masked_array(array, mask=np.arange(array.size).reshape(array.shape) % 5 == 0)


def as_frame(array: np.ndarray) -> Any:
    if array.dtype.kind == "M":  # pandas knows fewer dates than numpy
        return array
    return pd.DataFrame(array) if array.ndim == 2 else pd.Series(array.reshape(-1))


def as_tensor(array: np.ndarray) -> Any:
    try:
        return torch.from_numpy(array.copy())
    except (TypeError, ValueError):  # a dtype or byte order that torch does not have
        return array


TENSORS = ARRAYS.map(as_tensor)
OF_TENSORS: dict[str, Callable[[torch.Tensor], Any]] = {
    "as it is": lambda t: t,
    "half": lambda t: t.bfloat16(),
    "sparse": lambda t: t.float().to_sparse() if t.ndim else t,
    "meta": lambda t: t.to("meta"),
    "gradient": lambda t: t.double().requires_grad_(),
}


def of_tensor(name: str) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        real = isinstance(value, torch.Tensor) and not value.is_complex()
        return OF_TENSORS[name](value) if real else value

    return change


ANYTHING = st.one_of(
    ARRAYS,
    OBJECTS,
    ARRAYS.map(lambda a: a.T),
    ARRAYS.map(lambda a: np.repeat(a, 2, axis=0)[::2] if a.ndim else a),
    ARRAYS.map(masked),
    ARRAYS.filter(lambda a: a.ndim in (1, 2)).map(as_frame),
    OBJECTS.filter(lambda a: a.ndim in (1, 2)).map(as_frame),
    ARRAYS.map(lambda a: a.tolist()),
    OBJECTS.map(lambda a: a.tolist()),
    *(TENSORS.map(of_tensor(name)) for name in OF_TENSORS),
    CELLS,
    st.lists(st.lists(CELLS, max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=2), CELLS, max_size=2),
    st.just(object()),
    st.just(len),
)
READINGS = st.one_of(
    ANYTHING,
    ANYTHING.map(Labels),
    ANYTHING.map(Continuous),
    st.tuples(ANYTHING, ANYTHING).map(lambda pair: Mixed(*pair)),
    st.integers(-1, 20).map(TimeSegments),
    st.integers(-1, 20).map(History),
    ANYTHING.map(lambda series: History(1, series)),
    st.tuples(ANYTHING, st.floats(), st.integers(-1, 3)).map(lambda three: Fourier(*three)),
)


# What may come of it ------------------------------------------------------------------------------


def answer(call: Callable[[], Any], *names: str) -> Any:
    """What a call returns, or None for an error of ours that names one of the arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentifiabilityWarning)
        warnings.simplefilter("ignore", InputWarning)
        try:
            return call()
        except (ValueError, TypeError) as error:
            message = str(error)
            assert message.startswith("Expected ") and "; got " in message, repr(error)
            assert any(name in message for name in names), message
        except DivergedError as error:
            assert "Lower learning_rate" in str(error)
    return None


def generated(**strategies: Any) -> Callable[[Callable], Callable]:
    def decorate(test: Callable) -> Callable:
        quiet = settings(suppress_health_check=list(HealthCheck))
        return quiet(given(**strategies)(test))

    return decorate


@pytest.fixture(scope="module")
def fitted_models() -> dict[str, Estimator]:
    x = np.random.default_rng(0).standard_normal((60, 2))
    return {name: make().fit(x, np.arange(60) % 5) for name, make in MAKE.items()}


@pytest.mark.parametrize("name", MAKE)
@generated(x=ANYTHING, u=READINGS)
def test_any_x_and_u_are_fitted_or_refused(name: str, x: Any, u: Any) -> None:
    for data, codes in ((x, np.arange(N_ROWS) % 3), (X, u), (x, u)):
        fitted = answer(lambda data=data, codes=codes: MAKE[name]().fit(data, codes), "x", "u")
        if fitted is not None:
            assert np.isfinite(fitted.transform(data, codes)).all()
            assert np.isfinite(fitted.log_prob(data, codes)).all()


X = np.random.default_rng(1).standard_normal((N_ROWS, 2))
U = np.arange(N_ROWS) % 5
CALLS: dict[str, Callable[[Estimator, Any], Any]] = {
    "transform, x": lambda e, v: e.transform(v, U),
    "inverse_transform, z": lambda e, v: e.inverse_transform(v),
    "log_prob, x": lambda e, v: e.log_prob(v, U),
    "log_prob, u": lambda e, v: e.log_prob(X, v),
    "score, x": lambda e, v: e.score(v, U),
    "sample, u": lambda e, v: e.sample(v),
    "check_identifiability, u": lambda e, v: e.check_identifiability(v).satisfied,
    "predict_aux_proba, x": lambda e, v: e.predict_aux_proba(v),
    "transport, u": lambda e, v: e.transport(X, U, v),
    "quantiles, u": lambda e, v: e.quantiles(X, v),
}
OF_ONE: dict[str, Callable[[Any, Any], Any]] = {
    "IFlow, density, u": lambda e, v: e(v).log_prob(torch.zeros(2, dtype=torch.float64)),
    "IVAE, elbo, x": lambda e, v: e.elbo(v, U),
    "IVAE, sample_posterior, x": lambda e, v: e.sample_posterior(v, n_samples=2),
}
ALL_CALLS = [
    *((name, call, function) for name in MAKE for call, function in CALLS.items()),
    *((*key.split(", ", 1), function) for key, function in OF_ONE.items()),
]


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning:pandas")  # its repr
@pytest.mark.parametrize(
    ("name", "call", "function"), ALL_CALLS, ids=[f"{n}, {c}" for n, c, _ in ALL_CALLS]
)
@generated(value=READINGS)
def test_any_argument_is_taken_or_refused(
    name: str,
    call: str,
    function: Callable[[Estimator, Any], Any],
    value: Any,
    fitted_models: dict[str, Estimator],
) -> None:
    argument = call.split(", ")[1]
    got = answer(lambda: function(fitted_models[name], value), argument)
    if got is not None:
        assert np.isfinite(np.asarray(got, dtype=float)).all()


METRICS: dict[str, Callable[[Any, Any], Any]] = {
    "mean_corr_coef": metrics.mean_corr_coef,
    "spearman": lambda a, b: metrics.mean_corr_coef(a, b, method="spearman"),
    "linear_mean_corr_coef": metrics.linear_mean_corr_coef,
    "mean_r2": metrics.mean_r2,
    "r2_per_source": lambda a, b: metrics.r2_per_source(a, b).min(),
    "chance_level": lambda a, b: metrics.chance_level(a, b, n_permutations=2).mean,
    "hsic_test": lambda a, b: metrics.hsic_test(a, b).p_value,
    "agreement": lambda a, b: metrics.agreement([a, b]).mean,
    "within groups": lambda a, b: metrics.within_group_mean_corr_coef(X, X, b),
}
NAMES_IN_METRICS = ("z", "fit", "group", "latents", "u", "x", "y")


@pytest.mark.parametrize("metric", METRICS)
@generated(a=ANYTHING, b=ANYTHING)
def test_any_latents_are_scored_or_refused(metric: str, a: Any, b: Any) -> None:
    for pair in ((a, b), (X, b), (a, a)):
        got = answer(lambda pair=pair: METRICS[metric](*pair), *NAMES_IN_METRICS)
        if got is not None:
            assert np.isfinite(got)


# Small numbers alone: a million layers are not refused, they take their time.
SETTINGS = st.one_of(
    st.integers(-2, 3),
    st.floats(-2, 2),
    st.sampled_from(
        [float("nan"), float("inf"), "auto", "scale", "elbo", "spline", "cpu", b"", ()]
    ),
    CELLS.filter(lambda value: not isinstance(value, int | float) or abs(value) <= 3),
    st.lists(st.one_of(st.integers(-2, 3), st.floats(), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(-2, 3), max_size=2),
    st.just(object()),
    st.just(np.float32(1.5)),
    st.just(np.array([1, 2])),
)
OPTIONS = [(name, option) for name, make in MAKE.items() for option in make().get_params()]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
@generated(value=SETTINGS)
def test_any_option_is_taken_or_refused_by_name(name: str, option: str, value: Any) -> None:
    if option == "compile" and isinstance(value, bool | np.bool_):
        assume(not value)  # to compile takes seconds, and has tests of its own
    model = MAKE[name]()
    fitted = answer(lambda: model.set_params(**{option: value}).fit(X, U), option)
    if fitted is not None:
        if os.environ.get("HYPOTHESIS_PROFILE") == "nightly":
            with tempfile.TemporaryDirectory() as folder:
                fitted.save(Path(folder) / "model")  # which reads what it has written
        assert np.isfinite(fitted.log_prob(X, U)).all()


GENERATORS = {f.__name__: f for f in (nonstationary_sources, autocorrelated_sources)}
SIZES = {
    "nonstationary_sources": {"latent_dim": 2, "n_segments": 3, "samples_per_segment": 4},
    "autocorrelated_sources": {"latent_dim": 2, "n_samples": 9},
}
OF_GENERATORS = [(name, p) for name, f in GENERATORS.items() for p in signature(f).parameters]


@pytest.mark.parametrize(("name", "option"), OF_GENERATORS)
@generated(value=SETTINGS)
def test_any_option_of_a_generator_is_taken_or_refused(name: str, option: str, value: Any) -> None:
    data = answer(lambda: GENERATORS[name](**SIZES[name] | {option: value}), option)
    if data is not None:
        assert np.isfinite(data.x).all()
