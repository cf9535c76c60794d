"""x without a density: refused or warned of in fit, and what fits are chosen by is in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from identiflow import DensityWarning
from identiflow.iflow import IFlow
from identiflow.ivae import IVAE, iw_bound, weighted_elbo
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.files import load_tensors, save_tensors
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.shared.training import fit_ensemble, loss
from identiflow.shared.training.stage import hold_out

Array = np.ndarray
Make = Callable[..., Estimator]
SMALL: dict[str, Any] = {"n_layers": 1, "hidden": (8,), "max_steps": 2}


@pytest.fixture
def held_out(x: Array, u: Array) -> tuple[Array, Array]:
    """The rows that every fit to x and u holds out."""
    rows = hold_out(torch.arange(len(x)), 0.1).held_out.numpy()
    return x[rows], u[rows]


def test_held_out_nats_of_a_flow_are_the_score_of_these_rows(
    fits: dict[str, Estimator], held_out: tuple[Array, Array]
) -> None:
    flow = fits["IFlow"]
    assert flow.held_out_nats_ == pytest.approx(flow.score(*held_out), abs=1e-9)


def ten_times_the_distance(*args: Any, **options: Any) -> torch.Tensor:
    return weighted_elbo(*args, weights=(10.0, 1.0, 1.0, 1.0), **options)


@pytest.mark.parametrize(
    "objective", [ten_times_the_distance, partial(iw_bound, gradient="standard")]
)
def test_held_out_nats_under_an_objective_of_ones_own_are_the_score_too(
    objective: Callable, x: Array, u: Array, held_out: tuple[Array, Array], tmp_path: Path
) -> None:
    vae = IVAE(1, objective=objective, n_samples=2, hidden=(8,), max_steps=6).fit(x, u)
    assert vae.held_out_nats_ == pytest.approx(vae.score(*held_out), abs=1e-9)
    assert vae.held_out_loss_ == pytest.approx(vae.history_.best_loss, rel=1e-3)
    vae.save(tmp_path / "fit")
    loaded = IVAE.load(tmp_path / "fit", objective=objective)
    assert loaded.held_out_nats_ == vae.held_out_nats_


def test_what_float64_says_is_what_training_said_in_single_precision(fitted: Estimator) -> None:
    assert fitted.held_out_loss_ == pytest.approx(fitted.history_.best_loss, abs=1e-3)
    assert fitted.held_out_loss_ != fitted.history_.best_loss


def test_a_file_keeps_the_score(fitted: Estimator, tmp_path) -> None:
    fitted.save(tmp_path / "fit")
    assert type(fitted).load(tmp_path / "fit").held_out_nats_ == fitted.held_out_nats_


def test_a_file_of_before_has_that_of_single_precision(fitted: Estimator, tmp_path) -> None:
    fitted.save(tmp_path / "fit")
    kind = type(fitted).__name__
    tensors, info = load_tensors(tmp_path / "fit", kind)
    del info["measured"]["held_out_loss_"]
    save_tensors(tmp_path / "before", kind, tensors, info)
    loaded = type(fitted).load(tmp_path / "before")
    assert loaded.held_out_loss_ == fitted.history_.best_loss
    np.testing.assert_array_equal(loaded.x_scale_, fitted.x_scale_)


@pytest.fixture
def score_by_seed(monkeypatch) -> None:
    """In float64 the fit of seed 1 is the best, whatever training said of it."""
    monkeypatch.setattr(loss, "final_loss", lambda model, x, u, seed, device: abs(seed - 1.0))


@pytest.mark.usefixtures("score_by_seed")
def test_fits_are_chosen_by_float64_and_those_that_part_warn(x: Array, u: Array) -> None:
    with pytest.warns(DensityWarning, match="Training, in single precision, took the held-out"):
        flow = IFlow(n_restarts=3, **SMALL).fit(x, u)
    assert flow.held_out_loss_ == 0 and flow.chosen_prior_ is None
    with pytest.warns(DensityWarning):
        ensemble = fit_ensemble(IFlow(**SMALL), x, u, seeds=[0, 1, 2])
    assert ensemble.best_seed_ == 1
    np.testing.assert_array_equal(ensemble.held_out_scores_, [-1, 0, -1])


def test_a_model_that_says_no_number_is_the_worst(monkeypatch, x: Array, u: Array) -> None:
    monkeypatch.setattr("identiflow.shared.training.loss.mean_loss", lambda *_: float("nan"))
    with pytest.warns(DensityWarning, match="-inf"):
        assert IFlow(**SMALL).fit(x, u).held_out_nats_ == -np.inf


# --- x without a density, through fit


WITHOUT: dict[str, tuple[Callable[[Array, Array], Array], str]] = {
    "a copy": (lambda x, u: np.c_[x, x[:, 0]], "column 2, which is a linear function of column 0"),
    "°C and °F": (
        lambda x, u: np.c_[x, 1.8 * x[:, 1] + 32],
        "column 2, which is a linear function of column 1",
    ),
    "a total": (lambda x, u: np.c_[x, x.sum(1)], "column 2, .* function of columns 0 and 1"),
    "constant under a label": (
        lambda x, u: np.c_[x[:, 0], np.where(u == 3, 0.5, x[:, 1])],
        "by themselves for each label of u; got column 1, which is constant in the rows of label 3",
    ),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_a_flow_refuses_x_without_a_density(case: str, x: Array, u: Array) -> None:
    spoil, message = WITHOUT[case]
    with pytest.raises(ValueError, match=message):
        IFlow(**SMALL).fit(spoil(x, u), u)


def test_columns_of_a_frame_are_called_by_their_names(x: Array, u: Array) -> None:
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(f=x.sum(1))
    message = r"column 2 \('f'\), which is a linear function of columns 0 \('a'\) and 1 \('b'\)"
    for choose in ({}, {"n_restarts": 2}, {"prior": "auto"}):
        with pytest.raises(ValueError, match=message):
            IFlow(**SMALL, **choose).fit(frame, u)


def test_a_prior_that_does_not_see_u_does_not_ask_about_its_labels(x: Array, u: Array) -> None:
    constant = np.c_[x[:, 0], np.where(u == 3, 0.5, x[:, 1])]
    with pytest.warns(DensityWarning, match="10 % of the rows share the value 0.5 in column 1"):
        IFlow(prior="unconditional", **SMALL).fit(constant, u)
    with pytest.raises(ValueError, match="constant in the rows of label 3"):
        IFlow(**SMALL).fit(constant, pd.DataFrame({"label": u, "time": np.arange(200) / 200}))


def test_zeros_are_warned_of_in_the_name_of_who_called_fit(x: Array, u: Array) -> None:
    x[::2, 0] = 0
    with pytest.warns(DensityWarning, match="50 % of the rows share the value 0 in") as said:
        IFlow(**SMALL).fit(x, u)
    assert [warning.filename for warning in said] == [__file__]


@pytest.mark.parametrize("case", WITHOUT)
@pytest.mark.parametrize("latent_dim", [1, 2])
def test_an_ivae_of_fewer_latents_is_fitted_to_it(
    case: str, latent_dim: int, x: Array, u: Array
) -> None:
    vae = IVAE(latent_dim, hidden=(8,), max_steps=6, n_samples=2, warm_steps=4)
    spoilt = WITHOUT[case][0](x, u)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DensityWarning)
        assert np.isfinite(vae.fit(spoilt, u).score(spoilt, u))


TIME = np.linspace(0, 1, 200) ** 2
ALL_OF_U: dict[str, tuple[Callable[[Array], Any], Callable[[Array], Array], str]] = {
    "codes of labels": (lambda u: u, lambda u: u, "has one value for each label of u"),
    "what labels mean": (
        lambda u: np.array(list("abcdefghij"))[u],
        lambda u: np.exp(u % 7),
        "has one value for each label of u",
    ),
    "a number for several labels": (lambda u: u, lambda u: u % 2, "has one value for each label"),
    "of one of two columns": (
        lambda u: pd.DataFrame({"who": u.astype(str), "half": np.repeat(["a", "b"], 100)}),
        lambda u: np.sin(u),
        "has one value for each label of u",
    ),
    "time in another unit": (lambda u: TIME, lambda u: 60 * TIME + 3, "function of column 0 of u"),
}


@pytest.mark.parametrize("case", ALL_OF_U)
def test_a_column_that_u_says_all_of_is_said_to_be_one(case: str, x: Array, u: Array) -> None:
    of_u, column, message = ALL_OF_U[case]
    both = np.c_[x, column(u)]
    vae = IVAE(1, hidden=(8,), max_steps=2)
    with pytest.warns(InputWarning, match=f"column 2, which .*{message}.* Leave it out of x"):
        vae.fit(both, of_u(u))
    with pytest.raises(ValueError, match=f"column 2, which .*{message}.* end. Leave it out of x: "):
        IFlow(**SMALL).fit(both, of_u(u))
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        IVAE(1, hidden=(8,), max_steps=2, informative=0).fit(both, of_u(u))
        vae.fit(x, of_u(u))


def test_an_ivae_does_not_start_from_a_flow_that_cannot_be(x: Array, u: Array) -> None:
    options = {"hidden": (8,), "max_steps": 4, "n_samples": 2}
    copies = np.c_[x, x[:, 0]]
    got = IVAE(3, **options).fit(copies, u)
    without = IVAE(3, warm_steps=0, **options).fit(copies, u)
    assert got.held_out_loss_ == without.held_out_loss_
    for name, tensor in got.model_.state_dict().items():
        assert torch.equal(tensor, without.model_.state_dict()[name]), name


def test_an_ivae_is_fitted_to_more_columns_than_rows(x: Array, u: Array) -> None:
    wide = np.random.default_rng(0).standard_normal((30, 40))
    with pytest.raises(ValueError, match="at least 42 rows for 40 columns; got 30"):
        IFlow(**SMALL).fit(wide, u[:30])
    for latent_dim in (1, 40):
        vae = IVAE(latent_dim, hidden=(8,), max_steps=2, prior="unconditional")
        assert np.isfinite(vae.fit(wide).transform(wide)).all()


ROUNDED: dict[str, Callable[[Array], Array]] = {
    "whole numbers": lambda x: np.round(120 + 3 * x),
    "tenths": lambda x: np.round(x / 3, 1),
    "single precision far from 0": lambda x: (1e7 + 3 * x).astype("f4").astype(float),
}


@pytest.mark.parametrize("case", ROUNDED)
def test_rows_that_rounding_makes_alike_are_not_to_be_dropped(
    case: str, x: Array, u: Array
) -> None:
    """To pass each row once would make another density of them."""
    with pytest.warns(DensityWarning) as said:
        IFlow(**SMALL).fit(ROUNDED[case](np.c_[x[:, 0], x[:, 0] - x[:, 1]]), u)
    (copies,) = [str(one.message) for one in said if "copies of others" in str(one.message)]
    assert "All columns are rounded, which makes different rows alike: add noise" in copies
    assert "If rows were entered twice, pass each once" in copies


def test_rows_that_were_entered_twice_are_to_be_passed_once(make: Make, x: Array, u: Array) -> None:
    with pytest.warns(DensityWarning, match="copies of others.*say.* Pass each row once.$"):
        make(max_steps=2).fit(np.r_[x, x], np.r_[u, u])
    rounded = np.c_[np.round(x), np.round(x[:, 0] - x[:, 1])]
    with pytest.warns(DensityWarning, match="copies of others"):
        IVAE(1, hidden=(8,), max_steps=2).fit(np.r_[x, x].round(2), np.r_[u, u])
    IVAE(1, hidden=(8,), max_steps=2).fit(rounded, u)  # which meet by chance
    counts = np.tile([[0, 1], [1, 0]], (100, 1))  # of which rows are alike by what they are
    IVAE(1, hidden=(8,), max_steps=2, likelihood="bernoulli").fit(counts, u)
