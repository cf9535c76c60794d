"""One fit of one method, held-out rows only, as a row of a table."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.protocol.table import Row
from identiflow.shared.datasets import Dataset, find_folder
from identiflow.shared.datasets.files import registry
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.shared.metrics import mean_corr_coef

Score = Callable[[Dataset, NDArray[np.float64]], float]


class Split(NamedTuple):
    """Rows to fit on and rows to score on."""

    train: Dataset
    test: Dataset


def pooled_mcc(data: Dataset, z: NDArray[np.float64]) -> float:
    """MCC over all rows."""
    return mean_corr_coef(data.z, z, allow_unequal=True)


def fit_row(method: str, estimator: Any, split: Split, score: Score = pooled_mcc) -> Row:
    """Fit an estimator on the training rows; score it on the others."""
    return evaluate(method, estimator, split, score)[0]


def evaluate(
    method: str, estimator: Any, split: Split, score: Score = pooled_mcc
) -> tuple[Row, NDArray[np.float64]]:
    """`fit_row`, and the latents of the test rows."""
    train, test = split
    started = time.perf_counter()
    estimator.fit(train.x, train.u)
    seconds = time.perf_counter() - started
    with warnings.catch_warnings():
        # Of other rows some have a u beyond that of fit, or no past; they count as they are.
        warnings.simplefilter("ignore", InputWarning)
        z = estimator.transform(test.x, test.u)
        nats = estimator.score(test.x, test.u) if hasattr(estimator, "score") else None
    row = Row(
        data=train.name,
        method=method,
        mcc=None if test.z is None else score(test, z),
        nats=nats,
        oracle=oracle_nats(test),
        round_trip=getattr(estimator, "round_trip_error_", None),
        seconds=seconds,
    )
    return row, z


def oracle_nats(data: Dataset) -> float | None:
    """The true model's mean log p(x | u), where it can be computed."""
    log_prob = getattr(data, "oracle_log_prob", None)
    return None if log_prob is None else float(np.mean(log_prob))


def has_data(*names: str) -> bool:
    """True if the files of these real data sets are in a folder of this machine."""
    return all(_has_files(name) for name in names)


def _has_files(name: str) -> bool:
    folder = find_folder(name)
    files = (key.partition("/")[2] for key in registry() if key.startswith(f"{name}/"))
    return folder is not None and all((folder / file).is_file() for file in files)
