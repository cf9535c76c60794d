"""What a file holds of an estimator's parameters: all of them, or it is refused in time."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nflows.transforms import Transform

from identiflow.iflow import IFlow, spline_coupling_flow
from identiflow.ivae import IVAE
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.priors import GaussianPrior

Array = np.ndarray
Make = Callable[..., Estimator]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


# Sorts of numbers, as grid searches and other libraries set them: integers, then real numbers.
NUMBERS: dict[str, tuple[Callable[[int], Any], Callable[[float], Any]]] = {
    "numpy, 64 bits": (np.int64, np.float64),
    "numpy, 32 bits": (np.int32, np.float32),
    "numpy, unsigned and half": (np.uint8, np.float16),
    "fractions": (int, Fraction),
    "in arrays of no axes": (lambda n: np.arange(9)[n], lambda v: np.linspace(v, 1, 3)[0]),
}


@pytest.mark.parametrize(
    ("numbers", "widths"),
    [("numpy, 64 bits", list), *zip(NUMBERS, [tuple, np.array, tuple, list, tuple], strict=True)],
)
def test_numbers_of_any_sort_are_stored(
    numbers: str,
    widths: Callable,
    make: Make,
    x: Array,
    u: Array,
    path: Path,
    assert_same_bits: Callable,
) -> None:
    integer, real = NUMBERS[numbers]
    options = {name: integer(2) for name in ("max_steps", "seed", "batch_size", "patience")}
    rates = {name: real(0.125) for name in ("learning_rate", "weight_decay", "validation_fraction")}
    fit = make(**options, **rates, hidden=widths([integer(4)])).fit(x, u)
    fit.save(path)
    assert_same_bits(type(fit).load(path), fit)


@pytest.mark.parametrize("option", ["hidden", "max_steps", "noise_std", "baseline"])
@pytest.mark.parametrize("value", [1 + 2j, np.complex64(1), {1, 2}, {"a": 1}])
def test_what_no_file_holds_is_refused_before_training(
    option: str, value: Any, x: Array, u: Array
) -> None:
    with pytest.raises(ValueError, match=f"Expected {option} "):
        IVAE(1, **{"max_steps": 10**9, option: value}).fit(x, u)


def test_a_part_that_is_built_otherwise_each_time_is_not_saved(
    x: Array, u: Array, path: Path
) -> None:
    layers = iter([1, 2, 2, 1, 1])

    def build(d: int) -> Transform:
        return spline_coupling_flow(d, n_layers=next(layers), hidden=(8,))

    IFlow(n_layers=1, hidden=(4,), max_steps=2).fit(x, u).save(path)
    before = path.read_bytes()
    fit = IFlow(architecture=build, max_steps=2).fit(x, u)
    with pytest.raises(ValueError, match="is another once it is read with its own architecture"):
        fit.save(path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
    assert np.isfinite(fit.score(x, u))


def test_parts_of_ones_own_are_given_again_to_load(
    make: Make, x: Array, u: Array, path: Path, latent_dim: int, assert_same_bits: Callable
) -> None:
    fit = make(prior=GaussianPrior(latent_dim, n_labels=10), max_steps=5).fit(x, u)
    fit.save(path)
    with pytest.raises(ValueError, match="Expected prior= with load: files hold no code"):
        type(fit).load(path)
    assert_same_bits(type(fit).load(path, prior=GaussianPrior(latent_dim, n_labels=10)), fit)
    other = GaussianPrior(latent_dim, n_labels=10, modulates="scale")
    with pytest.raises(ValueError, match=f"Expected {re.escape(str(path))} to hold an .* of shape"):
        type(fit).load(path, prior=other)


def test_a_list_that_is_changed_after_the_fit_changes_no_file(
    make: Make, x: Array, u: Array, path: Path, assert_same_bits: Callable
) -> None:
    hidden = [16]
    fit = make(hidden=hidden, max_steps=3).fit(x, u)
    hidden.append(99)
    fit.save(path)
    assert_same_bits(type(fit).load(path), fit)
