"""Laws of Bayes' rule over labels, and of rows carried from one u to another."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from identiflow.iflow import IFlow
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.estimators.base import Estimator

Array = np.ndarray
Make = Callable[..., Estimator]
LABELS = ["a", "b", "c", "d", "e"]
# The labels in unequal shares, five to a quarter of the rows.
U = np.repeat(LABELS, [10, 30, 40, 50, 70])


@pytest.fixture
def of_letters(make: Make, x: Array) -> Estimator:
    return make(max_steps=4).fit(x, U)


def test_u_is_summed_out_and_inferred_by_bayes_rule(of_letters: Estimator, x: Array) -> None:
    each = np.stack([of_letters.log_prob(x, [label] * 200) for label in LABELS], axis=1)
    joint = np.exp(each) * np.array([10, 30, 40, 50, 70]) / 200
    np.testing.assert_allclose(of_letters.log_prob(x), np.log(joint.sum(1)))
    posterior = of_letters.predict_aux_proba(x)
    np.testing.assert_allclose(posterior, joint / joint.sum(1, keepdims=True))
    assert of_letters.auxiliary_.labels == LABELS
    assert posterior.std(0).min() > 1e-3  # it says something of the rows


def test_a_file_keeps_the_shares_of_labels(of_letters: Estimator, x: Array, tmp_path) -> None:
    of_letters.save(tmp_path / "model.safetensors")
    again = type(of_letters).load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.log_prob(x), of_letters.log_prob(x))


def test_transport_moves_quantiles_of_the_latents(of_letters: Estimator, x: Array) -> None:
    new = np.roll(U, 3)
    z = of_letters.prior_.transport(
        *(torch.from_numpy(of_letters.transform(x, U)), encoded(U), encoded(new))
    )
    carried = of_letters.transport(x, U, new)
    np.testing.assert_allclose(carried, of_letters.inverse_transform(z.numpy()))
    assert np.abs(carried - x)[U != new].max() > 1e-3
    one = of_letters.transport(x, U, "b")
    for same in (["b"] * 200, b"b", np.str_("b"), np.array("b")):
        np.testing.assert_array_equal(of_letters.transport(x, U, same), one)


def test_one_label_in_any_form_is_that_of_all_rows(make: Make, x: Array, u: Array) -> None:
    estimator = make(max_steps=2).fit(x, u)
    expected = estimator.transport(x, u, np.full(200, 3))
    for label in (3, np.int64(3), np.array(3), torch.tensor(3)):
        np.testing.assert_array_equal(estimator.transport(x, u, label), expected)


@pytest.mark.parametrize(
    "moments",
    [
        pd.Series(pd.date_range("2024-01-30", periods=4)),
        pd.Series(pd.period_range("2024-01", periods=4, freq="M")),
        pd.Series(pd.to_timedelta(range(4), unit="h")),
        pd.Series(pd.interval_range(0, 4)),
        pd.Series([date(2024, 1, day) for day in range(28, 32)]),
    ],
    ids=lambda moments: type(moments[0]).__name__,
)
def test_one_moment_is_that_of_all_rows(moments: pd.Series, x: Array) -> None:
    u = moments[np.arange(200) % 4].reset_index(drop=True)
    estimator = IFlow(n_layers=1, hidden=(8,), max_steps=2, informative=1).fit(x, u)
    expected = estimator.transport(x, u, u[np.full(200, 3)].reset_index(drop=True))
    np.testing.assert_array_equal(estimator.transport(x, u, u[3]), expected)


@pytest.mark.parametrize("options", [{"n_sampels": 3}, {"u": 3, "n": 1}])
def test_options_that_log_prob_does_not_have_are_refused(
    options: dict[str, int], of_letters: Estimator, x: Array
) -> None:
    with pytest.raises(TypeError, match="Expected options that log_prob has; got n"):
        of_letters.predict_aux_proba(x, **options)


def encoded(u: Array) -> torch.Tensor:
    return torch.tensor([LABELS.index(label) for label in u])


def test_quantiles_are_those_of_the_prior(of_letters: Estimator, x: Array) -> None:
    quantiles = of_letters.quantiles(x, U, seed=1)
    assert quantiles.shape == (200, of_letters.prior_.latent_dim)
    np.testing.assert_array_equal(quantiles, of_letters.quantiles(x, U, seed=1))
    if isinstance(of_letters, IFlow):
        z = torch.from_numpy(of_letters.transform(x))
        np.testing.assert_allclose(quantiles, of_letters.prior_.cdf(z, encoded(U)))
    else:
        assert (quantiles != of_letters.quantiles(x, U, seed=2)).all()


def test_a_flow_carries_rows_there_and_back(x: Array) -> None:
    flow = IFlow(n_layers=2, hidden=(16,), max_steps=20).fit(x, U)
    new = np.roll(U, 60)
    there = flow.transport(x, U, new)
    np.testing.assert_allclose(flow.transport(there, new, U), x, atol=1e-6)
    np.testing.assert_allclose(flow.transport(x, U, U), x, atol=1e-6)
    before = flow.prior_.cdf(torch.from_numpy(flow.transform(x)), encoded(U))
    after = flow.prior_.cdf(torch.from_numpy(flow.transform(there)), encoded(new))
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)


def test_labels_are_inferred_from_rows_that_fit_has_not_seen() -> None:
    data = nonstationary_sources(2, 5, 200, n_layers=1, centered=False, seed=1)
    train, test = data.split(0.5, seed=0)
    flow = IFlow(n_layers=2, hidden=(16,), max_steps=50).fit(train.x, train.u)
    probabilities = flow.predict_aux_proba(test.x)
    hits = probabilities.argmax(1) == test.u
    assert hits.mean() > 0.5  # chance is a fifth
    # Calibrated: hits are as many as they were likely, within four standard errors.
    certainty = probabilities.max(1)
    error = np.sqrt((certainty * (1 - certainty)).mean() / len(hits))
    assert abs(hits.mean() - certainty.mean()) < 4 * error


def test_summing_u_out_takes_the_memory_of_one_label() -> None:
    x, u = np.random.default_rng(0).standard_normal((4000, 2)), np.arange(4000) % 200
    flow = IFlow(n_layers=1, hidden=(4,), max_steps=1).fit(x, u)
    tracemalloc.start()
    flow.log_prob(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x[:, 0].nbytes * 200 / 4


@pytest.mark.parametrize("method", ["log_prob", "predict_aux_proba"])
def test_a_continuous_u_cannot_be_summed_out(method: str, make: Make, x: Array) -> None:
    fit = make(max_steps=2).fit(x, np.linspace(0, 1, 200))
    with pytest.raises(ValueError, match="fitted with labels as u.* got .*continuous"):
        getattr(fit, method)(x)


def test_without_a_u_there_is_none_to_infer(make: Make, x: Array, u: Array) -> None:
    fit = make(max_steps=2, prior="unconditional").fit(x)
    assert np.isfinite(fit.log_prob(x)).all()
    with pytest.raises(ValueError, match="fitted with labels as u.* got .* no u"):
        fit.predict_aux_proba(x)


@pytest.mark.parametrize("u_new", [["a"], ["a", "z"], "z", ("a", "b")])
def test_errors_of_the_new_u_name_it(u_new: Any, of_letters: Estimator, x: Array) -> None:
    letters = np.array(of_letters.auxiliary_.labels)[np.arange(len(x)) % 3]
    with pytest.raises(ValueError, match="Expected u_new to be read as u is"):
        of_letters.transport(x, letters, u_new)
