"""Every method of a fit, under every option of its estimator that is changed afterwards.

A method or attribute that is added has to be entered here, or its test fails.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE, from_flow
from identiflow.report import write_report
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.estimators.export import export_program
from identiflow.shared.files import load_tensors
from identiflow.shared.priors import GaussianPrior

Array = np.ndarray
Make = Callable[..., Estimator]
Call = Callable[[Any, pd.DataFrame, Array], Any]
FILES = ("before", "after")
SMALL: dict[str, Any] = {"hidden": (8,), "max_steps": 6, "batch_size": 64, "compile": False}

METHODS: dict[str, Call] = {
    "transform": lambda fit, x, u: fit.transform(x, u),
    "inverse_transform": lambda fit, x, u: fit.inverse_transform(fit.transform(x, u)),
    "log_prob": lambda fit, x, u: fit.log_prob(x, u),
    "score": lambda fit, x, u: fit.score(x, u),
    "sample": lambda fit, x, u: fit.sample(u, return_latents=True, seed=2),
    "predict_aux_proba": lambda fit, x, u: fit.predict_aux_proba(x),
    "quantiles": lambda fit, x, u: fit.quantiles(x, u, seed=1),
    "transport": lambda fit, x, u: fit.transport(x, u, u[::-1]),
    "check_identifiability": lambda fit, x, u: str(fit.check_identifiability(u)),
    "get_feature_names_out": lambda fit, x, u: fit.get_feature_names_out().tolist(),
    "latents_of": lambda fit, x, u: fit.latents_of((fit._rows(x.to_numpy()), fit._encode(u, x))),
    "elbo": lambda fit, x, u: fit.elbo(x, u),
    "sample_posterior": lambda fit, x, u: fit.sample_posterior(x, u, n_samples=3),
    "posterior_dataset": lambda fit, x, u: fit.posterior_dataset(x, u, n_samples=2)["z"].values,
    "held_out_nats_": lambda fit, x, u: fit.held_out_nats_,
    "history_": lambda fit, x, u: (fit.history_.best_loss, fit.history_.step),
    "auxiliary_": lambda fit, x, u: fit.auxiliary_.encode(fit.auxiliary_.read(u, x)),
    "prior_": lambda fit, x, u: fit.prior_.log_prob(
        torch.zeros(3, fit.prior_.latent_dim, dtype=torch.float64), torch.tensor([0, 1, 2])
    ),
}
ATTRIBUTES = (
    "agreement_",
    "chosen_prior_",
    "held_out_bound_",
    "feature_names_in_",
    "held_out_loss_",
)
ATTRIBUTES += ("n_features_in_", "x_mean_", "x_scale_", "latents_need_u")
ATTRIBUTES += ("round_trip_error_", "collapsed_latents_", "n_categories_")
METHODS |= {name: lambda fit, x, u, name=name: getattr(fit, name) for name in ATTRIBUTES}
# What asks for no fit, what makes another one, and what hands a fit on, which has its own tests.
OTHERS = {"fit", "fit_transform", "plan", "load", "save", "check", "get_params", "set_params"}
OTHERS |= {"set_output", "measured", "recipe", "start_recipe", "standardizes", "fitted_", "model_"}
FUNCTIONS: dict[str, Call] = {
    "export": lambda fit, x, u: export_program(fit).module()(torch.tensor(x.to_numpy())),
    "export of the inverse": lambda fit, x, u: export_program(fit, "inverse_transform").module()(
        torch.tensor(fit.transform(x, u))
    ),
    "from_flow": lambda fit, x, u: (
        from_flow(fit, 0.1).elbo(x, u) if isinstance(fit, IFlow) else None
    ),
}

FITS: dict[str, Make] = {
    "flow": partial(IFlow, n_layers=1, prior="auto", **SMALL),
    "flow of its own prior": lambda: IFlow(
        n_layers=1, prior=GaussianPrior(2, n_labels=10), **SMALL
    ),
    "flow with few informative": partial(IFlow, n_layers=1, informative=1, n_restarts=2, **SMALL),
    "vae": partial(IVAE, 1, n_samples=2, **SMALL),
    "vae with a start": partial(IVAE, 2, n_samples=2, warm_steps=2, **SMALL),
    "vae whose encoder sees u": partial(IVAE, 1, n_samples=2, encoder_sees_u=True, **SMALL),
}


@pytest.fixture(scope="module")
def frame(xu: tuple[Array, Array]) -> pd.DataFrame:
    return pd.DataFrame(xu[0], columns=["left", "right"])


@pytest.fixture(scope="module", params=FITS)
def fit(request: pytest.FixtureRequest, xu: tuple[Array, Array], frame: pd.DataFrame) -> Estimator:
    return FITS[request.param]().fit(frame, xu[1])


def results_of(fit: Estimator, x: pd.DataFrame, u: Array) -> dict[str, Any]:
    """What everything that a fit has gives, or the error that it raises instead."""
    calls = {name: call for name, call in METHODS.items() if hasattr(type(fit), name)}
    return {name: _of(call, fit, x, u) for name, call in calls.items()}


def _of(call: Call, fit: Estimator, x: pd.DataFrame, u: Array) -> Any:
    try:
        result = call(fit, x, u)
    except ValueError as error:
        return str(error)
    return result.numpy() if isinstance(result, torch.Tensor) else result


def assert_same(results: dict[str, Any], others: dict[str, Any]) -> None:
    assert results.keys() == others.keys()
    for name, result in results.items():
        np.testing.assert_equal(result, others[name], err_msg=name)


@pytest.mark.parametrize("kind", [IFlow, IVAE])
def test_all_that_is_public_is_tried(kind: type[Estimator]) -> None:
    options = set(kind._parameter_names())
    public = {name for name in dir(kind) if not name.startswith("_")}
    assert public - options - OTHERS <= METHODS.keys()


# Another value of each option, such as any other fit may have.
OTHER_VALUES: dict[str, Any] = {
    "latent_dim": 2,
    "prior": "laplace",
    "informative": 2,
    "baseline": 3,
    "seed": 5,
    "hidden": (4, 4),
    "n_layers": 3,
    "architecture": "affine",
    "encoder_sees_u": True,
    "likelihood": "poisson",
    "objective": "elbo",
    "n_samples": 7,
    "noise": "fixed",
    "noise_std": 2.0,
    "covariance": "diagonal",
    "activation": "tanh",
    "validation_fraction": 0.5,
    "n_restarts": 3,
    "device": "auto",
}
CHANGES: dict[str, Callable[[str, Any], Any]] = {
    "no values at all": lambda name, value: object(),
    "other values": lambda name, value: (
        not value if value in (True, False) else OTHER_VALUES.get(name, 1)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_result_changes_with_an_option_that_is_changed_after_the_fit(
    change: str, fit: Estimator, frame: pd.DataFrame, u: Array, tmp_path: Path
) -> None:
    before = results_of(fit, frame, u)
    fit.save(tmp_path / "before")
    changed = with_other_options(fit, change)
    assert_same(results_of(changed, frame, u), before)
    changed.save(tmp_path / "after")
    held = [load_tensors(tmp_path / name, type(fit).__name__) for name in FILES]
    np.testing.assert_equal(*({k: t.numpy() for k, t in tensors.items()} for tensors, _ in held))
    np.testing.assert_equal(*(info for _, info in held))


def with_other_options(fit: Estimator, change: str) -> Estimator:
    changed = copy.deepcopy(fit)
    for name, value in fit.get_params().items():
        setattr(changed, name, CHANGES[change](name, value))
    return changed


@pytest.mark.parametrize("kind", ["flow with few informative", "vae with a start"])
def test_what_is_made_of_a_fit_is_that_of_the_fit(kind: str, frame: pd.DataFrame, u: Array) -> None:
    fit = FITS[kind]().fit(frame, u)
    made = (
        {name: _of(call, f, frame, u) for name, call in FUNCTIONS.items()}
        for f in (fit, *(with_other_options(fit, change) for change in CHANGES))
    )
    before, *after = made
    for results in after:
        assert_same(results, before)


def test_a_page_shows_the_options_of_the_fit(frame: pd.DataFrame, u: Array, tmp_path: Path) -> None:
    fit = FITS["vae"]().fit(frame, u)
    changed = copy.deepcopy(fit).set_params(max_steps=77, seed=9)
    pages = []
    for name, estimator in zip(FILES, (fit, changed), strict=True):
        write_report(estimator, frame, u, tmp_path / name)
        pages.append((tmp_path / name).read_text("utf-8"))
    assert pages[0] == pages[1] and "max_steps=6" in pages[0]


WAYS: dict[str, Callable[[Any, Path], Any]] = {
    "copied": lambda fit, path: copy.copy(fit),
    "copied with all in it": lambda fit, path: copy.deepcopy(fit),
    "pickled": lambda fit, path: pickle.loads(pickle.dumps(fit)),
    "saved": lambda fit, path: fit.save(path) or type(fit).load(path, **own_parts(fit)),
}


def own_parts(fit: Any) -> dict[str, Any]:
    return {} if isinstance(fit.prior, str) else {"prior": fit.prior}


@pytest.mark.parametrize("way", WAYS)
def test_a_fit_is_handed_on_whole(
    way: str, fit: Estimator, frame: pd.DataFrame, u: Array, tmp_path: Path
) -> None:
    before = results_of(fit, frame, u)
    handed = WAYS[way](fit, tmp_path / "model")
    assert_same(results_of(handed, frame, u), before)
    with pytest.raises(ValueError, match="Expected x with the columns .* same order"):
        handed.transform(frame[["right", "left"]], u)


def test_the_vae_of_a_flow_has_all_of_its_fit(frame: pd.DataFrame, u: Array) -> None:
    flow = FITS["flow with few informative"]().fit(frame, u)
    near = from_flow(flow, 0.1)
    for name in ("prior", "informative", "baseline", "seed"):
        assert near.get_params()[name] == flow.get_params()[name]
    for name in ("feature_names_in_", "x_mean_", "x_scale_", "chosen_prior_"):
        np.testing.assert_equal(getattr(near, name), getattr(flow, name))
    for method in ("inverse_transform", "prior_", "auxiliary_"):
        np.testing.assert_equal(*(_of(METHODS[method], fit, frame, u) for fit in (near, flow)))
    with pytest.raises(ValueError, match="Expected x with the columns .* same order"):
        near.transform(frame[["right", "left"]], u)
