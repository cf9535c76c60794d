"""A fit is a function of its seed, and goes on bit for bit from where it was stopped."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from identiflow.shared.training import DivergedError, FileFormatError, History
from identiflow.shared.training.training import MAX_BAD_STEPS_IN_A_ROW, Training


def without_time(history: History) -> History:
    return replace(history, seconds=0.0)


def test_the_same_seed_gives_the_same_bits(name, a_model, train, same, assert_rng_untouched):
    results = []
    for seed in (4, 4, 5):
        model = a_model(name)
        with assert_rng_untouched():
            history = train(model, seed=seed)
        results.append((without_time(history), model))
    (history, first), (again, second), (_, other) = results
    assert history == again and same(first, second)
    assert not same(first, other)


def stop_at(stop: int) -> Callable[[int], float]:
    def before(number: int) -> float:
        if number == stop:
            raise KeyboardInterrupt
        return 1.0

    return before


@pytest.mark.parametrize("stops", [(0,), (3,), (5,), (23,), (12, 12), (38, 1)])
def test_a_resumed_fit_equals_an_uninterrupted_one(
    name, stops, a_model, train, same, calls_of_loss, tmp_path
):
    whole = a_model(name)
    expected = train(whole)
    path = tmp_path / "run.ckpt"
    for stop in stops:
        model = a_model(name)
        calls_of_loss(model, stop_at(stop))
        with pytest.raises(KeyboardInterrupt):
            train(model, checkpoint=path)
    model = a_model(name)
    calls = calls_of_loss(model)
    history = train(model, checkpoint=path)
    assert without_time(history) == without_time(expected)
    assert same(model, whole)
    # It takes up the last evaluation before each stop, every 5 steps.
    assert len(calls) == 40 - sum(stop // 5 * 5 for stop in stops)


def test_a_stop_while_evaluating_resumes_too(a_model, train, same, tmp_path, monkeypatch):
    whole, model, path = a_model("linear flow"), a_model("linear flow"), tmp_path / "run.ckpt"
    expected, record, count = train(whole), Training.record, []

    def interrupted(*args: Any) -> None:
        record(*args)
        count.append(None)
        if len(count) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Training, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(model, checkpoint=path)
    model = a_model("linear flow")
    assert without_time(train(model, checkpoint=path)) == without_time(expected)
    assert same(model, whole)


def test_a_finished_fit_is_not_trained_again(a_model, train, same, calls_of_loss, tmp_path):
    whole, model, path = a_model("linear flow"), a_model("linear flow"), tmp_path / "run.ckpt"
    calls_of_loss(whole)
    expected = train(whole, checkpoint=path)
    calls = calls_of_loss(model)
    assert train(model, checkpoint=path) == expected
    assert not calls and same(model, whole)


OTHER_FITS: dict[str, dict[str, Any]] = {
    "seed": {"seed": 1},
    "budget": {"max_steps": 41},
    "learning rate": {"learning_rate": 1e-3},
    "patience": {"patience": 3},
}


@pytest.mark.parametrize("change", [*OTHER_FITS, "held-out rows", "data", "starting weights"])
def test_the_checkpoint_of_another_fit_is_refused(change, a_model, train, small, tmp_path):
    path = tmp_path / "run.ckpt"
    train(a_model("linear flow"), checkpoint=path)
    before, model = path.read_bytes(), a_model("linear flow")
    changes = OTHER_FITS.get(change, {})
    if change == "starting weights":
        model.A.data[0, 0] += 1
    if change == "data":
        changes = {"x": small["x"].flip(0)}
    if change == "held-out rows":
        changes = {"x_held_out": small["x_held_out"] + 1}
    with pytest.raises(FileFormatError, match=r"run.ckpt to belong to this fit.*Delete it"):
        train(model, **changes, checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_a_truncated_checkpoint_is_refused(kept, a_model, train, tmp_path):
    path = tmp_path / "run.ckpt"
    train(a_model("linear flow"), checkpoint=path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FileFormatError, match="run.ckpt.*damaged"):
        train(a_model("linear flow"), checkpoint=path)


def test_bad_steps_before_a_stop_count_after_it(a_model, train, calls_of_loss, tmp_path):
    path, bad = tmp_path / "run.ckpt", 60
    for before in (lambda number: math.nan * stop_at(bad)(number), lambda _: math.nan):
        model = a_model("quadratic")
        calls = calls_of_loss(model, before)
        with pytest.raises((KeyboardInterrupt, DivergedError)):
            train(model, max_steps=300, n_evaluations=10, patience=300, checkpoint=path)
    assert len(calls) == MAX_BAD_STEPS_IN_A_ROW - bad
