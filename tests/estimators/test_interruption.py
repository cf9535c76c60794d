"""SIGINT and SIGTERM wait for the step under way and its checkpoint; no step is taken twice."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from identiflow.shared.estimators.base import Estimator
from identiflow.shared.training.training import Training

Array = np.ndarray
Make = Callable[..., Estimator]
ENDINGS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: SystemExit}


@contextmanager
def handled_by(handler: Any, number: int = signal.SIGINT) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
        assert signal.getsignal(number) == handler
    finally:
        signal.signal(number, before)


@pytest.fixture(autouse=True)
def _as_in_the_foreground() -> Iterator[None]:
    """A shell starts what it puts in the background with SIGINT ignored."""
    with handled_by(signal.default_int_handler):
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.ckpt"


def steps_with(
    monkeypatch: pytest.MonkeyPatch, at: Callable[[int], object] = lambda step: None
) -> list[None]:
    """Count the steps taken from now on, and call `at` in each."""
    steps, update = [], Training.update

    def counted(training: Training, *args: Any) -> None:
        steps.append(None)
        at(len(steps))
        update(training, *args)

    monkeypatch.setattr(Training, "update", counted)
    return steps


def raised_at(step: int, number: int, times: int = 1) -> Callable[[int], None]:
    def at(now: int) -> None:
        for _ in range(times if now == step else 0):
            signal.raise_signal(number)

    return at


@pytest.mark.parametrize("number", ENDINGS)
@pytest.mark.parametrize("stops", [(1,), (4,), (5, 2), (23,)])
def test_a_signal_waits_for_the_step_and_loses_none(
    stops: tuple[int, ...],
    number: int,
    make: Make,
    x: Array,
    u: Array,
    path: Path,
    assert_same_bits: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handlers = [signal.getsignal(each) for each in ENDINGS]
    with monkeypatch.context() as patch:
        steps = steps_with(patch)
        whole = make().fit(x, u)
    for stop in stops:
        with monkeypatch.context() as patch, pytest.raises(ENDINGS[number]):
            steps_with(patch, raised_at(stop, number))
            make().fit(x, u, checkpoint=path)
        assert [signal.getsignal(each) for each in ENDINGS] == handlers
    left = steps_with(monkeypatch)
    assert_same_bits(make().fit(x, u, checkpoint=path), whole)
    assert len(left) == len(steps) - sum(stops)


def test_a_second_signal_acts_at_once(
    make: Make, x: Array, u: Array, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = steps_with(monkeypatch, raised_at(7, signal.SIGINT, times=2))
    with pytest.raises(KeyboardInterrupt):
        make().fit(x, u, checkpoint=path)
    assert len(steps) == 7


def test_a_signal_with_a_handler_of_ones_own_goes_to_it(
    make: Make, x: Array, u: Array, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        pass

    def handle(*_: object) -> None:
        raise Stop

    steps_with(monkeypatch, raised_at(7, signal.SIGTERM))
    with handled_by(handle, signal.SIGTERM), pytest.raises(Stop):
        make().fit(x, u, checkpoint=path)


@pytest.mark.parametrize("times", [1, 2])
def test_a_fit_goes_on_where_a_signal_is_ignored_or_its_handler_returns(
    times: int,
    make: Make,
    x: Array,
    u: Array,
    path: Path,
    assert_same_bits: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, seen = make().fit(x, u), []

    def handle(*_: object) -> None:
        seen.append(path.exists())

    for handler in (signal.SIG_IGN, handle):
        path.unlink(missing_ok=True)
        with handled_by(handler), monkeypatch.context() as patch:
            steps_with(patch, raised_at(7, signal.SIGINT, times))
            model = make().fit(x, u, checkpoint=path)
        assert_same_bits(model, whole)
    assert len(seen) == times and seen[-1]  # the one that waits comes after the state was saved


def test_signals_without_a_checkpoint_or_in_a_thread_are_left_alone(
    make: Make, x: Array, u: Array, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = signal.getsignal(signal.SIGINT), []
    steps_with(monkeypatch, lambda _: seen.append(signal.getsignal(signal.SIGINT)))
    make().fit(x, u)
    alone = threading.Thread(target=lambda: make().fit(x, u, checkpoint=path))
    alone.start()
    alone.join()
    assert path.exists() and set(seen) == {before}


def test_a_fit_removes_what_a_killed_write_of_its_checkpoint_left(
    make: Make, x: Array, u: Array, path: Path
) -> None:
    path.with_name(f"{path.name}.0123abcd.part").touch()
    make().fit(x, u, checkpoint=path)
    assert not list(path.parent.glob("*.part"))
