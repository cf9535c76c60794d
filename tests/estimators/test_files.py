"""Laws of what outlives a process: saved estimators, copies, checkpoints of a fit."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.training import FileFormatError, load_tensors, save_tensors

Array = np.ndarray
Make = Callable[..., Estimator]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_a_loaded_estimator_is_the_same_bit_for_bit(
    fitted: Estimator, path: Path, u: Array, assert_same_bits: Callable
) -> None:
    fitted.save(path)
    loaded = type(fitted).load(path)
    assert_same_bits(loaded, fitted)
    assert loaded.get_params() == fitted.get_params() and repr(loaded) == repr(fitted)
    assert loaded.history_ == fitted.history_
    for name in fitted.measured:
        assert getattr(loaded, name) == getattr(fitted, name)
    assert str(loaded.check_identifiability(u)) == str(fitted.check_identifiability(u))


COPIES: dict[str, Callable[[Estimator], Estimator]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_is_the_same_bit_for_bit(
    way: str, fitted: Estimator, assert_same_bits: Callable
) -> None:
    assert_same_bits(COPIES[way](fitted), fitted)


KINDS_OF_U: dict[str, tuple[Callable[[Array], Any], str]] = {
    "strings": (lambda u: np.array(["a", "bé", "c, d"])[u % 3], "mean"),
    "continuous": (lambda u: u / 7 + np.sqrt(np.arange(len(u))), "scale"),
    "mixed": (lambda u: pd.DataFrame({"label": u, "time": u / 7}), "mean_and_scale"),
    "two labels": (lambda u: np.stack([u, u % 2], axis=1), "mean_and_scale"),
}


@pytest.mark.parametrize("kind", KINDS_OF_U)
def test_files_keep_how_u_is_read(kind: str, make: Make, x: Array, u: Array, path: Path) -> None:
    read, prior = KINDS_OF_U[kind]
    fit = make(prior=prior, max_steps=5).fit(x, read(u))
    fit.save(path)
    loaded = type(fit).load(path)
    np.testing.assert_array_equal(loaded.log_prob(x, read(u)), fit.log_prob(x, read(u)))


# Files that are none -----------------------------------------------------------------------------


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def cut_in_half(fit: Estimator, path: Path) -> None:
    fit.save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite(fit: Estimator, path: Path, **changes: str) -> None:
    fit.save(path)
    with safe_open(path, framework="pt") as file:
        header, names = dict(file.metadata()), list(file.keys())
        tensors = {name: file.get_tensor(name) for name in names}
    save_file(tensors, path, metadata={**header, **changes})


BAD_FILES: dict[str, tuple[Callable[[Estimator, Path], object], str]] = {
    "a pickle in disguise": (
        lambda _, path: path.write_bytes(pickle.dumps(Bomb(path.with_name("fired")))),
        "safetensors file written by save.* nothing in it was executed",
    ),
    "a torch file": (
        lambda fit, path: torch.save(fit.model_.state_dict(), path),
        "safetensors file written by save",
    ),
    "half a file": (cut_in_half, "safetensors file written by save"),
    "an empty file": (lambda _, path: path.write_bytes(b""), "safetensors file written by save"),
    "tensors of someone else": (
        lambda _, path: save_file({"a": torch.zeros(1)}, path),
        "written by identiflow",
    ),
    "a newer version": (
        lambda fit, path: rewrite(fit, path, version="999"),
        "format version ≤ 1; got 999.* Upgrade",
    ),
    "another class": (
        lambda fit, path: rewrite(fit, path, kind="Other"),
        "to hold '(IFlow|IVAE)'; got 'Other'",
    ),
    "another setting": (lambda fit, path: rewrite(fit, path, info="{}"), "damaged"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_model_is_refused(case: str, fitted: Estimator, path: Path) -> None:
    write, message = BAD_FILES[case]
    write(fitted, path)
    with pytest.raises(FileFormatError, match=message):
        type(fitted).load(path)
    assert not path.with_name("fired").exists()


def reach(value: Any, keys: list[str]) -> Any:
    for key in keys:
        value = value[key]
    return value


# What someone could write into a file whose digest is right, and what is then found wrong.
HOSTILE: dict[str, tuple[list[str], Any, str]] = {
    "an unknown parameter": (["parameters", "evil"], 1, "unexpected keyword argument 'evil'"),
    "a model of terabytes": (
        ["parameters", "hidden"],
        [10**6, 10**6],
        "no widths as there are numbers",
    ),
    "columns beyond memory": (["n_features_in"], 10**5, "no x_mean"),
    "a word for a number": (["parameters", "seed"], "now", "invalid literal|int"),
    "an unknown field of u": (["auxiliary", "evil"], 1, "no encoding of u"),
    "an unknown field of the history": (["history", "evil"], 1, "no history"),
    "labels that are none": (["auxiliary", "labels"], 5, "no labels of u"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused(case: str, fitted: Estimator, path: Path) -> None:
    keys, value, message = HOSTILE[case]
    fitted.save(path)
    tensors, info = load_tensors(path, type(fitted).__name__)
    reach(info, keys[:-1])[keys[-1]] = value
    save_tensors(path, type(fitted).__name__, tensors, info)
    with pytest.raises(ValueError, match=f"(?s)^(Expected|invalid literal).*{message}"):
        type(fitted).load(path)


def test_a_file_sets_no_attributes_but_the_measured_ones(fitted: Estimator, path: Path) -> None:
    fitted.save(path)
    tensors, info = load_tensors(path, type(fitted).__name__)
    info["measured"] |= {"transform": "gone", "__class__": "other"}
    save_tensors(path, type(fitted).__name__, tensors, info)
    assert callable(type(fitted).load(path).transform)


@pytest.mark.parametrize("entry", ["../model/x_mean", "/etc/passwd", "model/../../x"])
def test_names_of_tensors_are_no_paths(entry: str, fitted: Estimator, path: Path) -> None:
    fitted.save(path)
    tensors, info = load_tensors(path, type(fitted).__name__)
    before = sorted(path.parent.rglob("*"))
    save_tensors(path, type(fitted).__name__, {**tensors, entry: torch.zeros(1)}, info)
    with pytest.raises(FileFormatError, match="of shape"):
        type(fitted).load(path)
    assert sorted(path.parent.rglob("*")) == before


def test_a_header_beyond_memory_is_refused(fitted: Estimator, path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{" * 100)
    with pytest.raises(FileFormatError, match="safetensors file written by save"):
        type(fitted).load(path)


def test_the_bomb_would_have_gone_off(path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(path)))
    assert path.exists()


def test_classes_do_not_load_each_other(fits: dict[str, Estimator], path: Path) -> None:
    fits["IFlow"].save(path)
    with pytest.raises(ValueError, match="to hold 'IVAE'; got 'IFlow'"):
        IVAE.load(path)
    with pytest.raises(FileNotFoundError, match="written by save; found none at"):
        IFlow.load(path.with_name("none"))


# Stopping and resuming ---------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [3, 13, 22])
def test_a_resumed_fit_is_the_uninterrupted_one(
    stop: int,
    make: Make,
    fitted: Estimator,
    x: Array,
    u: Array,
    path: Path,
    interrupted_after: Callable[[int], AbstractContextManager],
    assert_same_bits: Callable,
) -> None:
    """An exception in any step, of a warm start too; the same call takes up the work."""
    with interrupted_after(stop):
        make().fit(x, u, checkpoint=path)
    resumed = make().fit(x, u, checkpoint=path)
    weights, expected = resumed.model_.state_dict(), fitted.model_.state_dict()
    assert [key for key in expected if not torch.equal(weights[key], expected[key])] == []
    assert resumed.history_.held_out_loss == fitted.history_.held_out_loss
    assert_same_bits(resumed, fitted)


def test_a_checkpoint_of_another_fit_is_refused(make: Make, x: Array, u: Array, path: Path) -> None:
    make().fit(x, u, checkpoint=path)
    message = f"checkpoint {re.escape(str(path))}.* belong to this fit.* Delete it"
    for other in (make(seed=1), make(learning_rate=0.1)):
        with pytest.raises(FileFormatError, match=message):
            other.fit(x, u, checkpoint=path)
    with pytest.raises(FileFormatError, match=message):
        make().fit(x + 0.1 * x**2, u, checkpoint=path)


def test_options_that_do_not_fit_a_file_are_named(
    make: Make, fitted: Estimator, path: Path
) -> None:
    fitted.save(path)
    with pytest.raises(FileFormatError, match="or was not fitted with the hidden given to load"):
        type(fitted).load(path, hidden=(5,))
