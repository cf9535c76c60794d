"""What IVAE promises beyond the laws of every estimator: every likelihood, bounds, and options."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from identiflow.ivae import IVAE, GaussianLikelihood, PoissonLikelihood
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.datasets.generated import SourceData
from identiflow.shared.metrics import mean_corr_coef
from identiflow.shared.training import History
from identiflow.shared.training.training import Training

D, N_LABELS = 4, 10
small = partial(IVAE, 2, hidden=(16,), n_samples=2, max_steps=30, warm_steps=0)


def draw(observation: str = "gaussian", **options: Any) -> SourceData:
    noise = {"noise_std": 0.1} if observation == "gaussian" else {}
    options = {"observed_dim": D, "observation": observation, "seed": 1, **noise, **options}
    return nonstationary_sources(2, N_LABELS, 30, **options)


LIKELIHOODS = ("gaussian", "bernoulli", "poisson", "categorical")
DATA = {likelihood: draw(likelihood) for likelihood in LIKELIHOODS}
X, U = DATA["gaussian"].x, DATA["gaussian"].u


@pytest.fixture(scope="module")
def fits() -> dict[str, IVAE]:
    """An IVAE of each likelihood, fitted once."""
    return {name: small(likelihood=name).fit(DATA[name].x, DATA[name].u) for name in LIKELIHOODS}


@pytest.fixture(params=LIKELIHOODS)
def likelihood(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def vae(likelihood: str, fits: dict[str, IVAE]) -> IVAE:
    return fits[likelihood]


@pytest.fixture
def x(likelihood: str) -> np.ndarray:
    return DATA[likelihood].x


# Every likelihood --------------------------------------------------------------------------------


def test_every_likelihood_fits_its_data(likelihood: str, vae: IVAE, x: np.ndarray) -> None:
    history = vae.history_
    assert history.best_loss < history.held_out_loss[0] and history.skipped_steps == 0
    log_prob, elbo = vae.log_prob(x, U), vae.elbo(x, U)
    assert np.isfinite(log_prob).all() and log_prob.shape == elbo.shape == (len(x),)
    assert elbo.mean() < log_prob.mean()
    assert likelihood == "gaussian" or (log_prob <= 0).all()
    assert vae.transform(x).shape == (len(x), 2)


def test_samples_and_means_are_what_x_can_be(likelihood: str, vae: IVAE, x: np.ndarray) -> None:
    samples = vae.sample(U, seed=3)
    vae.model_.likelihood.check(torch.from_numpy(samples))
    means = vae.inverse_transform(vae.transform(x))
    assert samples.shape == means.shape == x.shape
    if likelihood == "gaussian":
        spread = samples.std(axis=0) / x.std(axis=0)
        assert (spread > 0.3).all() and (spread < 3).all()
    else:
        highest = {"bernoulli": 1, "categorical": 2, "poisson": np.inf}[likelihood]
        assert means.min() >= 0 and means.max() <= highest
        assert set(np.unique(samples)) <= set(range(1000))


def test_only_real_valued_x_is_standardised(likelihood: str, vae: IVAE) -> None:
    as_it_is = (vae.x_scale_ == 1).all() and (vae.x_mean_ == 0).all()
    assert as_it_is == (likelihood != "gaussian")


def test_files_keep_every_likelihood(
    likelihood: str, vae: IVAE, x: np.ndarray, tmp_path: Path
) -> None:
    vae.save(tmp_path / "vae")
    loaded = IVAE.load(tmp_path / "vae")
    for call in ("log_prob", "elbo", "transform"):
        np.testing.assert_array_equal(getattr(loaded, call)(x, U), getattr(vae, call)(x, U))
    np.testing.assert_array_equal(loaded.sample(U), vae.sample(U))


def test_a_likelihood_of_ones_own(tmp_path: Path) -> None:
    x = DATA["poisson"].x
    vae = small(likelihood=PoissonLikelihood(D)).fit(x, U)
    vae.save(tmp_path / "vae")
    loaded = IVAE.load(tmp_path / "vae", likelihood=PoissonLikelihood(D))
    np.testing.assert_array_equal(loaded.log_prob(x, U), vae.log_prob(x, U))
    np.testing.assert_array_equal(small(likelihood="poisson").fit(x, U).elbo(x, U), vae.elbo(x, U))


# The numbers are log-densities of x --------------------------------------------------------------


def test_density_integrates_to_one_in_the_units_of_x() -> None:
    """The bound's 512 draws fall short of it by little; a missing Jacobian by a factor of 20."""
    x = 100 + 20 * X[:, :1] / X[:, :1].std()
    vae = small(max_steps=100).set_params(latent_dim=1).fit(x, U)
    grid = np.linspace(-200, 400, 601)
    log_prob = vae.log_prob(grid[:, None], np.full(len(grid), 3), n_samples=512)
    assert np.exp(log_prob).sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=0.05)


def test_probabilities_of_all_outcomes_sum_to_one() -> None:
    x = DATA["bernoulli"].x[:, :2]
    vae = small(likelihood="bernoulli").fit(x, U)
    outcomes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    log_prob = vae.log_prob(outcomes, np.full(4, 3), n_samples=2000)
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=0.05)


def test_bounds_tighten_with_more_draws(vae: IVAE, x: np.ndarray) -> None:
    bounds = [vae.log_prob(x, U, n_samples=k).mean() for k in (1, 8, 64)]
    assert bounds == sorted(bounds)


def test_bounds_are_a_function_of_their_seed(vae: IVAE, x: np.ndarray) -> None:
    for bound in (vae.elbo, vae.log_prob):
        np.testing.assert_array_equal(bound(x, U, seed=3), bound(x, U, seed=3))
        assert (bound(x, U, seed=4) != bound(x, U, seed=3)).any()


def test_sources_behind_a_linear_mixing_with_noise_are_recovered() -> None:
    data = nonstationary_sources(2, 10, 200, observed_dim=D, n_layers=1, noise_std=0.1, seed=2)
    held_out = np.arange(len(data.x)) % 4 == 0
    vae = IVAE(2, prior="scale", hidden=(32,), n_samples=4, max_steps=500)
    vae.fit(data.x[~held_out], data.u[~held_out])
    assert mean_corr_coef(data.z[held_out], vae.transform(data.x[held_out])) > 0.9


# Options -----------------------------------------------------------------------------------------

OPTIONS: dict[str, dict[str, Any]] = {
    "fixed noise": {"noise": "fixed", "noise_std": 0.5},
    "one learned noise": {"noise": "scalar"},
    "diagonal posterior": {"covariance": "diagonal"},
    "elbo": {"objective": "elbo", "n_samples": 1},
    "an encoder that sees u": {"encoder_sees_u": True},
    "tanh": {"activation": "tanh", "hidden": (8, 8)},
    "a likelihood": {"likelihood": GaussianLikelihood(D, 0.2, learn="fixed")},
    "as many latents as columns": {"latent_dim": D, "warm_steps": 5, "prior": "scale"},
    "as many latents, no start": {"latent_dim": D, "prior": "scale"},
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_fits(option: str, fits: dict[str, IVAE]) -> None:
    vae = IVAE(**{**small.keywords, "latent_dim": 2, **OPTIONS[option]}).fit(X, U)
    assert np.isfinite(vae.log_prob(X, U)).all() and np.isfinite(vae.transform(X, U)).all()
    assert (vae.log_prob(X, U) != fits["gaussian"].log_prob(X, U)).all()


def test_fixed_noise_stays_where_it_was_set() -> None:
    vae = small(noise="fixed", noise_std=0.5).fit(X, U)
    np.testing.assert_array_equal(vae.model_.likelihood.noise_std, np.full(D, 0.5))
    x, z = vae.sample(np.repeat(U, 10), return_latents=True)
    noise = (x - vae.inverse_transform(z)) / vae.x_scale_
    np.testing.assert_allclose(noise.std(axis=0), 0.5, rtol=0.1)


def test_an_encoder_that_sees_u_is_given_it() -> None:
    vae = small(encoder_sees_u=True).fit(X, U)
    assert (vae.transform(X, U) != vae.transform(X, U[::-1])).any()
    with pytest.raises(ValueError, match="Expected u.* got None"):
        vae.transform(X)


def test_a_start_from_a_flow_begins_nearer_to_the_data() -> None:
    data = draw(observed_dim=2)
    warm, cold = (
        small(warm_steps=steps, max_steps=1).fit(data.x, data.u).history_.best_loss
        for steps in (100, 0)
    )
    assert warm < cold - 0.3


@pytest.mark.parametrize(
    ("latent_dim", "expected"),
    [(D, [10, 10, 5]), (2, [10])],
    ids=["from a flow", "from random weights"],
)
def test_a_start_is_in_proportion_to_the_fit(latent_dim: int, expected: list[int]) -> None:
    plan = IVAE(latent_dim, prior="mean", hidden=(8,), max_steps=10).plan(X, U)
    stages, history = [next(plan)], History("", held_out_loss=[float("nan")])
    with pytest.raises(StopIteration):
        while True:
            stages.append(plan.send(history))
    assert [stage.max_steps for stage in stages] == expected


def test_latents_that_x_says_nothing_of_are_named(fits: dict[str, IVAE]) -> None:
    assert fits["gaussian"].collapsed_latents_ == ()
    vae = copy.deepcopy(fits["gaussian"])
    last = [part for part in vae.model_.encoder.modules() if isinstance(part, torch.nn.Linear)][-1]
    last.weight[1] = 0  # the posterior mean of latent 1
    rows = torch.from_numpy((X - vae.x_mean_) / vae.x_scale_)
    measured = vae._finish(vae.model_, rows, torch.from_numpy(U))
    vae._fitted = replace(vae.fitted_, measured={**vae.fitted_.measured, **measured})
    assert vae.collapsed_latents_ == (1,)
    report = vae.check_identifiability(U)
    assert report.collapsed == (1,) and not report.satisfied
    assert "Latents [1] carry no information" in str(report)


# Bad input ---------------------------------------------------------------------------------------


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "batch", lambda *_: pytest.fail("Training had begun."))


OUTSIDE: dict[str, tuple[str, float, str]] = {
    "Bernoulli, a half": ("bernoulli", 0.5, "the values 0 and 1 .*got 0.5 in row 3, column 1"),
    "Bernoulli, two": ("bernoulli", 2.0, "the values 0 and 1 .*got 2.* Binarise"),
    "Poisson, a half": ("poisson", 0.5, "counts 0, 1, 2.* got 0.5"),
    "Poisson, negative": ("poisson", -1.0, "counts 0, 1, 2.* got -1.* Pass raw counts"),
    "categorical, a half": ("categorical", 0.5, "category codes 0, ..., 2.* got 0.5"),
    "categorical, negative": ("categorical", -1.0, "category codes 0, ..., 2.* got -1"),
    "categorical, a gap": ("categorical", 1e7, "category codes.* got (the code )?1e\\+07"),
    "Gaussian, infinite": ("gaussian", np.inf, r"finite values in x.*\(3, 1\)"),
    "Poisson, NaN": ("poisson", np.nan, r"finite values in x.*\(3, 1\)"),
}


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("case", OUTSIDE)
def test_values_outside_the_support_are_refused(case: str, fits: dict[str, IVAE]) -> None:
    likelihood, value, message = OUTSIDE[case]
    x = DATA[likelihood].x.copy()
    x[3, 1] = value
    with pytest.raises(ValueError, match=message):
        small(likelihood=likelihood).fit(x, U)
    for bound in (fits[likelihood].log_prob, fits[likelihood].elbo):
        with pytest.raises(ValueError, match=message.split(".*")[0]):
            bound(x, U)
    with pytest.raises(ValueError, match=message.split(".*")[0]):
        fits[likelihood].transform(x, U)


BAD_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "more latents than columns": ({"latent_dim": 5}, "latent_dim between 1 and the 4 .*; got 5"),
    "no latents": ({"latent_dim": 0}, "latent_dim to be an integer of at least 1; got 0"),
    "half a latent": ({"latent_dim": 1.5}, "latent_dim to be an integer of at least 1; got 1.5"),
    "an unknown likelihood": ({"likelihood": "beta"}, "likelihood to be .*'poisson'.* got 'beta'"),
    "a likelihood of another width": (
        {"likelihood": GaussianLikelihood(7)},
        r"x of shape \(N, 7\); got \(300, 4\)",
    ),
    "unknown noise": ({"noise": "free"}, "one of .*'per_dimension'.*; got 'free'"),
    "negative noise": ({"noise_std": -1.0}, "noise_std to be a positive number.* got -1"),
    "an unknown posterior": ({"covariance": "block"}, "covariance .*'full'.*; got 'block'"),
    "an unknown objective": ({"objective": "vi"}, "objective .*'elbo'.*; got 'vi'"),
    "an unknown activation": ({"activation": "sine"}, "activation .*'silu'.*; got 'sine'"),
    "no draws": ({"n_samples": 0}, "n_samples to be an integer of at least 1; got 0"),
    "a negative warm start": ({"latent_dim": D, "prior": "scale", "warm_steps": -1}, "got -1"),
}


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options_are_refused_before_training(case: str) -> None:
    options, message = BAD_OPTIONS[case]
    with pytest.raises(ValueError, match=message):
        IVAE(**{**small.keywords, "latent_dim": 2, **options}).fit(X, U)


BAD_CALLS: dict[str, tuple[Callable[[IVAE], object], str]] = {
    "no draws": (
        lambda vae: vae.log_prob(X, U, n_samples=0),
        "n_samples to be an integer of at least 1; got 0",
    ),
    "odd draws": (lambda vae: vae.elbo(X, U, n_samples=3), "even n_samples.* got 3. Pass 4"),
    "another width of z": (lambda vae: vae.inverse_transform(X), "z with 2 columns.* got 4"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls_are_refused(case: str, fits: dict[str, IVAE]) -> None:
    call, message = BAD_CALLS[case]
    with pytest.raises(ValueError, match=message):
        call(fits["gaussian"])
