"""Fits beside each other: in threads, in processes however they are started, and many in a row."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import torch

from identiflow.iflow import IFlow
from identiflow.shared.estimators.base import Estimator

Array = np.ndarray
Make = Callable[..., Estimator]
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


def test_fits_in_threads_are_those_made_alone(
    make: Make, x: Array, u: Array, assert_same_bits: Callable, assert_rng_untouched: Callable
) -> None:
    alone = [make(seed=seed).fit(x, u) for seed in range(4)]
    with assert_rng_untouched(), ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(lambda seed: make(seed=seed).fit(x, u), range(4)))
    for a, b in zip(alone, beside, strict=True):
        assert_same_bits(a, b)


def latents_of_a_fit(x: Array, u: Array) -> Array:
    """On one thread: rounding depends on their number, and a fork of several may hang."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return small().fit(x, u).transform(x)
    finally:
        torch.set_num_threads(before)


def small() -> IFlow:
    return IFlow(n_layers=1, hidden=(8,), max_steps=10, compile=False)


@pytest.mark.usefixtures("whole_starts")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_makes_the_same_fit_however_it_was_started(
    method: str, x: Array, u: Array
) -> None:
    expected = latents_of_a_fit(x, u)
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        np.testing.assert_array_equal(pool.submit(latents_of_a_fit, x, u).result(600), expected)


def growth(x: Array, u: Array, n_fits: int) -> int:
    """How many KiB the largest memory of this process grows by, from the 20th fit on."""
    for i in range(n_fits):
        flow = small().fit(x, u)
        flow.transform(x)
        flow.log_prob(x, u)
        if i == 20:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def test_memory_is_flat_over_many_fits(x: Array, u: Array) -> None:
    n_fits = 1000 if NIGHTLY else 60
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(growth, x, u, n_fits).result() < 10_000


def test_threads_of_callers_keep_their_number(x: Array, u: Array) -> None:
    """Passes over many rows set one thread of torch in threads of their own, and nowhere else."""
    flow, many, before = small().fit(x, u), np.tile(x, (100, 1)), torch.get_num_threads()
    torch.set_num_threads(2)
    try:

        def number_after_a_pass(_: int) -> int:
            flow.transform(many)
            return torch.get_num_threads()

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(number_after_a_pass, range(40))) == {2}
    finally:
        torch.set_num_threads(before)
