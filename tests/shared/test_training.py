"""Laws of training: it finds the optimum, unmoved by bad steps, and keeps the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from identiflow.shared.inputs.density import DensityWarning
from identiflow.shared.training import DivergedError, History, Stage, fit_together
from identiflow.shared.training.loss import warn_if_they_part
from identiflow.shared.training.training import MAX_BAD_STEPS_IN_A_ROW, Training


def test_training_finds_the_optimum(a_model, train, small):
    model, x, u = a_model("quadratic, partly frozen"), small["x"], small["u"]
    options = {"max_steps": 300, "batch_size": 90, "learning_rate": 0.1}
    train(model, x_held_out=x, u_held_out=u, **options)
    means = torch.stack([x[u == label].mean(0) for label in range(3)])
    # The batch is all rows; what is left is the noise of the loss.
    torch.testing.assert_close(model.w + model.offset, means, rtol=0, atol=0.05)
    assert torch.equal(model.offset, torch.ones(2))


# Bad steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_bad_steps_are_skipped_and_counted(bad, a_model, train, calls_of_loss):
    skipped = (0, 7, 8, 9, 10, 11, 33)
    model = a_model("quadratic")
    calls_of_loss(model, lambda number: bad if number in skipped else 1.0)
    history = train(model)
    assert history.skipped_steps == len(skipped) and history.step[-1] == 40
    assert all(map(torch.isfinite, model.w.flatten()))
    assert all(map(math.isfinite, history.train_loss + history.held_out_loss))


def test_the_training_loss_is_the_mean_over_the_steps_taken(
    a_model, train, calls_of_loss, monkeypatch
):
    model, losses = a_model("quadratic"), []
    update = Training.update

    def recorded(self: Training, loss: Tensor, *args: Any) -> None:
        losses.append(loss)
        update(self, loss, *args)

    monkeypatch.setattr(Training, "update", recorded)
    bad = (1, 2, 5, 6, 7, 8, 9)
    calls_of_loss(model, lambda number: math.nan if number in bad else 1.0)
    history = train(model)
    for i, loss in enumerate(history.train_loss):
        taken = [losses[step].item() for step in range(5 * i, 5 * i + 5) if step not in bad]
        assert loss == pytest.approx(sum(taken) / len(taken) if taken else math.inf)


@pytest.mark.parametrize("value", [1e20, -1e30, math.inf, math.nan])
def test_held_out_rows_that_can_have_no_loss_are_refused_at_once(
    value, a_model, train, small, calls_of_loss
):
    """They choose the weights; before, those of the first evaluation were kept without a word."""
    x = small["x_held_out"].clone()
    x[3, 1] = value
    calls = calls_of_loss(model := a_model("linear flow"))
    with pytest.raises(ValueError, match="got 1 beyond, the first in column 1. In single"):
        train(model, x_held_out=x)
    assert not calls


def test_held_out_rows_without_a_loss_are_an_error(a_model, train, small, monkeypatch):
    monkeypatch.setattr(Training, "held_out_loss", lambda _: math.nan)
    with pytest.raises(
        DivergedError, match="finite half squared .* held-out rows, .* up to step 2"
    ):
        train(a_model("quadratic"), patience=3)


def test_one_that_fails_takes_no_other_with_it(a_model, small, monkeypatch):
    alone, failing, together = (a_model("linear flow") for _ in range(3))
    (expected,) = fit_together([Stage(model=alone, seed=1, **small)])
    loss = Training.held_out_loss
    monkeypatch.setattr(Training, "held_out_loss", lambda t: loss(t) if t.stage.seed else math.inf)
    stages = [Stage(model=failing, **small), Stage(model=together, seed=1, **small)]
    failed, history = fit_together(stages)
    assert isinstance(failed, DivergedError)
    assert history.held_out_loss == pytest.approx(expected.held_out_loss, rel=1e-5)


def test_a_gradient_that_is_not_finite_is_a_bad_step(a_model, train, monkeypatch):
    model = a_model("quadratic")

    def root(x: Tensor, *args: Any) -> Tensor:
        return model.w.abs().sum().sqrt().expand(len(x))  # at w = 0: value 0, gradient infinite

    monkeypatch.setattr(model, "loss", root)
    assert train(model).skipped_steps == 40
    assert torch.equal(model.w, torch.zeros(3, 2))


def test_too_many_bad_steps_in_a_row_are_an_error(a_model, train, calls_of_loss):
    model = a_model("linear flow")
    calls = calls_of_loss(model, lambda _: math.nan)
    message = rf"finite nll and gradient; got {MAX_BAD_STEPS_IN_A_ROW} steps.*Lower learning_rate"
    with pytest.raises(DivergedError, match=message):
        train(model, max_steps=300, patience=300)
    assert len(calls) == MAX_BAD_STEPS_IN_A_ROW


def test_a_good_step_among_bad_ones_starts_the_count_anew(a_model, train, calls_of_loss):
    model = a_model("quadratic")
    good = MAX_BAD_STEPS_IN_A_ROW - 1
    calls_of_loss(model, lambda number: 1.0 if number == good else math.nan)
    history = train(model, max_steps=2 * good + 1, patience=300)
    assert history.skipped_steps == 2 * good and history.stopped == "budget"


# Choosing weights and stopping -------------------------------------------------------------------


@pytest.fixture
def passing_by(a_model, train) -> Callable[..., tuple[nn.Module, History]]:
    """Training pulls w towards 10 in every entry; the held-out rows would have it at 4."""
    data = {"x": torch.full((90, 2), 11.0), "x_held_out": torch.full((30, 2), 5.0)}
    options = {"max_steps": 200, "n_evaluations": 100, "learning_rate": 0.2, "patience": 1000}

    def passed(**changes: Any) -> tuple[nn.Module, History]:
        model = a_model("quadratic, partly frozen")
        return model, train(model, **{**data, **options, **changes})

    return passed


def test_the_weights_kept_are_the_best_on_held_out_rows(passing_by):
    model, history = passing_by()
    assert history.stopped == "budget" and history.step == list(range(2, 202, 2))
    assert history.best_loss == min(history.held_out_loss) < history.held_out_loss[-1]
    assert history.best_step == history.step[history.held_out_loss.index(history.best_loss)]
    torch.testing.assert_close(model.w, torch.full((3, 2), 4.0), rtol=0, atol=0.3)


def test_patience_ends_training(passing_by, same):
    patient, all_of_it = passing_by(patience=7), passing_by()
    history, longer = patient[1], all_of_it[1]
    assert history.stopped == "patience"
    assert history.step[-1] == history.best_step + 2 * 7
    assert history.held_out_loss == longer.held_out_loss[: len(history.step)]
    assert same(patient[0], all_of_it[0])


def test_held_out_losses_that_are_not_finite_are_never_the_best(a_model, train, monkeypatch):
    model = a_model("quadratic")
    loss = model.loss

    def late(*args: Any) -> Tensor:
        training = torch.is_grad_enabled()
        return loss(*args) * (1.0 if training or model.w.abs().max() > 0.05 else math.nan)

    monkeypatch.setattr(model, "loss", late)
    history = train(model)
    assert history.held_out_loss[0] == math.inf and math.isfinite(history.best_loss)
    assert history.best_step > history.step[0]


def test_held_out_rows_are_taken_in_parts_of_bounded_size(a_model, train, monkeypatch):
    whole, parts = a_model("linear flow"), a_model("linear flow")
    expected = train(whole)
    monkeypatch.setattr("identiflow.shared.training.loss.EVALUATION_ROWS", 7)
    assert train(parts).held_out_loss == pytest.approx(expected.held_out_loss, rel=1e-6)


@pytest.mark.parametrize("progress, shown", [(True, True), (False, False), (None, False)])
def test_progress_is_shown_when_asked_for(progress, shown, a_model, train, capsys):
    train(a_model("linear flow"), progress=progress)
    captured = capsys.readouterr()
    assert ("held-out nll" in captured.err) == shown and not captured.out


@pytest.mark.parametrize("name", ["max_steps", "batch_size", "n_evaluations", "patience"])
def test_counts_below_one_are_refused(name, a_model, train):
    with pytest.raises(ValueError, match=f"^Expected {name} to be an integer of at least 1; got 0"):
        train(a_model("quadratic"), **{name: 0})


# The loss in float64 ------------------------------------------------------------------------------


def test_scores_that_part_are_warned_of() -> None:
    warn_if_they_part(1.0, 1.05)
    with pytest.warns(DensityWarning, match=r"for -1\.00 nats of .* they have -3\.00.* Drop"):
        warn_if_they_part(1.0, 3.0)
    with pytest.warns(DensityWarning, match="they have -inf"):
        warn_if_they_part(1.0, math.inf)
