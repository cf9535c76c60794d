"""Laws of scikit-learn's protocol, and of priors and kinds of u in every estimator."""

from __future__ import annotations

import contextlib
import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from identiflow.iflow import IFlow, MaskedAutoregressive
from identiflow.ivae import IVAE, GaussianLikelihood
from identiflow.shared import training
from identiflow.shared.auxiliary import Continuous, Fourier, History, Mixed, TimeSegments
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.identifiability import IdentifiabilityWarning
from identiflow.shared.priors import GaussianPrior

Array = np.ndarray
Make = Callable[..., Estimator]


def test_parameters_are_read_changed_and_cloned(make: Make) -> None:
    estimator = make(seed=7)
    assert estimator.get_params()["seed"] == 7
    assert estimator.set_params(max_steps=11, seed=8) is estimator
    copied = clone(estimator)
    assert type(copied) is type(estimator) and copied.get_params() == estimator.get_params()
    assert (copied.max_steps, copied.seed) == (11, 8)
    assert "max_steps=11" in repr(copied) and "batch_size=64" in repr(copied)
    assert "patience" not in repr(copied)
    message = "Expected parameters among .*'max_steps'.*; got 'nonsense'"
    with pytest.raises(ValueError, match=message):
        estimator.set_params(nonsense=1)


def stages_of(plan: training.Plan) -> list[training.Stage]:
    """What a plan asks for, as if all of it had been trained."""
    stages = [next(plan)]
    with contextlib.suppress(StopIteration):
        while True:
            done = training.History(stages[-1].model.loss_name, held_out_loss=[math.nan])
            stages.append(plan.send(done))
    return stages


def test_options_of_training_reach_it(make: Make, x: Array, u: Array) -> None:
    options = {"batch_size": 50, "weight_decay": 0.3, "patience": 7, "seed": 8}
    *starts, last = stages_of(make(**options).plan(x, u))
    assert {option: getattr(last, option) for option in options} == options
    for stage in starts:
        assert (stage.batch_size, stage.seed) == (256, 8)


def test_the_flow_that_a_vae_starts_from_is_trained_as_by_default(x: Array, u: Array) -> None:
    flow, *_ = stages_of(IVAE(2, weight_decay=0.3).plan(x, u))
    assert (flow.learning_rate, flow.weight_decay) == (IFlow().learning_rate, IFlow().weight_decay)


def test_a_clone_is_not_fitted(
    fitted: Estimator, x: Array, u: Array, assert_same_bits: Callable
) -> None:
    check_is_fitted(fitted)
    copied = clone(fitted)
    with pytest.raises(NotFittedError):
        check_is_fitted(copied)
    assert_same_bits(copied.fit(x, u), fitted)


def test_fit_leaves_parameters_alone(
    name: str, make: Make, x: Array, u: Array, latent_dim: int, outputs: Callable
) -> None:
    """A prior, transform or likelihood of one's own is copied, so a fit can be repeated."""
    own: dict[str, Any] = {"prior": GaussianPrior(latent_dim, n_labels=10)}
    if name == "IFlow":
        own["architecture"] = MaskedAutoregressive(2, hidden=(8,))
    else:
        own["likelihood"] = GaussianLikelihood(2)
    before = {key: copy.deepcopy(part.state_dict()) for key, part in own.items()}
    estimator = make(**own).fit(x, u)
    first = outputs(estimator)
    for key, part in own.items():
        assert estimator.get_params()[key] is part
        for entry, tensor in part.state_dict().items():
            assert torch.equal(tensor, before[key][entry]), f"{key}: {entry}"
        assert all(parameter.requires_grad for parameter in part.parameters())
    for key, values in outputs(estimator.fit(x, u)).items():
        np.testing.assert_array_equal(values, first[key], err_msg=key)


def test_a_pipeline_ends_in_an_estimator(make: Make, x: Array, u: Array) -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("model", make())]).fit(x, u)
    scaled = StandardScaler().fit_transform(x)
    alone = make().fit(scaled, u)
    np.testing.assert_array_equal(pipeline.transform(x), alone.transform(scaled, u))
    assert pipeline.score(x, u) == alone.score(scaled, u)


def test_a_grid_search_ranks_by_log_density(make: Make, x: Array, u: Array) -> None:
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(make(), {"max_steps": [1, 40]}, cv=folds, error_score="raise")
    search.fit(x, u)
    assert search.best_params_ == {"max_steps": 40}
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.score(x, u) == search.best_estimator_.score(x, u)


# Priors and kinds of u ---------------------------------------------------------------------------

PRIORS_BY_NAME = [
    "mean_and_scale",
    "scale",
    "mean",
    "laplace",
    "exponential_family",
    "mixture",
    "unconditional",
]
TIME = np.linspace(-1, 1, 200)
READINGS_OF_U: dict[str, Callable[[Array], Any]] = {
    "labels": lambda u: u,
    "Continuous": lambda _: Continuous(np.stack([TIME, TIME**2], axis=1)),
    "Mixed": lambda u: Mixed(u % 3, TIME),
    "TimeSegments": lambda _: TimeSegments(12),
    "Fourier": lambda _: Fourier(TIME, period=1.0),
    "History": lambda _: History(lags=2, series=np.arange(200) // 50),
}
PAIRS = [
    *(("labels", prior) for prior in PRIORS_BY_NAME),
    *((reading, "mean_and_scale") for reading in READINGS_OF_U if reading != "labels"),
    ("Continuous", "laplace"),
    ("Mixed", "exponential_family"),
    ("History", "unconditional"),
]


@pytest.mark.filterwarnings("ignore:u = History has no whole past")
@pytest.mark.parametrize(("reading", "prior"), PAIRS)
@pytest.mark.parametrize("name", ["IFlow", "IVAE, n < d"])
def test_every_prior_and_every_kind_of_u_will_do(
    reading: str, prior: str, make: Make, x: Array, u: Array, latent_dim: int
) -> None:
    u = READINGS_OF_U[reading](u)
    fit = make(prior=prior, max_steps=3).fit(x, u)
    assert np.isfinite(fit.log_prob(x, u)).all()
    assert fit.check_identifiability(u, x).modulation.shape == (latent_dim,)
    if reading not in ("TimeSegments", "History"):
        assert fit.sample(u).shape == (200, 2)
    elif prior != "unconditional":
        with pytest.raises(ValueError, match="Expected u with rows of its own.*not passed"):
            fit.sample(u)


def test_an_unconditional_fit_needs_no_u(make: Make, x: Array, u: Array) -> None:
    fit = make(prior="unconditional").fit(x)
    np.testing.assert_array_equal(fit.log_prob(x, None), fit.log_prob(x, u))
    assert not fit.check_identifiability(u).satisfied


@pytest.mark.parametrize("name", ["IFlow", "IVAE, n = d"])
def test_nuisance_latents_do_not_depend_on_u(make: Make, x: Array, u: Array) -> None:
    fit = make(informative=1).fit(x, u)
    scale = fit.prior_(torch.arange(10)).stddev
    assert (scale[:, 0].diff().abs() > 1e-9).all() and (scale[:, 1].diff().abs() < 1e-12).all()


def test_too_few_values_of_u_are_a_warning(make: Make, x: Array, u: Array, latent_dim: int) -> None:
    message = f"u has 2 different values; theorem 1 asks for nk \\+ 1 = {2 * latent_dim + 1}"
    with pytest.warns(IdentifiabilityWarning, match=message) as record:
        fit = make(max_steps=3).fit(x, u % 2)
    assert [warning.filename for warning in record] == [__file__]
    assert not fit.check_identifiability(u % 2).satisfied
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(max_steps=3).fit(x, u)


def test_the_warning_counts_values_that_change_one_latent_each(x: Array, u: Array) -> None:
    prior = GaussianPrior(2, n_labels=2, targets=(0, 1))
    with pytest.warns(IdentifiabilityWarning, match="one of n = 2 latents each .* n . 1 = 3"):
        IFlow(prior=prior, n_layers=1, hidden=(8,), max_steps=2).fit(x, u % 2)
