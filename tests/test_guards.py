"""The guards in the root conftest.py do catch what they are there to catch."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

DRAWS = {
    "random": random.random,
    "numpy.random": np.random.rand,
    "torch": lambda: torch.rand(1),
}

LEAKS = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "number of threads": lambda: torch.set_num_threads(1 + torch.get_num_threads()),
    "gradient mode": lambda: torch.set_grad_enabled(False),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "floating-point errors": lambda: np.seterr(all="raise"),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_from_a_global_generator_is_caught(name, assert_rng_untouched):
    with pytest.raises(pytest.fail.Exception, match=name), assert_rng_untouched():
        DRAWS[name]()


def test_a_draw_from_an_own_generator_is_allowed(assert_rng_untouched):
    with assert_rng_untouched():
        np.random.default_rng(0).random()
        torch.rand(1, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("repeat", [1, 2])
def test_every_test_starts_from_the_same_seed(name, repeat):
    first = {"random": 0.8444218515250481, "numpy.random": 0.5488135039273248}
    torch_first = torch.rand(1, generator=torch.Generator().manual_seed(0)).item()
    assert float(DRAWS[name]()) == first.get(name, torch_first)


@pytest.mark.parametrize("name", LEAKS)
def test_a_leaked_setting_is_caught_and_put_back(name, assert_settings_untouched):
    with assert_settings_untouched():  # finds nothing: the inner one has put the setting back
        with pytest.raises(pytest.fail.Exception, match=name), assert_settings_untouched():
            LEAKS[name]()
