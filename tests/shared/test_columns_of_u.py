"""Columns of several types in one u: each is read as it would be alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from identiflow.shared.auxiliary import AuxiliaryEncoder, Continuous, Labels, Mixed

FittedOn = Callable[..., AuxiliaryEncoder]
CodesOf = Callable[..., list[Any]]
N = 12
CODES = np.arange(N) % 3
TIMES = np.datetime64("2020-02-28", "ns") + CODES * np.timedelta64(1, "D")
DAYS: dict[str, Any] = {
    "datetime64[ns]": TIMES,
    "datetime64[s]": TIMES.astype("M8[s]"),
    "dates": TIMES.astype("M8[D]").astype(object).tolist(),
    "Timestamps": list(map(pd.Timestamp, TIMES)),
}


@pytest.mark.parametrize("precision", ["f2", "f4", "f8", "Float32"])
@pytest.mark.parametrize("arrow", [False, True])
def test_tenths_in_combinations_are_the_same_labels(
    fitted_on: FittedOn, codes_of: CodesOf, precision: str, arrow: bool
) -> None:
    frame = pd.DataFrame({"who": list("abcd") * 3, "dose": (CODES + 1) / 10, "day": DAYS["dates"]})
    encoder = fitted_on(Labels(frame))
    other = frame.astype({"dose": precision})
    u = Labels(pa.Table.from_pandas(other) if arrow else other)
    assert codes_of(u, encoder) == codes_of(Labels(frame), encoder)


@pytest.mark.parametrize("form", ["datetime64[ns]", "datetime64[s]", "dates", "Timestamps"])
def test_columns_of_moments_and_numbers_are_continuous_each_by_itself(
    fitted_on: FittedOn, codes_of: CodesOf, form: str
) -> None:
    dose = np.linspace(0, 1, N)
    day = codes_of(Continuous(DAYS[form]), fitted_on(Continuous(DAYS[form])))
    frame = pd.DataFrame({"day": DAYS[form], "dose": dose, "n": CODES})
    forms = (frame, frame.astype(object), pa.Table.from_pandas(frame), frame.to_numpy().tolist())
    for u in map(Continuous, forms):
        codes = np.array(codes_of(u, fitted_on(Continuous(frame))))
        np.testing.assert_allclose(codes[:, :1], day)
        np.testing.assert_allclose(codes[:, 1], (dose - dose.mean()) / dose.std())
        assert fitted_on(Mixed(CODES, u)).aux_dim == 3
    with pytest.raises(ValueError, match="'a' in row 0, column 1"):
        fitted_on(Continuous(frame.assign(dose="a")))
