"""Files of models with anything changed and the checksum made right again: refused, or the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from experiments.checks.damaged_files import try_files
from identiflow.shared import files
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.files import FileFormatError, load_tensors, save_tensors

Array = np.ndarray
Make = Callable[..., Estimator]
Contents = tuple[dict[str, Tensor], dict[str, Any]]


@pytest.fixture(scope="module")
def u_of_two_kinds() -> pd.DataFrame:
    return pd.DataFrame({"l": np.array(list("abcdefghij"))[np.arange(200) % 10], "t": TIME})


TIME = np.linspace(0, 1, 200) ** 2


@pytest.fixture
def fit(make: Make, x: Array, u_of_two_kinds: pd.DataFrame) -> Estimator:
    return make(max_steps=2).fit(x, u_of_two_kinds)


@pytest.fixture
def contents(fit: Estimator, tmp_path: Path) -> Contents:
    fit.save(tmp_path / "model")
    return load_tensors(tmp_path / "model", type(fit).__name__)


def outputs(fit: Estimator, x: Array, u: Any) -> list[Array]:
    return [fit.transform(x, u), fit.log_prob(x, u)]


def test_a_mutated_file_is_refused_or_the_same(
    fit: Estimator, x: Array, u_of_two_kinds: pd.DataFrame
) -> None:
    """4,000 of each by `python -m experiments damaged_files`."""
    found = try_files(fit, x, u_of_two_kinds, 100)
    assert found.another == 0 and found.refused > 50
    assert found.refused + found.same == 100


BROKEN: dict[str, Callable[[dict[str, Tensor], dict[str, Any]], object]] = {
    "no parameters": lambda tensors, info: info.pop("parameters"),
    "no history": lambda tensors, info: info.pop("history"),
    "an empty history": lambda tensors, info: info.update(history={}),
    "no u": lambda tensors, info: info["auxiliary"].update(labels=None, mean=None),
    "a label twice": lambda tensors, info: info["auxiliary"].update(labels=["a"] * 10),
    "another label": lambda tensors, info: info["auxiliary"]["labels"].__setitem__(3, "z"),
    "u scaled by 0": lambda tensors, info: info["auxiliary"].update(scale=[0.0]),
    "limits the wrong way": lambda tensors, info: info["auxiliary"].update(low=[1.0], high=[0.0]),
    "x scaled by 0": lambda tensors, info: tensors["x_scale"].zero_(),
    "x scaled by -1": lambda tensors, info: tensors["x_scale"].neg_(),
    "x scaled by NaN": lambda tensors, info: tensors["x_mean"].fill_(torch.nan),
    "thousands of layers": lambda tensors, info: info["parameters"].update(n_layers=3000),
    "wide layers": lambda tensors, info: info["parameters"].update(hidden=[10**9]),
    "a seed below 0": lambda tensors, info: info["parameters"].update(seed=-1),
    "a word for a number": lambda tensors, info: info["parameters"].update(max_steps="many"),
    "weights that are NaN": lambda tensors, info: weight_of(tensors).fill_(torch.nan),
    "weights without end": lambda tensors, info: weight_of(tensors).fill_(torch.inf),
    "weights with another sign": lambda tensors, info: weight_of(tensors).neg_(),
    "a list": lambda tensors, info: info.update(auxiliary=[]),
}


def weight_of(tensors: dict[str, Tensor]) -> Tensor:
    """The largest of them."""
    return max((t for n, t in tensors.items() if n.startswith("model/")), key=torch.numel)


@pytest.mark.parametrize("case", BROKEN)
def test_what_no_fit_is_like_is_refused(
    case: str, name: str, fit: Estimator, contents: Contents, tmp_path: Path
) -> None:
    if case == "thousands of layers" and name != "IFlow":
        return
    tensors, info = contents
    BROKEN[case](tensors, info)
    save_tensors(tmp_path / "changed", type(fit).__name__, tensors, info)
    with pytest.raises(FileFormatError, match="changed to hold an I.* It is damaged, or of anoth"):
        type(fit).load(tmp_path / "changed")


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "", '{"a": ', "[1, 2]", "null", "7"])
def test_plain_values_that_are_none_are_refused(
    text: str, fit: Estimator, contents: Contents, tmp_path: Path
) -> None:
    tensors, _ = contents
    header = {"format": "identiflow", "version": "1", "kind": type(fit).__name__, "info": text}
    header["sha256"] = files._digest(tensors, text)
    save_file(tensors, tmp_path / "changed", metadata=header)
    with pytest.raises(FileFormatError):
        type(fit).load(tmp_path / "changed")


def test_a_file_of_before_is_read(
    fit: Estimator, contents: Contents, x: Array, u_of_two_kinds: pd.DataFrame, tmp_path: Path
) -> None:
    """They have no rows to compute again."""
    tensors, info = contents
    tensors = {name: t for name, t in tensors.items() if not name.startswith("probe/")}
    del info["probe"]
    save_tensors(tmp_path / "before", type(fit).__name__, tensors, json.loads(json.dumps(info)))
    loaded = type(fit).load(tmp_path / "before")
    for got, value in zip(
        outputs(loaded, x, u_of_two_kinds), outputs(fit, x, u_of_two_kinds), strict=True
    ):
        np.testing.assert_array_equal(got, value)
