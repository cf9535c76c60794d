"""A fit is what it was when it was made: no file, option or array that changes, changes it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from identiflow.ivae import IVAE
from identiflow.shared.auxiliary import History
from identiflow.shared.estimators.base import Estimator

Array = np.ndarray
Make = Callable[..., Estimator]


def results_of(estimator: Estimator, x: Array, u: Array) -> list[Array]:
    """What the methods of a fit give, all of them that take x and u."""
    return [
        estimator.transform(x, u),
        estimator.log_prob(x, u),
        estimator.inverse_transform(estimator.transform(x, u)),
        estimator.sample(u, seed=1),
        estimator.transport(x, u, u[::-1]),
        np.asarray(estimator.score(x, u)),
    ]


def assert_same(results: list[Array], others: list[Array]) -> None:
    for result, other in zip(results, others, strict=True):
        np.testing.assert_array_equal(result, other)


def test_a_loaded_fit_does_not_change_with_its_file(
    make: Make, x: Array, u: Array, tmp_path: Path
) -> None:
    path, other = tmp_path / "live", tmp_path / "other"
    make().fit(x, u).save(path)
    make(seed=3).fit(5 * x + 1, u).save(other)
    loaded = type(make()).load(path)
    before = results_of(loaded, x, u)
    with path.open("r+b") as file:  # in place, as copying over it does
        file.write(other.read_bytes())
    assert_same(results_of(loaded, x, u), before)
    os.truncate(path, 10)
    assert_same(results_of(loaded, x, u), before)


def test_a_fit_does_not_change_with_the_options_of_its_estimator(
    make: Make, x: Array, u: Array
) -> None:
    estimator = make().fit(x, u)
    before = results_of(estimator, x, u)
    for name in estimator.get_params():
        setattr(estimator, name, object())
    assert_same(results_of(estimator, x, u), before)


def test_a_fit_does_not_change_with_the_arrays_it_was_made_of(
    make: Make, x: Array, u: Array
) -> None:
    given = x.copy(), u.copy()
    estimator = make().fit(*given)
    before = results_of(estimator, x, u)
    for array in given:
        array[:] = 0
    assert_same(results_of(estimator, x, u), before)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int16, ">f4", np.longdouble])
def test_a_past_on_disk_is_the_one_in_memory(dtype: type, make: Make, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(500, 300, (2000, 2)).astype(dtype)
    mapped = np.memmap(tmp_path / "x", dtype, "w+", shape=values.shape)
    mapped[:] = values
    on_disk, in_memory = (
        make(max_steps=4).fit(rows, History(1)).auxiliary_
        for rows in (mapped, values.astype(float))
    )
    np.testing.assert_allclose(on_disk.mean, in_memory.mean, rtol=1e-9)
    np.testing.assert_allclose(on_disk.scale, in_memory.scale, rtol=1e-9)


@pytest.mark.parametrize("kind", ["labels", "continuous"])
def test_an_encoder_sees_the_u_that_the_prior_ignores(kind: str, x: Array, u: Array) -> None:
    values = u if kind == "labels" else u / 7.0
    vae = IVAE(1, informative=0, encoder_sees_u=True, hidden=(8,), max_steps=20, compile=False).fit(
        x, values
    )
    assert np.abs(vae.transform(x, values) - vae.transform(x, values[::-1])).max() > 1e-6
    rows = [vae.transform(x[[i]], values[[i]]) for i in range(5)]
    np.testing.assert_allclose(np.concatenate(rows), vae.transform(x, values)[:5], rtol=1e-9)
    with pytest.raises(ValueError, match="Expected u.* got None"):
        vae.transform(x)


def test_an_encoder_sees_no_u_that_is_not_read(x: Array, u: Array) -> None:
    vae = IVAE(1, prior="unconditional", encoder_sees_u=True)
    with pytest.raises(ValueError, match="Expected encoder_sees_u=False .* Pass informative=0"):
        vae.fit(x, u)


@pytest.mark.skipif(os.name == "nt", reason="files have no modes there")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_that_is_written_again_stays_as_private(
    mode: int, fitted: Estimator, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    fitted.save(path)
    path.chmod(mode)
    fitted.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
