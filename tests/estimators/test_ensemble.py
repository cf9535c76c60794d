"""Laws of many seeds at once: each is the fit that it would have been alone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nflows.transforms import BatchNorm, PiecewiseRationalQuadraticCouplingTransform
from sklearn.pipeline import make_pipeline
from torch import Tensor, nn

from identiflow.iflow import IFlow
from identiflow.iflow.transforms import Composition, SplineCoupling
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.identifiability import IdentifiabilityWarning
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.shared.metrics import agreement, mean_corr_coef
from identiflow.shared.training import DivergedError, Ensemble, Stage, fit, fit_ensemble
from identiflow.shared.training.ensemble import jobs_that_pay
from identiflow.shared.training.fit import fit_together
from identiflow.shared.training.stage import hold_out
from identiflow.shared.training.training import Training

Array = np.ndarray
Make = Callable[..., Estimator]
SEEDS = [3, 0, 7]
RESULTS: dict[str, Ensemble] = {}


@pytest.fixture
def ensemble(name: str, make: Make, xu: tuple[Array, Array]) -> Ensemble:
    """Fitted once for each kind of estimator; tests must not change it."""
    if name not in RESULTS:
        RESULTS[name] = fit_ensemble(make(), *xu, seeds=SEEDS)
    return RESULTS[name]


def assert_same_to_rounding(a: Estimator, b: Estimator) -> None:
    """Rounding in float32, which steps of training amplify, here to 0.003; seeds differ by 1."""
    for (name, got), expected in zip(
        a.model_.state_dict().items(), b.model_.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-2, msg=name)
    np.testing.assert_allclose(a.history_.held_out_loss, b.history_.held_out_loss, rtol=1e-3)
    assert a.history_.best_step == b.history_.best_step


def test_every_member_is_the_fit_of_its_seed(
    ensemble: Ensemble, make: Make, fitted: Estimator, x: Array, u: Array
) -> None:
    for seed, member in zip(SEEDS, ensemble.members_, strict=True):
        alone = fitted if seed == 0 else make(seed=seed).fit(x, u)
        assert_same_to_rounding(member, alone)
        assert member.seed == seed and member.history_.seconds > 0


def test_the_best_has_the_highest_held_out_score(ensemble: Ensemble) -> None:
    losses = [member.held_out_loss_ for member in ensemble.members_]
    best = int(np.argmin(losses))
    assert ensemble.best_ is ensemble.members_[best] and ensemble.best_seed_ == SEEDS[best]
    np.testing.assert_allclose(ensemble.held_out_scores_, -np.array(losses))


def test_consistency_is_the_mcc_on_rows_that_no_member_was_trained_on(
    ensemble: Ensemble, x: Array
) -> None:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    z = [member.transform(x[order[:20]]) for member in ensemble.members_]
    expected = [[mean_corr_coef(a, b) for b in z] for a in z]
    np.testing.assert_allclose(ensemble.consistency_, expected, atol=1e-12)


def test_restarts_keep_the_best_of_their_seeds(make: Make, x: Array, u: Array) -> None:
    several = make(n_restarts=2, seed=3, max_steps=6).fit(x, u)
    alone = [make(seed=seed, max_steps=6).fit(x, u) for seed in (3, 4)]
    assert_same_to_rounding(several, min(alone, key=lambda fit: fit.held_out_loss_))
    assert several.seed == 3 and several.n_restarts == 2


@pytest.mark.usefixtures("whole_starts")
def test_seeds_shared_out_to_processes_are_the_same_fits(
    make: Make, x: Array, u: Array, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    files = tmp_path / "run"
    ensemble = fit_ensemble(make(), x, u, seeds=SEEDS)
    got = fit_ensemble(make(), x, u, seeds=SEEDS, n_jobs=2, checkpoint=files)
    for seed, member, expected in zip(SEEDS, got.members_, ensemble.members_, strict=True):
        assert_same_to_rounding(member, expected)
        assert member.get_params() == expected.get_params()
        assert (tmp_path / f"run.{seed}").exists()
    np.testing.assert_allclose(got.consistency_, ensemble.consistency_, atol=1e-3)
    assert torch.get_num_threads() == threads


def test_members_that_stop_early_leave_the_others_as_they_are(x: Array, u: Array) -> None:
    small = {"architecture": "affine", "n_layers": 1, "hidden": (4,)}
    flow = IFlow(**small, max_steps=120, learning_rate=0.03, patience=2)
    ensemble = fit_ensemble(flow, x, u, seeds=[0, 1, 2])
    ends = [member.history_.step[-1] for member in ensemble.members_]
    assert len(set(ends)) > 1
    for seed, member in enumerate(ensemble.members_):
        alone = IFlow(**flow.get_params() | {"seed": seed}).fit(x, u)
        assert alone.history_.step == member.history_.step
        np.testing.assert_allclose(
            alone.history_.held_out_loss, member.history_.held_out_loss, rtol=5e-3
        )


@pytest.mark.parametrize("stop", [1, 20, 55])
def test_a_resumed_ensemble_is_the_uninterrupted_one(
    stop: int,
    ensemble: Ensemble,
    make: Make,
    x: Array,
    u: Array,
    tmp_path: Path,
    interrupted_after: Callable[[int], AbstractContextManager],
) -> None:
    with interrupted_after(stop):
        fit_ensemble(make(), x, u, seeds=SEEDS, checkpoint=tmp_path / "run")
    resumed = fit_ensemble(make(), x, u, seeds=SEEDS, checkpoint=tmp_path / "run")
    for got, expected in zip(resumed.members_, ensemble.members_, strict=True):
        weights, others = got.model_.state_dict(), expected.model_.state_dict()
        assert [name for name in weights if not torch.equal(weights[name], others[name])] == []


def test_the_estimator_and_the_random_state_stay_as_they_were(
    x: Array, u: Array, assert_rng_untouched: Callable
) -> None:
    flow = IFlow(n_layers=1, hidden=(4,), max_steps=3)
    before = repr(flow.get_params())
    with assert_rng_untouched():
        fit_ensemble(flow, x, u, seeds=[1, 2])
    assert repr(flow.get_params()) == before and not hasattr(flow, "model_")


class Masks(nn.Sequential):
    """A conditioner in nflows' form."""

    def forward(self, inputs: torch.Tensor, context: None = None) -> torch.Tensor:
        return super().forward(inputs)


def test_a_model_that_cannot_be_stacked_is_fitted_seed_by_seed(x: Array, u: Array) -> None:
    def coupling(features: int) -> nn.Module:
        return PiecewiseRationalQuadraticCouplingTransform(
            torch.arange(features) % 2, lambda n, m: Masks(nn.Linear(n, m)), tails="linear"
        )

    flow = IFlow(architecture=coupling, max_steps=4)
    # nflows doubts the initial values of networks that do not name their hidden_features.
    warnings.filterwarnings("ignore", message="Inputs to the softmax")
    with pytest.warns(UserWarning, match="steps one after another.*vmap cannot run"):
        ensemble = fit_ensemble(flow, x, u, seeds=[0, 1])
    assert ensemble.consistency_.shape == (2, 2)
    assert_same_to_rounding(ensemble.members_[1], flow.set_params(seed=1).fit(x, u))


class NoiseOfItsOwn(nn.Module):
    """A loss that asks torch for noise, where those of an ensemble are drawn beforehand."""

    loss_name = "loss"

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def loss(self, x: Tensor, u: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x.shape, generator=generator)
        return ((self.weight * x + noise) ** 2).sum(1)


def test_a_loss_that_draws_for_itself_is_fitted_seed_by_seed() -> None:
    x, u = torch.randn(8, 2), torch.zeros(8)
    rows = {"x": x, "u": u, "x_held_out": x, "u_held_out": u, "max_steps": 3}
    models = [NoiseOfItsOwn() for _ in range(3)]
    with pytest.warns(UserWarning, match="Seeds take their steps one after another"):
        fit_together([Stage(model=m, **rows, seed=s) for s, m in enumerate(models[:2])])
    fit(models[2], x, u, x_held_out=x, u_held_out=u, max_steps=3, seed=1)
    assert torch.equal(models[1].weight, models[2].weight)


@pytest.mark.parametrize("seeds", [[], [1, 2, 1]])
def test_seeds_must_differ(seeds: list[int], x: Array, u: Array) -> None:
    with pytest.raises(ValueError, match="Expected seeds that are all different, one at least"):
        fit_ensemble(IFlow(), x, u, seeds=seeds)


@pytest.mark.parametrize("seeds", [[0.5, 1.5], [0.0, 1.0], ["a"], [-1]])
def test_seeds_are_whole_numbers(seeds: list[Any], x: Array, u: Array) -> None:
    with pytest.raises(ValueError, match="Expected each of seeds to be an integer from 0"):
        fit_ensemble(IFlow(), x, u, seeds=seeds)


def test_what_is_no_estimator_of_ours_is_refused(x: Array, u: Array) -> None:
    with pytest.raises(TypeError, match="Expected an IFlow or IVAE; got Pipeline"):
        fit_ensemble(make_pipeline(IFlow()), x, u, seeds=[0])  # type: ignore[type-var]


def test_one_seed_is_an_ensemble_of_one(x: Array, u: Array) -> None:
    ensemble = fit_ensemble(IFlow(n_layers=1, hidden=(4,), max_steps=3), x, u, seeds=[5])
    assert ensemble.consistency_.tolist() == [[1.0]] and ensemble.best_seed_ == 5


def test_errors_and_warnings_of_processes_arrive_here(x: Array, u: Array) -> None:
    flow = IFlow(n_layers=1, hidden=(4,), max_steps=3)
    with pytest.raises(ValueError, match=r"every column of x to vary; got constant column\(s\)"):
        fit_ensemble(flow, 0 * x, u, seeds=[0, 1], n_jobs=2)
    with pytest.warns(IdentifiabilityWarning, match="u has 2 different values") as said:
        fit_ensemble(flow, x, np.arange(len(x)) % 2, seeds=[0, 1], n_jobs=2)
    assert len(said) == 1
    with pytest.raises(ValueError, match="Expected n_jobs to be an integer of at least 1; got 0"):
        fit_ensemble(flow, x, u, seeds=[0, 1], n_jobs=0)


@pytest.mark.parametrize(
    ("seeds", "max_steps", "device", "expected"),
    [(8, 5000, "cpu", 2), (4, 1000, "cpu", 1), (8, 5000, "auto", 1)],
)
def test_processes_are_started_where_there_is_work_for_them(
    seeds: int, max_steps: int, device: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    flow = IFlow(max_steps=max_steps, device=device)
    assert jobs_that_pay(flow, seeds) == expected
    monkeypatch.setenv("WORLD_SIZE", "2")  # this process is one of several already
    assert jobs_that_pay(flow, seeds) == 1


def test_an_ensemble_that_was_fitted_seed_by_seed_is_resumed(
    x: Array, u: Array, tmp_path: Path
) -> None:
    def coupling(features: int) -> nn.Module:
        return Composition([SplineCoupling(features, hidden=(8,)), BatchNorm(features)])

    flow = IFlow(architecture=coupling, max_steps=20)
    with pytest.warns(UserWarning, match="after another.*changes tensors .* no parameters"):
        ensemble = fit_ensemble(flow, x, u, seeds=[0, 1], checkpoint=tmp_path / "run")
    alone = flow.set_params(seed=1).fit(x, u)
    assert ensemble.members_[1].held_out_nats_ == pytest.approx(alone.held_out_nats_, abs=1e-4)
    again = fit_ensemble(flow, x, u, seeds=[0, 1], checkpoint=tmp_path / "run")
    assert again.members_[1].history_.held_out_loss == ensemble.members_[1].history_.held_out_loss


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Seeds of which no held-out loss is finite."""
    seeds: set[int] = set()
    loss = Training.held_out_loss
    monkeypatch.setattr(
        Training, "held_out_loss", lambda t: math.inf if t.stage.seed in seeds else loss(t)
    )
    return seeds


def test_seeds_that_diverge_are_left_out_with_a_warning(
    diverging: set[int], ensemble: Ensemble, make: Make, x: Array, u: Array
) -> None:
    diverging.add(SEEDS[0])
    with pytest.warns(InputWarning, match="left out: 3 of 3 fits. The first: Expected a finite"):
        got = fit_ensemble(make(), x, u, seeds=SEEDS)
    assert got.seeds == tuple(SEEDS[1:]) and got.consistency_.shape == (2, 2)
    np.testing.assert_allclose(got.held_out_scores_, ensemble.held_out_scores_[1:], rtol=1e-3)
    diverging.update((0, 1))
    with pytest.warns(InputWarning, match="left out: 0, 1 of 3 fits"):
        best = make(n_restarts=3).fit(x, u)
    assert best.fitted_.model is not None and np.isfinite(best.held_out_loss_)
    diverging.update(range(9))
    with pytest.raises(DivergedError, match="of the held-out rows"):
        fit_ensemble(make(), x, u, seeds=SEEDS)
    with pytest.raises(DivergedError, match="of the held-out rows"):
        make().fit(x, u)


def test_a_class_and_a_number_of_seeds_are_refused(x: Array, u: Array) -> None:
    with pytest.raises(ValueError, match=r"such as IFlow\(\); got the class"):
        fit_ensemble(IFlow, x, u, seeds=[0])
    with pytest.raises(ValueError, match=r"seeds as a list, such as range\(3\); got 3"):
        fit_ensemble(IFlow(), x, u, seeds=3)


def test_fits_are_compared_by_the_latents_that_u_reaches(
    make: Make, x: Array, u: Array, latent_dim: int
) -> None:
    """The others are free to turn among themselves."""
    ensemble = fit_ensemble(make(informative=1, max_steps=4), x, u, seeds=[0, 1])
    rows = hold_out(torch.arange(len(x)), 0.1).held_out.numpy()
    reached = [member.transform(x[rows], u[rows])[:, :1] for member in ensemble.members_]
    np.testing.assert_allclose(ensemble.consistency_, agreement(reached).pairwise, atol=1e-9)
