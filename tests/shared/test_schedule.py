"""What happens at each step is a function of the seed and the step number alone."""

from __future__ import annotations

import math

import pytest
import torch

from identiflow.shared.training.stage import Batches, OneCycle, mix


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
    assert n_rows < 7 or not all(map(torch.equal, *epochs))


def test_batches_depend_on_seed_and_step_alone():
    in_order, jumping, other = (Batches(50, 8, seed) for seed in (3, 3, 4))
    steps = [in_order.rows(step) for step in range(30)]
    for step in (29, 0, 13, 14, 5):
        assert torch.equal(jumping.rows(step), steps[step])
    assert not torch.equal(other.rows(0), steps[0])


def test_seeds_of_steps_are_all_different():
    seeds = {mix(seed, step) for seed in range(-3, 40) for step in range(-100, 400)}
    assert len(seeds) == 43 * 500 and all(0 <= seed < 2**63 for seed in seeds)
