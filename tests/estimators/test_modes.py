"""Torch's modes are the caller's: whichever are set, a fit and its results are the same bits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from identiflow.shared.estimators.base import Estimator

Array = np.ndarray
Make = Callable[..., Estimator]

MODES: dict[str, Callable[[], AbstractContextManager]] = {
    "a default device": partial(torch.device, "meta"),  # as "cuda" is one, where there is one
    "autocast to bfloat16": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
    "autocast to float16": partial(torch.autocast, "cpu", dtype=torch.float16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
}


@pytest.mark.parametrize("mode", MODES)
def test_a_fit_in_any_mode_is_the_same(
    mode: str,
    make: Make,
    fitted: Estimator,
    x: Array,
    u: Array,
    assert_same_bits: Callable[[Estimator, Estimator], None],
) -> None:
    with MODES[mode]():
        other = make().fit(x, u)
    assert_same_bits(other, fitted)
    assert other.history_.held_out_loss == fitted.history_.held_out_loss


@pytest.mark.parametrize("mode", MODES)
def test_results_in_any_mode_are_the_same(
    mode: str, fitted: Estimator, x: Array, u: Array, tmp_path: Path
) -> None:
    def results() -> list[object]:
        fitted.save(tmp_path / "model")
        loaded = type(fitted).load(tmp_path / "model")
        z = loaded.transform(x, u)
        return [
            z.tolist(),
            loaded.inverse_transform(z).tolist(),
            loaded.log_prob(x, u).tolist(),
            loaded.log_prob(x).tolist(),
            loaded.sample(u, seed=1).tolist(),
            loaded.transport(x, u, u[::-1].copy()).tolist(),
            str(loaded.check_identifiability(u)),
        ]

    expected = results()
    with MODES[mode]():
        assert results() == expected
