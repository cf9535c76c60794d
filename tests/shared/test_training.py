"""Laws of training: a function of its seed, resumable bit for bit, unmoved by bad steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from identiflow.shared.compute.random import seeded
from identiflow.shared.priors import GaussianPrior
from identiflow.shared.training import DivergedError, FileFormatError, History, fit, training
from identiflow.shared.training.schedule import Batches, OneCycle, mix
from identiflow.shared.training.training import MAX_BAD_STEPS_IN_A_ROW, Training

N_LABELS, D = 3, 2
CENTRES = torch.tensor([[0.0, 3.0], [-2.0, 1.0], [4.0, -1.0]])


class Quadratic(nn.Module):
    """½ |x + ε − w_u|², with noise ε from the generator: its optimum is each label's mean."""

    loss_name = "half squared distance"

    def __init__(self, frozen: bool = False) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.ones(D), requires_grad=not frozen)
        self.w = nn.Parameter(torch.zeros(N_LABELS, D))
        self.register_buffer("constant", torch.tensor(1.0))

    def loss(self, x: Tensor, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        noise = 0.1 * torch.randn(x.shape, generator=generator)
        return 0.5 * (x + noise - self.w[u] - self.offset).square().sum(-1)


class LinearFlow(nn.Module):
    """The exact −log p(x | u) of x = A⁻¹ z, z from a Gaussian prior."""

    loss_name = "nll"

    def __init__(self) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.eye(D) + 0.1 * torch.randn(D, D))
        self.prior = GaussianPrior(D, n_labels=N_LABELS)

    def loss(self, x: Tensor, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return -self.prior.log_prob(x @ self.A.T, u) - torch.linalg.slogdet(self.A)[1]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "quadratic": Quadratic,
    "quadratic, partly frozen": lambda: Quadratic(frozen=True),
    "linear flow": LinearFlow,
}


def build(name: str) -> nn.Module:
    with seeded(1):
        return MODELS[name]()


def rows(count: int, seed: int) -> tuple[Tensor, Tensor]:
    u = torch.arange(count) % N_LABELS
    noise = torch.randn(count, D, generator=torch.Generator().manual_seed(seed))
    return CENTRES[u] + noise, u


X, U = rows(90, 0)
HELD_OUT = dict(zip(("x_held_out", "u_held_out"), rows(30, 1), strict=True))
SMALL = {**HELD_OUT, "max_steps": 40, "batch_size": 20, "n_evaluations": 8, "progress": False}


def train(model: nn.Module, **changes: Any) -> History:
    return fit(model, X, U, **{**SMALL, **changes})


def state(model: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(map(torch.equal, a, b))


def without_time(history: History) -> History:
    return replace(history, seconds=0.0)


def factor_one(number: int) -> float:
    return 1.0


def calls_of_loss(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch, before: Callable = factor_one
) -> list:
    """Count the training calls of `model.loss`, and multiply each loss by `before(number)`."""
    calls, loss = [], model.loss

    def counted(*args: Any) -> Tensor:
        if torch.is_grad_enabled():
            calls.append(None)
            return before(len(calls) - 1) * loss(*args)
        return loss(*args)

    monkeypatch.setattr(model, "loss", counted)
    return calls


# A function of the seed --------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_the_same_bits(name, assert_rng_untouched):
    results = []
    for seed in (4, 4, 5):
        model = build(name)
        with assert_rng_untouched():
            history = train(model, seed=seed)
        results.append((without_time(history), state(model)))
    (history, first), (again, second), (_, other) = results
    assert history == again and same(first, second)
    assert not same(first, other)


def test_training_finds_the_optimum():
    model = build("quadratic, partly frozen")
    settings = {**SMALL, "max_steps": 300, "batch_size": 90, "learning_rate": 0.1}
    fit(model, X, U, **{**settings, "x_held_out": X, "u_held_out": U})
    means = torch.stack([X[label == U].mean(0) for label in range(N_LABELS)])
    # The batch is all rows; what is left is the noise of the loss.
    torch.testing.assert_close(model.w + model.offset, means, rtol=0, atol=0.05)
    assert torch.equal(model.offset, torch.ones(D))


# Resuming ----------------------------------------------------------------------------------------


def stop_at(stop: int) -> Callable[[int], float]:
    def before(number: int) -> float:
        if number == stop:
            raise KeyboardInterrupt
        return 1.0

    return before


@pytest.mark.parametrize("stops", [(0,), (3,), (5,), (23,), (12, 12), (38, 1)])
@pytest.mark.parametrize("name", MODELS)
def test_a_resumed_fit_equals_an_uninterrupted_one(name, stops, tmp_path, monkeypatch):
    whole = build(name)
    expected = train(whole)
    path = tmp_path / "run.ckpt"
    for stop in stops:
        model = build(name)
        calls_of_loss(model, monkeypatch, stop_at(stop))
        with pytest.raises(KeyboardInterrupt):
            train(model, checkpoint=path)
    model = build(name)
    calls = calls_of_loss(model, monkeypatch)
    history = train(model, checkpoint=path)
    assert without_time(history) == without_time(expected)
    assert same(state(model), state(whole))
    # It takes up the last evaluation before each stop, every 5 steps.
    assert len(calls) == 40 - sum(stop // 5 * 5 for stop in stops)


def test_a_stop_while_evaluating_resumes_too(tmp_path, monkeypatch):
    whole, model, path = build("linear flow"), build("linear flow"), tmp_path / "run.ckpt"
    expected, record, count = train(whole), Training.record, []

    def interrupted(*args: Any) -> None:
        record(*args)
        count.append(None)
        if len(count) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Training, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(model, checkpoint=path)
    model = build("linear flow")
    assert without_time(train(model, checkpoint=path)) == without_time(expected)
    assert same(state(model), state(whole))


def test_a_finished_fit_is_not_trained_again(tmp_path, monkeypatch):
    whole, model, path = build("linear flow"), build("linear flow"), tmp_path / "run.ckpt"
    expected = train(whole, checkpoint=path)
    calls = calls_of_loss(model, monkeypatch)
    assert train(model, checkpoint=path) == expected
    assert not calls and same(state(model), state(whole))


OTHER_FITS: dict[str, dict[str, Any]] = {
    "seed": {"seed": 1},
    "budget": {"max_steps": 41},
    "learning rate": {"learning_rate": 1e-3},
    "patience": {"patience": 3},
    "held-out rows": {"x_held_out": HELD_OUT["x_held_out"] + 1},
}


@pytest.mark.parametrize("change", [*OTHER_FITS, "data", "starting weights"])
def test_the_checkpoint_of_another_fit_is_refused(change, tmp_path):
    path = tmp_path / "run.ckpt"
    train(build("linear flow"), checkpoint=path)
    before, model, x = path.read_bytes(), build("linear flow"), X
    if change == "starting weights":
        model.A.data[0, 0] += 1
    if change == "data":
        x = X.flip(0)
    with pytest.raises(FileFormatError, match=r"run.ckpt to belong to this fit.*Delete it"):
        fit(model, x, U, **{**SMALL, **OTHER_FITS.get(change, {})}, checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_a_truncated_checkpoint_is_refused(kept, tmp_path):
    path = tmp_path / "run.ckpt"
    train(build("linear flow"), checkpoint=path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FileFormatError, match="run.ckpt.*damaged"):
        train(build("linear flow"), checkpoint=path)


# Bad steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_bad_steps_are_skipped_and_counted(bad, monkeypatch):
    skipped = (0, 7, 8, 9, 10, 11, 33)
    model = build("quadratic")
    calls_of_loss(model, monkeypatch, lambda number: bad if number in skipped else 1.0)
    history = train(model)
    assert history.skipped_steps == len(skipped) and history.step[-1] == 40
    assert all(map(torch.isfinite, model.w.flatten()))
    assert all(map(math.isfinite, history.train_loss + history.held_out_loss))


def test_the_training_loss_is_the_mean_over_the_steps_taken(monkeypatch):
    model, losses = build("quadratic"), []
    update = Training.update

    def recorded(self: Training, loss: Tensor, *args: Any) -> None:
        losses.append(loss)
        update(self, loss, *args)

    monkeypatch.setattr(Training, "update", recorded)
    bad = (1, 2, 5, 6, 7, 8, 9)
    calls_of_loss(model, monkeypatch, lambda number: math.nan if number in bad else 1.0)
    history = train(model)
    for i, loss in enumerate(history.train_loss):
        taken = [losses[step].item() for step in range(5 * i, 5 * i + 5) if step not in bad]
        assert loss == pytest.approx(sum(taken) / len(taken) if taken else math.inf)


def test_a_gradient_that_is_not_finite_is_a_bad_step():
    class Root(Quadratic):
        def loss(self, x: Tensor, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
            return self.w.abs().sum().sqrt().expand(len(x))  # at w = 0: value 0, gradient infinite

    model = Root()
    assert train(model).skipped_steps == 40
    assert torch.equal(model.w, torch.zeros(N_LABELS, D))


def test_too_many_bad_steps_in_a_row_are_an_error(monkeypatch):
    model = build("linear flow")
    calls = calls_of_loss(model, monkeypatch, lambda _: math.nan)
    message = rf"finite nll and gradient; got {MAX_BAD_STEPS_IN_A_ROW} steps.*Lower learning_rate"
    with pytest.raises(DivergedError, match=message):
        train(model, max_steps=300, patience=300)
    assert len(calls) == MAX_BAD_STEPS_IN_A_ROW


def test_a_good_step_among_bad_ones_starts_the_count_anew(monkeypatch):
    model = build("quadratic")
    good = MAX_BAD_STEPS_IN_A_ROW - 1
    calls_of_loss(model, monkeypatch, lambda number: 1.0 if number == good else math.nan)
    history = train(model, max_steps=2 * good + 1, patience=300)
    assert history.skipped_steps == 2 * good and history.stopped == "budget"


def test_bad_steps_before_a_stop_count_after_it(tmp_path, monkeypatch):
    path, bad = tmp_path / "run.ckpt", 60
    for before in (lambda number: math.nan * stop_at(bad)(number), lambda _: math.nan):
        model = build("quadratic")
        calls = calls_of_loss(model, monkeypatch, before)
        with pytest.raises((KeyboardInterrupt, DivergedError)):
            train(model, max_steps=300, n_evaluations=10, patience=300, checkpoint=path)
    assert len(calls) == MAX_BAD_STEPS_IN_A_ROW - bad


# Choosing weights and stopping -------------------------------------------------------------------


def passing_by(**changes: Any) -> tuple[Quadratic, History]:
    """Training pulls w towards 10 in every entry; the held-out rows would have it at 4."""
    model = Quadratic(frozen=True)
    x, u = torch.full((90, D), 11.0), U
    held_out = {"x_held_out": torch.full((30, D), 5.0), "u_held_out": HELD_OUT["u_held_out"]}
    options = {"max_steps": 200, "n_evaluations": 100, "learning_rate": 0.2, "patience": 1000}
    return model, fit(model, x, u, **{**SMALL, **held_out, **options, **changes})


def test_the_weights_kept_are_the_best_on_held_out_rows():
    model, history = passing_by()
    assert history.stopped == "budget" and history.step == list(range(2, 202, 2))
    assert history.best_loss == min(history.held_out_loss) < history.held_out_loss[-1]
    assert history.best_step == history.step[history.held_out_loss.index(history.best_loss)]
    torch.testing.assert_close(model.w, torch.full((N_LABELS, D), 4.0), rtol=0, atol=0.3)


def test_patience_ends_training():
    patient, all_of_it = passing_by(patience=7), passing_by()
    history, longer = patient[1], all_of_it[1]
    assert history.stopped == "patience"
    assert history.step[-1] == history.best_step + 2 * 7
    assert history.held_out_loss == longer.held_out_loss[: len(history.step)]
    assert same(state(patient[0]), state(all_of_it[0]))


def test_held_out_losses_that_are_not_finite_are_never_the_best(monkeypatch):
    model, loss = build("quadratic"), Quadratic.loss

    def late(self: Quadratic, x: Tensor, *args: Any) -> Tensor:
        training = torch.is_grad_enabled()
        return loss(self, x, *args) * (1.0 if training or self.w.abs().max() > 0.05 else math.nan)

    monkeypatch.setattr(Quadratic, "loss", late)
    history = train(model)
    assert history.held_out_loss[0] == math.inf and math.isfinite(history.best_loss)
    assert history.best_step > history.step[0]


def test_held_out_rows_are_taken_in_parts_of_bounded_size(monkeypatch):
    whole, parts = build("linear flow"), build("linear flow")
    expected = train(whole)
    monkeypatch.setattr(training, "EVALUATION_ROWS", 7)
    assert train(parts).held_out_loss == pytest.approx(expected.held_out_loss, rel=1e-6)


@pytest.mark.parametrize("progress, shown", [(True, True), (False, False), (None, False)])
def test_progress_is_shown_when_asked_for(progress, shown, capsys):
    train(build("linear flow"), progress=progress)
    captured = capsys.readouterr()
    assert ("held-out nll" in captured.err) == shown and not captured.out


@pytest.mark.parametrize("name", ["max_steps", "batch_size", "n_evaluations", "patience"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"^Expected {name} to be an integer of at least 1; got 0"):
        train(build("quadratic"), **{name: 0})


# What happens at each step -----------------------------------------------------------------------


@pytest.mark.parametrize("max_steps, warmup", [(1, 0.1), (7, 0.0), (100, 0.1), (1000, 0.35)])
def test_the_learning_rate_rises_in_a_line_and_falls_along_a_cosine(max_steps, warmup):
    schedule = OneCycle(max_steps, 3e-3, warmup)
    rates = [schedule.rate(step) for step in range(max_steps + 1)]
    rise = max(1, round(warmup * max_steps))
    for step, rate in enumerate(rates):
        angle = math.pi * (step - rise) / max(1, max_steps - rise)
        slow = (step + 1) / rise if step < rise else (1 + math.cos(angle)) / 2
        assert rate == pytest.approx(3e-3 * slow, abs=1e-12)
    assert max(rates) == pytest.approx(3e-3) and min(rates[:-1]) > 0
    if max_steps > 1:
        assert rates[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n_rows, size", [(10, 10), (10, 3), (100, 10), (7, 50), (5, 1)])
def test_each_epoch_is_a_permutation(n_rows, size, assert_rng_untouched):
    with assert_rng_untouched():
        batches = Batches(n_rows, size, seed=3)
        epochs = [[batches.rows(step) for step in range(batches.per_epoch)]]
        epochs.append([batches.rows(batches.per_epoch + i) for i in range(batches.per_epoch)])
    for epoch in epochs:
        taken = torch.cat(epoch).tolist()
        assert all(len(batch) == min(size, n_rows) for batch in epoch)
        assert len(set(taken)) == len(taken) > n_rows - size and set(taken) <= set(range(n_rows))
    assert n_rows < 7 or not same(*epochs)


def test_batches_depend_on_seed_and_step_alone():
    in_order, jumping, other = (Batches(50, 8, seed) for seed in (3, 3, 4))
    steps = [in_order.rows(step) for step in range(30)]
    for step in (29, 0, 13, 14, 5):
        assert torch.equal(jumping.rows(step), steps[step])
    assert not torch.equal(other.rows(0), steps[0])


def test_seeds_of_steps_are_all_different():
    seeds = {mix(seed, step) for seed in range(-3, 40) for step in range(-100, 400)}
    assert len(seeds) == 43 * 500 and all(0 <= seed < 2**63 for seed in seeds)
