"""The matrix of estimators, the data they are fitted to, and what they are compared by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from identiflow.iflow import IFlow, linear, spline_coupling_flow
from identiflow.ivae import IVAE, start
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.priors import fitting
from identiflow.shared.priors.fitting import minimize
from identiflow.shared.training.training import Training

Make = Callable[..., Estimator]
Context = AbstractContextManager[None]

SMALL: dict[str, Any] = {"hidden": (16,), "max_steps": 24, "batch_size": 64}
ESTIMATORS: dict[str, Make] = {
    "IFlow": partial(IFlow, n_layers=2, **SMALL),
    "IVAE, n = d": partial(IVAE, 2, n_samples=2, warm_steps=6, **SMALL),
    "IVAE, n < d": partial(IVAE, 1, n_samples=2, **SMALL),
}


@pytest.fixture(scope="session")
def small_starts(few_iterations: Callable[[], Context]) -> Callable[[], Context]:
    """A context in which what a fit starts from is as small as the others here."""

    @contextmanager
    def small() -> Iterator[None]:
        with few_iterations(), pytest.MonkeyPatch.context() as patch:
            flow = partial(spline_coupling_flow, n_layers=2, hidden=(16,))
            patch.setattr(start, "spline_coupling_flow", flow)
            yield

    return small


@pytest.fixture(scope="module", autouse=True)
def _every_start_is_small(small_starts: Callable[[], Context]) -> Iterator[None]:
    with small_starts():
        yield


@pytest.fixture
def whole_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a fit starts from is what it is for everyone, processes of their own among them."""
    monkeypatch.setattr(start, "spline_coupling_flow", spline_coupling_flow)
    for module in (fitting, linear):
        monkeypatch.setattr(module, "minimize", minimize)


@pytest.fixture(scope="session")
def xu() -> tuple[np.ndarray, np.ndarray]:
    """200 rows of 2 columns and their 10 labels, in no order."""
    data = nonstationary_sources(2, n_segments=10, samples_per_segment=20, seed=1)
    order = np.random.default_rng(0).permutation(200)
    # Numbers that single precision holds too, so that data in any form is the same data.
    return data.x[order].astype(np.float32).astype(np.float64), data.u[order]


@pytest.fixture
def x(xu: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return xu[0].copy()


@pytest.fixture
def u(xu: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return xu[1].copy()


@pytest.fixture(params=ESTIMATORS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(name: str) -> Make:
    """An estimator that is not fitted, with the changes asked for."""
    return ESTIMATORS[name]


@pytest.fixture(scope="session")
def fits(
    xu: tuple[np.ndarray, np.ndarray], small_starts: Callable[[], Context]
) -> dict[str, Estimator]:
    """Each estimator, fitted once; tests must not change them."""
    with small_starts():
        return {name: build().fit(*xu) for name, build in ESTIMATORS.items()}


@pytest.fixture(scope="session")
def fit_once(xu: tuple[np.ndarray, np.ndarray], small_starts: Callable[[], Context]) -> Make:
    """A fit of the estimator of that name with such changes; tests must not change it."""

    @cache
    def fit(name: str, **changes: Any) -> Estimator:
        with small_starts():
            return ESTIMATORS[name](**changes).fit(*xu)

    return fit


@pytest.fixture
def fitted(name: str, fits: dict[str, Estimator]) -> Estimator:
    return fits[name]


@pytest.fixture
def latent_dim(name: str) -> int:
    return 1 if name == "IVAE, n < d" else 2


@pytest.fixture(scope="session")
def outputs(xu: tuple[np.ndarray, np.ndarray]) -> Callable[..., dict[str, np.ndarray]]:
    """All that a fitted estimator computes from data, by name."""

    def compute(estimator: Estimator, x: Any = xu[0], u: Any = xu[1]) -> dict[str, np.ndarray]:
        z = estimator.transform(x, u)
        return {
            "transform": z,
            "inverse_transform": estimator.inverse_transform(z),
            "log_prob": estimator.log_prob(x, u),
            "sample": estimator.sample(u, seed=5),
        }

    return compute


@pytest.fixture
def assert_same_bits(
    outputs: Callable[..., dict[str, np.ndarray]],
) -> Callable[[Estimator, Estimator], None]:
    """Two fitted estimators compute the same from the same data."""

    def compare(a: Estimator, b: Estimator) -> None:
        expected = outputs(b)
        for name, got in outputs(a).items():
            np.testing.assert_array_equal(got, expected[name], err_msg=name)

    return compare


@pytest.fixture
def interrupted_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager]:
    """A context for n steps, with the interruption of training expected after the last."""

    @contextmanager
    def interrupt(n_steps: int) -> Iterator[None]:
        update, left = Training.update, iter(range(n_steps))

        def or_stop(training: Training, *args: Any) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            update(training, *args)

        monkeypatch.setattr(Training, "update", or_stop)
        with pytest.raises(KeyboardInterrupt):
            yield
        monkeypatch.setattr(Training, "update", update)

    return interrupt
