"""An estimator that is fitted again, or changed after its fit: nothing of two fits is mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from identiflow.iflow import Composition, IFlow, Permutation, SplineCoupling
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.training.training import Training

Array = np.ndarray
Make = Callable[..., Estimator]


def test_a_fit_that_fails_leaves_the_one_before(
    make: Make, x: Array, u: Array, assert_same_bits: Callable
) -> None:
    whole, again = make().fit(x, u), make().fit(x, u)
    again.set_params(baseline=99)
    with pytest.raises(ValueError, match="baseline to be one of the labels"):
        again.fit(9 * x + 1, u)
    assert_same_bits(again, whole)


def test_a_fit_that_is_stopped_leaves_the_one_before(
    make: Make, x: Array, u: Array, assert_same_bits: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, again = make().fit(x, u), make().fit(x, u)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "update", stop)
    with pytest.raises(KeyboardInterrupt):
        again.fit(9 * x + 1, u)
    assert_same_bits(again, whole)


def test_nothing_of_the_fit_before_is_left(make: Make, x: Array, u: Array) -> None:
    frame = pd.DataFrame(x, columns=["left", "right"])
    estimator = make(prior="auto", n_restarts=2, max_steps=2).fit(frame, u)
    assert estimator.chosen_prior_ and estimator.agreement_
    estimator.set_params(prior="mean", n_restarts=1).fit(x, u)
    assert estimator.chosen_prior_ is None and estimator.agreement_ is None
    assert not hasattr(estimator, "feature_names_in_")


def test_a_file_holds_the_parameters_of_the_fit(
    make: Make, x: Array, u: Array, tmp_path: Path, assert_same_bits: Callable
) -> None:
    fit = make(prior="scale", max_steps=3).fit(x, u)
    fit.set_params(hidden=(5,), prior="laplace")
    fit.save(tmp_path / "model")
    loaded = type(fit).load(tmp_path / "model")
    assert loaded.prior == "scale" and loaded.hidden == (16,)
    assert_same_bits(loaded, fit)


def test_devices_and_labels_of_bytes_are_plain_parameters(
    x: Array, u: Array, tmp_path: Path, assert_same_bits: Callable
) -> None:
    labels = np.array([b"none", b"first", b"second"])[u % 3]
    options = {"device": torch.device("cpu"), "baseline": b"none", "n_layers": 1, "hidden": (8,)}
    fit = IFlow(**options, max_steps=2, progress=False).fit(x, labels)
    fit.save(tmp_path / "model")
    loaded = IFlow.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.log_prob(x, labels), fit.log_prob(x, labels))


def test_a_function_that_needs_values_builds_a_loaded_flow_too(
    x: Array, u: Array, tmp_path: Path, assert_same_bits: Callable
) -> None:
    def build(features: int) -> nn.Module:
        order = torch.randperm(features)
        return Composition([Permutation(order), SplineCoupling(features, hidden=(8,))])

    fit = IFlow(architecture=build, max_steps=3).fit(x, u)
    fit.save(tmp_path / "model")
    assert_same_bits(IFlow.load(tmp_path / "model", architecture=build), fit)
    with pytest.raises(ValueError, match="load with parameters among .*'architecture'.*got 'foo'"):
        IFlow.load(tmp_path / "model", architecture=build, foo=1)


@pytest.mark.parametrize(
    "changed", [{"objective": "elbo"}, {"n_samples": 3}, {"activation": "tanh"}], ids=str
)
def test_a_checkpoint_of_another_loss_is_refused(
    changed: dict, x: Array, u: Array, tmp_path: Path, fits: dict[str, Estimator]
) -> None:
    vae = type(fits["IVAE, n < d"])(**fits["IVAE, n < d"].get_params())
    vae.set_params(max_steps=2).fit(x, u, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="belong to this fit; got one of other data, settings"):
        vae.set_params(**changed).fit(x, u, checkpoint=tmp_path / "run")


def test_a_clone_hands_out_frames_as_well(make: Make, x: Array, u: Array) -> None:
    from sklearn.base import clone

    estimator = make(max_steps=2).set_output(transform="pandas")
    assert isinstance(clone(estimator).fit(x, u).transform(x, u), pd.DataFrame)


def test_a_folder_is_no_checkpoint(make: Make, x: Array, u: Array, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Expected checkpoint to be a file; got the folder"):
        make().fit(x, u, checkpoint=tmp_path)
