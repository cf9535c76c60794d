"""Torch's modes are the caller's: whichever are set, a fit and its results are the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from identiflow.iflow import IFlow
from identiflow.shared.estimators.base import Estimator

Array = np.ndarray
Make = Callable[..., Estimator]


@contextmanager
def float32_products(precision: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)


MODES: dict[str, Callable[[], AbstractContextManager]] = {
    "a default device": partial(torch.device, "meta"),  # as "cuda" is one, where there is one
    "autocast to bfloat16": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
    "autocast to float16": partial(torch.autocast, "cpu", dtype=torch.float16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "products of few digits": partial(float32_products, "medium"),
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


def test_a_stream_is_read_and_drawn_for_under_another_default_device(
    make: Make, fitted: Estimator, x: Array, u: Array, assert_same_bits: Callable
) -> None:
    rows = TensorDataset(torch.tensor(x), torch.tensor(u))
    with torch.device("meta"):
        assert_same_bits(make().fit(rows), fitted)
    if isinstance(fitted, IFlow):
        with torch.device("meta"):
            assert np.isfinite(fitted([0, 1]).sample((2,)).numpy()).all()
