"""Objectives that users write: what they return, and what they keep."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from identiflow.ivae import IVAE, elbo
from identiflow.shared.inputs.remarks import InputWarning

Array = np.ndarray
SMALL: dict[str, Any] = {"hidden": (8,), "max_steps": 6, "compile": False}
WRONG: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "a mean": (lambda values: values.mean(), r"got \(\)"),
    "a column": (lambda values: values[:, None], r"got \(\d+, 1\)"),
    "some rows": (lambda values: values[:-1], r"got \(\d+,\)"),
    "one row": (lambda values: values[:1], r"got \(1,\)"),
    "nothing": (lambda values: None, "got NoneType"),
    "a number": (lambda values: 1.0, "got float"),
    "an array": (lambda values: values.detach().numpy(), "got ndarray"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_number_for_each_row_is_refused(case: str, x: Array, u: Array) -> None:
    change, got = WRONG[case]

    def objective(*args: Any, **options: Any) -> Any:
        return change(elbo(*args, **options))

    with pytest.raises(ValueError, match=f"Expected an objective that returns .* each row; {got}"):
        IVAE(1, objective=objective, **SMALL).fit(x, u)


class Counting:
    """Anneals by a number of its own."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *args: Any, **options: Any) -> Tensor:
        self.calls += 1
        return min(1.0, self.calls / 10) * elbo(*args, **options)


class CountingInABuffer(nn.Module):
    """The same, by a tensor."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, *args: Any, **options: Any) -> Tensor:
        self.calls += 1
        return (self.calls / 10).clamp(max=1.0) * elbo(*args, **options)


@pytest.mark.parametrize("objective", [Counting, CountingInABuffer, lambda: elbo])
def test_what_changes_outside_of_tensors_is_warned_of(
    objective: Callable[[], Any], x: Array, u: Array, tmp_path: Path
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        IVAE(1, objective=objective(), **SMALL).fit(x, u, checkpoint=tmp_path / "run")
    said = [w for w in caught if "changes as it is called" in str(w.message)]
    assert [w.category for w in said] == [InputWarning] * (objective is Counting)
