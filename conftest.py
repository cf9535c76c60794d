"""What holds for every test and docstring example: fixed seeds, no global state left changed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

os.environ.setdefault("MPLBACKEND", "Agg")  # figures are drawn, never shown
# torch's compiler takes the processor's word for what instructions it has. To try each set of them,
# as it would in every empty folder of files, takes a quarter of a minute.
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")

import hypothesis
import numpy as np
import pytest
import torch

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile(
    "nightly", deadline=None, database=None, max_examples=500, print_blob=True
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# The process-wide generators: how to seed one, read its state and put the state back.
GENERATORS: dict[str, tuple[Callable, Callable, Callable]] = {
    "random": (random.seed, random.getstate, random.setstate),
    "numpy.random": (np.random.seed, np.random.get_state, np.random.set_state),
    "torch": (torch.manual_seed, torch.get_rng_state, torch.set_rng_state),
}

# The settings a library must leave as it found them: how to read one and put it back.
SETTINGS: dict[str, tuple[Callable, Callable]] = {
    "torch default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch default device": (torch.get_default_device, torch.set_default_device),
    "torch number of threads": (torch.get_num_threads, torch.set_num_threads),
    "torch gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch anomaly detection": (
        torch.is_anomaly_enabled,
        torch.autograd.set_detect_anomaly,
    ),
    "torch deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "torch matmul precision": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "torch distribution validation": (
        lambda: torch.distributions.Distribution._validate_args,
        torch.distributions.Distribution.set_default_validate_args,
    ),
    "numpy floating-point errors": (np.geterr, lambda errors: np.seterr(**errors)),
}

# What `make test` leaves for `make test-rest`, by how the names of the tests begin: they take half
# of the time, and most of what they find other tests find too.
SLOW = (
    "shared/training/ensemble.py",
    "tests/estimators/test_auto_prior.py",
    "tests/estimators/test_ensemble.py::test_seeds_shared_out_to_processes_are_the_same_fits",
    "tests/estimators/test_generated_input.py",
    "tests/estimators/test_interoperation.py::test_programs_compute_what_the_estimator_does",
    "tests/estimators/test_threads.py::test_memory_is_flat_over_many_fits",
    "tests/estimators/test_workers.py::test_two_processes_find_the_weights_of_one",
    "tests/shared/test_compilable.py",
    "tests/shared/test_compilation.py",
    "tests/shared/test_compiler_files.py",
    "tests/test_benchmarks.py::test_every_benchmark_runs_and_writes_its_rows",
    "tests/test_contrastive.py::test_pcl_recovers_autocorrelated_sources",
    "tests/test_experiments.py::test_every_study_leaves_its_results",
    "tests/test_experiments.py::test_smoke",
    "tests/test_readme.py::test_the_examples_of_a_page_run_in_order[docs/choosing",
    "tests/test_readme.py::test_the_examples_of_a_page_run_in_order[docs/guides",
    "tests/test_site.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_configure() -> None:
    """One thread a worker, unless OMP_NUM_THREADS asks for more: the workers share the cores."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(autouse=True)
def seeded_generators() -> Iterator[None]:
    """Start every test from the same random state, and put the previous one back."""
    states = {name: get() for name, (_, get, _) in GENERATORS.items()}
    for seed, _, _ in GENERATORS.values():
        seed(0)
    yield
    for name, (_, _, put_back) in GENERATORS.items():
        put_back(states[name])


@pytest.fixture(autouse=True)
def no_settings_leak(
    assert_settings_untouched: Callable[[], AbstractContextManager[None]],
) -> Iterator[None]:
    """Fail a test that leaves a global setting changed, and put the setting back."""
    with assert_settings_untouched():
        yield


@pytest.fixture
def assert_settings_untouched() -> Callable[[], AbstractContextManager[None]]:
    """A context that must leave every one of SETTINGS as it was; it puts back what it finds."""
    return _settings_untouched


@pytest.fixture
def assert_rng_untouched() -> Callable[[], AbstractContextManager[None]]:
    """A context in which no process-wide random generator may be drawn from or reseeded.

    Public calls go inside: `with assert_rng_untouched(): flow.fit(x, u)`.
    """
    return _rng_untouched


@contextmanager
def _settings_untouched() -> Iterator[None]:
    before = {name: get() for name, (get, _) in SETTINGS.items()}
    yield
    leaks = []
    for name, (get, put_back) in SETTINGS.items():
        after = get()
        if after != before[name]:
            put_back(before[name])
            leaks.append(f"{name}: {before[name]} became {after}")
    if leaks:
        pytest.fail("Global state leaked. " + "; ".join(leaks), pytrace=False)


@contextmanager
def _rng_untouched() -> Iterator[None]:
    before = _generator_states()
    yield
    after = _generator_states()
    touched = [name for name in GENERATORS if after[name] != before[name]]
    if touched:
        pytest.fail(f"Global random state was touched: {', '.join(touched)}.")


def _generator_states() -> dict[str, Any]:
    """The state of each process-wide generator, in a form that compares by value."""
    _, keys, *rest = np.random.get_state()
    return {
        "random": random.getstate(),
        "numpy.random": (keys.tolist(), rest),
        "torch": torch.get_rng_state().tolist(),
    }
