"""Laws of prior="auto": every family is fitted, the best on held-out rows is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from identiflow.shared.estimators.base import Estimator
from identiflow.shared.priors.by_name import CANDIDATES
from identiflow.shared.training import fit_ensemble

Array = np.ndarray
Make = Callable[..., Estimator]


@pytest.fixture
def alone(name: str, fit_once: Make) -> list[Estimator]:
    """A fit of each family, at each of two seeds."""
    return [
        fit_once(name, prior=prior, seed=seed, max_steps=6)
        for prior in CANDIDATES
        for seed in (0, 1)
    ]


def test_the_family_with_the_best_held_out_score_is_kept(
    name: str, fit_once: Make, alone: list[Estimator], assert_same_bits: Callable
) -> None:
    got = fit_once(name, prior="auto", max_steps=6)
    best = min(alone[::2], key=lambda fit: fit.held_out_loss_)
    assert got.chosen_prior_ == best.prior and got.prior == "auto"
    assert_same_bits(got, best)


def test_restarts_of_every_family_are_compared(
    make: Make, x: Array, u: Array, tmp_path: Path, alone: list[Estimator]
) -> None:
    got = make(prior="auto", n_restarts=2, max_steps=6).fit(x, u, checkpoint=tmp_path / "run")
    for prior in CANDIDATES:  # each family and seed has its checkpoint
        for seed in (0, 1):
            assert (tmp_path / f"run.{prior}.{seed}").exists()
    losses = [fit.held_out_loss_ for fit in alone]
    assert got.held_out_loss_ == pytest.approx(min(losses), rel=1e-2)
    assert got.chosen_prior_ == alone[int(np.argmin(losses))].prior
    same = fit_ensemble(make(prior=got.chosen_prior_, max_steps=6), x, u, seeds=[0, 1])
    np.testing.assert_allclose(got.agreement_, same.consistency_, rtol=1e-6)
    assert make(max_steps=1).fit(x, u).agreement_ is None


def test_a_file_keeps_the_family_that_was_chosen(
    name: str, fit_once: Make, tmp_path: Path, assert_same_bits: Callable
) -> None:
    fitted = fit_once(name, prior="auto", max_steps=6)
    fitted.save(tmp_path / "model")
    loaded = type(fitted).load(tmp_path / "model")
    assert loaded.chosen_prior_ == fitted.chosen_prior_ and loaded.prior == "auto"
    assert loaded.agreement_ == fitted.agreement_ == ((1.0,),)
    assert_same_bits(loaded, fitted)


def test_an_ensemble_needs_one_family(make: Make, x: Array, u: Array) -> None:
    with pytest.raises(ValueError, match="one family of priors .* chosen_prior_"):
        fit_ensemble(make(prior="auto"), x, u, seeds=[0, 1])
