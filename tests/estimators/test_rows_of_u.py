"""What estimators make of the rows of x and u: paired, named, left out, held at an edge."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.shared.auxiliary import Continuous, History, Labels, TimeSegments
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.identifiability import IdentifiabilityWarning
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.shared.training.training import Training

Array = np.ndarray
TINY: dict[str, Any] = {"hidden": (8,), "max_steps": 4, "compile": False, "progress": False}
MAKE: dict[str, Callable[..., Estimator]] = {
    "IFlow": lambda **options: IFlow(n_layers=1, **TINY, **options),
    "IVAE": lambda **options: IVAE(1, n_samples=2, warm_steps=0, **TINY, **options),
}
DATA = nonstationary_sources(2, n_segments=10, samples_per_segment=20, seed=1)
X, U = DATA.x, DATA.u
ROWS = [f"cell {i}" for i in range(200)]
FRAME = pd.DataFrame(X, columns=["left", "right"], index=ROWS)
SERIES = pd.Series(U, index=ROWS)


@pytest.fixture(params=MAKE)
def make(request: pytest.FixtureRequest) -> Callable[..., Estimator]:
    return MAKE[request.param]


@pytest.fixture(scope="module")
def fits() -> dict[str, Estimator]:
    return {name: build().fit(FRAME, SERIES) for name, build in MAKE.items()}


# Pairs of rows ----------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Estimator, Any, Any], Any]] = {
    "transform": lambda e, x, u: e.transform(x, u),
    "log_prob": lambda e, x, u: e.log_prob(x, u),
    "score": lambda e, x, u: e.score(x, u),
    "quantiles": lambda e, x, u: e.quantiles(x, u),
    "transport, from": lambda e, x, u: e.transport(x, u, 3),
    "transport, to": lambda e, x, u: e.transport(x, U, u),
    "check_identifiability": lambda e, x, u: e.check_identifiability(u, x),
}
OF_THE_VAE = {
    "elbo": lambda e, x, u: e.elbo(x, u),
    "sample_posterior": lambda e, x, u: e.sample_posterior(x, u, n_samples=2),
}
ALL = [(n, c) for n in MAKE for c in CALLS] + [("IVAE", c) for c in OF_THE_VAE]


@pytest.mark.parametrize(("name", "call"), ALL)
def test_every_method_refuses_rows_in_another_order(
    name: str, call: str, fits: dict[str, Estimator]
) -> None:
    function = (CALLS | OF_THE_VAE)[call]
    with pytest.raises(ValueError, match="with the index of x, in the same order; got 'cell 199'"):
        function(fits[name], FRAME, SERIES[::-1])
    function(fits[name], FRAME, SERIES)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*args: object) -> None:
        pytest.fail("A step of training came before the error.")

    monkeypatch.setattr(Training, "batch", train)


SMALLEST: dict[str, tuple[Callable[[], tuple[Any, Any]], str]] = {
    "unordered indexes": (lambda: (FRAME, SERIES[::-1]), "Expected u with the index of x"),
    "interleaved series": (
        lambda: (X[:10], History(1, series=[0, 1] * 5)),
        "rows of each series together; got series 0 in row 2 again",
    ),
    "series of one row": (
        lambda: (X, History(1, series=np.arange(200))),
        "a past in at least 10 rows of x; got 0. Take fewer lags",
    ),
    "NA among labels": (lambda: (X, [pd.NA, *U[1:]]), "1 missing, the first in row 0"),
    "columns of a stream": (
        lambda: (iter([(FRAME, U), (FRAME[["right", "left"]], U)]), None),
        "x in part 1 with the columns",
    ),
}


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("case", SMALLEST)
def test_the_smallest_inputs_are_refused_before_training(
    case: str, make: Callable[..., Estimator]
) -> None:
    data, message = SMALLEST[case]
    with pytest.raises(ValueError, match=message):
        make().fit(*data())


# Columns of x by their names --------------------------------------------------------------------

NAMES: dict[str, list[Any]] = {
    "numbers": [7, 3],
    "numbers from 0 on": [0, 1],
    "numbers from 0 on, turned": [1, 0],
    "tuples": [("a", 1), ("a", 2)],
    "dates": [pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")],
    "words and numbers": ["a", 1],
}


@pytest.mark.parametrize("case", NAMES)
def test_columns_in_another_order_are_refused_whatever_their_names(case: str, tmp_path) -> None:
    frame = pd.DataFrame(X)
    frame.columns = (
        pd.Index(NAMES[case]) if case != "tuples" else pd.MultiIndex.from_tuples(NAMES[case])
    )
    flow = MAKE["IFlow"]().fit(frame, U)
    flow.save(tmp_path / "flow")
    for fit in (flow, IFlow.load(tmp_path / "flow")):
        with pytest.raises(ValueError, match="Expected x with the columns .* same names, same ord"):
            fit.log_prob(frame.iloc[:, ::-1], U)
        np.testing.assert_array_equal(fit.log_prob(frame, U), fit.log_prob(X, U))


def test_frames_without_names_are_taken_by_position(fits: dict[str, Estimator]) -> None:
    expected = fits["IFlow"].log_prob(X, U)
    np.testing.assert_array_equal(fits["IFlow"].log_prob(pd.DataFrame(X), U), expected)
    flow = MAKE["IFlow"]().fit(pd.DataFrame(X), U)
    assert not hasattr(flow, "feature_names_in_")
    np.testing.assert_array_equal(flow.log_prob(FRAME, U), expected)


def test_a_fit_to_a_stream_of_frames_knows_its_columns() -> None:
    def parts() -> Iterator[tuple[Any, Any]]:
        for first in range(0, 200, 50):
            yield FRAME[first : first + 50], SERIES[first : first + 50]

    flow = MAKE["IFlow"]().fit(parts())
    assert list(flow.feature_names_in_) == ["left", "right"]
    with pytest.raises(ValueError, match="Expected x with the columns"):
        flow.transform(FRAME[["right", "left"]])


def test_tables_of_pyarrow_are_fitted_as_frames_are(fits: dict[str, Estimator]) -> None:
    x, u = pa.Table.from_pandas(FRAME, preserve_index=False), pa.table({"u": U})
    flow = MAKE["IFlow"]().fit(x, u)
    assert list(flow.feature_names_in_) == ["left", "right"]
    np.testing.assert_array_equal(flow.log_prob(x, u), fits["IFlow"].log_prob(X, U))
    np.testing.assert_array_equal(flow.sample(u, seed=1), fits["IFlow"].sample(U, seed=1))


# What u is, in fit and after --------------------------------------------------------------------


def test_declared_floats_are_labels_for_fit_sample_and_log_prob(make: Callable) -> None:
    dose = np.array([0.5, 1.0, 2.0, 4.0, 8.0])[U % 5]
    fit = make().fit(X, pd.Categorical(dose))
    assert fit.auxiliary_.labels == [0.5, 1.0, 2.0, 4.0, 8.0]
    for u in (dose, pd.Series(dose), pd.Categorical(dose), Labels(dose)):
        np.testing.assert_array_equal(fit.sample(u, seed=1), fit.sample(dose.tolist(), seed=1))
        np.testing.assert_array_equal(fit.log_prob(X, u), fit.log_prob(X, dose.tolist()))


ALONE: dict[str, Any] = {
    "numbers of rows": np.arange(200),
    "names": [f"id {i}" for i in range(200)],
    "times": pd.date_range("2020-01-01", periods=200, freq="min"),
}


@pytest.mark.parametrize("case", ALONE)
def test_labels_of_one_row_are_remarked_on(case: str) -> None:
    message = r"a label of its own for each of 200 rows out of 200.* pass Continuous\(u\)"
    with pytest.warns(IdentifiabilityWarning, match=message) as record:
        MAKE["IVAE"]().fit(X, ALONE[case])
    assert {warning.filename for warning in record} == {__file__}


def test_labels_of_two_rows_are_remarked_on_and_of_five_not() -> None:
    with pytest.warns(InputWarning, match="Labels of u with fewer than 5 rows: 0 .2., 1 .2., "):
        MAKE["IVAE"]().fit(X, np.arange(200) // 2)
    MAKE["IVAE"]().fit(X, np.arange(200) // 5)


def test_densities_beyond_the_range_of_u_are_those_at_its_edge() -> None:
    """Of a network that λ(u) was not held for, hundreds of nats are lost."""
    when = np.linspace(0, 1, 200)
    fit = MAKE["IVAE"]().fit(X, when)
    edge = fit.log_prob(X, np.ones(200))
    for size in (1.5, 10, 1e6):
        with pytest.warns(InputWarning, match="column 0 that was 0 to 1, here it is") as record:
            beyond = fit.log_prob(X, np.full(200, size))
        np.testing.assert_array_equal(beyond, edge)
        assert {warning.filename for warning in record} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit.log_prob(X, when)


# Time -------------------------------------------------------------------------------------------


def test_segments_of_other_rows_are_refused(make: Callable) -> None:
    fit = make().fit(X[:150], TimeSegments(10))
    fit.log_prob(X[:150], TimeSegments(10))
    for other in (X[150:], X[50:]):
        with pytest.raises(
            ValueError, match="of the very rows of fit, which had 10 segments of 15"
        ):
            fit.log_prob(other, TimeSegments(10))


@pytest.mark.parametrize("lags", [1, 3])
def test_rows_without_a_past_are_in_no_batch(lags: int) -> None:
    """Of the first of these u would be x itself."""
    x = X.copy()
    x[np.r_[:lags, 100 : 100 + lags]] += 1e6  # standardised, 5 and more
    stage = next(MAKE["IVAE"]().plan(x, History(lags, np.repeat([0, 1], 100))))
    rows = np.concatenate([stage.x, stage.x_held_out])
    assert len(rows) == 200 - 2 * lags and np.abs(rows).max() < 5


def test_many_rows_without_a_past_are_remarked_on() -> None:
    with pytest.warns(InputWarning, match="u leaves 80 of 200 rows out, whose past is not in x"):
        MAKE["IVAE"]().fit(X, History(2, np.repeat(np.arange(40), 5)))


def test_dates_as_continuous_values_are_those_in_any_unit() -> None:
    days = np.datetime64("2020-01-01") + np.arange(200)
    flow = MAKE["IVAE"]().fit(X, Continuous(days.astype("M8[ns]")))
    expected = flow.log_prob(X, Continuous(days))
    np.testing.assert_array_equal(flow.log_prob(X, Continuous(pd.Series(days))), expected)
