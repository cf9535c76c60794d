"""Ours and a peer's, timed in turn (A B A B ...), and the ratios of neighbouring rounds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from experiments.benchmarks.plan import Rounds
from experiments.benchmarks.rows import Comparison

Action = Callable[[], object]


class Timings(NamedTuple):
    """Seconds of one call, one number a round; round i of both was measured next to each other."""

    ours: list[float]
    peer: list[float]


def compare(
    name: str, peer: str, ours: Action, theirs: Action, rounds: Rounds, **details: float
) -> Comparison:
    """Time two actions in turn, as a row."""
    return Comparison.of(name, peer, *interleave(ours, theirs, rounds), details)


def interleave(ours: Action, theirs: Action, rounds: Rounds) -> Timings:
    """Warm both up, then time one after the other, round by round."""
    for action in (ours, theirs):
        for _ in range(rounds.warm_up):
            action()
    timings = Timings([], [])
    for _ in range(rounds.rounds):
        timings.ours.append(seconds_per_call(ours, rounds.calls))
        timings.peer.append(seconds_per_call(theirs, rounds.calls))
    return timings


def seconds_per_call(action: Action, calls: int) -> float:
    """Wall time of one call, as the mean over `calls` of them."""
    started = time.perf_counter()
    for _ in range(calls):
        action()
    return (time.perf_counter() - started) / calls
