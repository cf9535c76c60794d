"""Tables as people have them, which were once misread without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from identiflow.iflow import IFlow
from identiflow.shared.auxiliary import History, TimeSegments
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.inputs.density import DensityWarning
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.shared.inputs.validation import as_matrix
from identiflow.shared.metrics import agreement, mean_corr_coef, within_group_mean_corr_coef

Array = np.ndarray
RNG = np.random.default_rng(0)
SHUFFLED = {"frac": 1.0, "random_state": 0}
DAYS = pd.date_range("2020", periods=200)
FLOW: dict[str, Any] = {"n_layers": 1, "hidden": (4,), "max_steps": 2}


@pytest.fixture
def frame(x: Array) -> pd.DataFrame:
    return pd.DataFrame(x, columns=["a", "b"])


def test_latents_go_back_by_their_names(frame: pd.DataFrame, u: Array) -> None:
    flow = IFlow(**FLOW).fit(frame, u).set_output(transform="pandas")
    z = flow.transform(frame)
    np.testing.assert_allclose(flow.inverse_transform(z), frame, atol=1e-9)
    for other in (z[["z1", "z0"]], frame):
        with pytest.raises(ValueError, match=r"z with the columns \['z0', 'z1'\], in this order"):
            flow.inverse_transform(other)


@pytest.mark.parametrize("made", [TimeSegments(6), History(1)])
def test_rows_out_of_time_are_no_series(made: Any, frame: pd.DataFrame) -> None:
    dated = frame.set_axis(DAYS)
    with pytest.raises(ValueError, match=r"index goes back, first in row \d+. Pass x.sort_index"):
        IFlow(**FLOW).fit(dated.sample(**SHUFFLED), made)
    with pytest.warns(InputWarning, match="if the index is no time"):
        IFlow(**FLOW).fit(frame.sample(**SHUFFLED), made)
    IFlow(**FLOW).fit(dated, made)


SCORES: dict[str, Callable[[pd.DataFrame, pd.DataFrame], Any]] = {
    "mcc": mean_corr_coef,
    "agreement": lambda a, b: agreement([a, b]),
    "groups": lambda a, b: within_group_mean_corr_coef(a, a, (b["a"] > 0).rename("u")),
}


@pytest.mark.parametrize("score", SCORES)
def test_scores_pair_rows_by_their_index(score: str, frame: pd.DataFrame) -> None:
    SCORES[score](frame, frame)
    with pytest.raises(ValueError, match="with the index of .*, in the same order"):
        SCORES[score](frame, frame.sample(**SHUFFLED))


@pytest.mark.parametrize("moments", [DAYS, DAYS - DAYS[0]])
def test_moments_of_arrow_are_no_measurements(moments: Any, frame: pd.DataFrame) -> None:
    table = pa.table({"a": frame["a"], "when": pa.array(moments)})
    with pytest.raises(ValueError, match="got dates or times.* It is column 'when'"):
        as_matrix(table)


def test_an_array_that_could_be_lazy_and_is_not_is_read(x: Array) -> None:
    class Computed(list):
        def __dask_graph__(self) -> None:
            return None

    class Lazy:
        def __dask_graph__(self) -> dict:
            return {}

    np.testing.assert_array_equal(as_matrix(Computed(x.tolist())), x)
    with pytest.raises(TypeError, match="Pass its compute"):
        as_matrix(Lazy())


def test_a_missing_cell_of_a_nullable_column_is_missing(frame: pd.DataFrame) -> None:
    frame = frame.astype("Float64")
    frame.iloc[3, 1] = pd.NA
    with pytest.raises(ValueError, match=r"1 NaN.* at \(3, 1\), in column 'b'. Drop or impute"):
        as_matrix(frame)


def test_copies_of_rows_are_remarked_on(x: Array, u: Array) -> None:
    rows = np.arange(200) % 150
    with pytest.warns(DensityWarning, match="25 % of the rows of x are copies of others"):
        IFlow(**FLOW).fit(x[rows], u[rows])


def test_a_column_of_u_in_x_is_refused(make: Callable[..., Estimator], x: Array) -> None:
    time = RNG.random(200)
    with pytest.raises(ValueError, match="column 2, which is a linear function of column 0 of u"):
        IFlow(**FLOW).fit(np.c_[x, 9 - 5 * time], time)
    IFlow(**FLOW).fit(np.c_[x, time + 0.01 * RNG.standard_normal(200)], time)
