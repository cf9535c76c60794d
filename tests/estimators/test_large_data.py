"""Fits to data on disk, from a Dataset and from a stream are fits to the same data in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from identiflow.shared.auxiliary import TimeSegments
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.inputs import rows
from identiflow.shared.training import fit_ensemble, streams

Array = np.ndarray


class Stream(IterableDataset):
    """Rows one by one, without a number of them."""

    def __init__(self, x: Array, u: Array) -> None:
        self.x, self.u = x, u

    def __iter__(self) -> Iterator[tuple[Array, int]]:
        yield from zip(self.x, self.u, strict=True)


def parts(x: Array, u: Array) -> Iterator[tuple[Array, Array]]:
    for first in range(0, len(x), 37):
        yield x[first : first + 37], u[first : first + 37]


def on_disk(x: Array, u: Array, folder: Path) -> tuple[np.memmap, Array]:
    mapped = np.memmap(folder / "x", np.float32, "w+", shape=x.shape)
    mapped[:] = x  # single precision holds these numbers exactly
    return mapped, u


FORMS: dict[str, Callable[[Array, Array, Path], tuple[Any, Any]]] = {
    "a memory-map": on_disk,
    "a Dataset": lambda x, u, _: (TensorDataset(torch.tensor(x), torch.tensor(u)), None),
    "a Dataset without a length": lambda x, u, _: (Stream(x, u), None),
    "an iterator": lambda x, u, _: (parts(x, u), None),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_fit_is_that_of_the_data_in_memory(
    form: str,
    fitted: Estimator,
    make: Callable,
    x: Array,
    u: Array,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "ROWS_AT_A_TIME", 64)
    got = make().fit(*FORMS[form](x, u, tmp_path))
    weights, expected = got.model_.state_dict(), fitted.model_.state_dict()
    assert [name for name in expected if not torch.equal(weights[name], expected[name])] == []
    assert got.history_.held_out_loss == fitted.history_.held_out_loss


def test_passes_over_parts_give_the_fit_to_rounding(
    fitted: Estimator,
    make: Callable,
    x: Array,
    u: Array,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "CHUNK", 17)
    mapped, codes = on_disk(x, u, tmp_path)
    got = make().fit(mapped, codes)
    np.testing.assert_allclose(got.x_scale_, fitted.x_scale_, rtol=1e-12)
    np.testing.assert_allclose(got.score(mapped, u), fitted.score(x, u), rtol=1e-3)


def test_outputs_for_rows_on_disk_are_those_in_memory(
    fitted: Estimator, x: Array, u: Array, tmp_path: Path
) -> None:
    mapped, _ = on_disk(x, u, tmp_path)
    np.testing.assert_array_equal(fitted.transform(mapped), fitted.transform(x))
    np.testing.assert_array_equal(fitted.log_prob(mapped, u), fitted.log_prob(x, u))


def test_an_ensemble_takes_a_stream(make: Callable, x: Array, u: Array) -> None:
    got = fit_ensemble(make(max_steps=4), parts(x, u), None, seeds=[0, 1])
    expected = fit_ensemble(make(max_steps=4), x, u, seeds=[0, 1])
    np.testing.assert_array_equal(got.consistency_, expected.consistency_)


def test_nothing_of_a_stream_is_left_behind(
    make: Callable, x: Array, u: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make(max_steps=2).fit(parts(x, u))
    assert list(tmp_path.iterdir()) == []


def with_nan(values: Array) -> Array:
    values = values.copy()
    values[150, 1] = np.nan
    return values


class Empty(Dataset):
    def __len__(self) -> int:
        return 0


REFUSALS: dict[str, tuple[Callable[[Array, Array], tuple[Any, Any]], str]] = {
    "u beside a stream": (lambda x, u: (parts(x, u), u), "Expected u=None with a Dataset or an it"),
    "no rows": (lambda x, u: (iter([]), None), "with at least one row; got none"),
    "an empty Dataset": (lambda x, u: (Empty(), None), "with at least one row; got none"),
    "x alone": (
        lambda x, u: (iter([x]), None),
        r"Expected pairs \(x, u\).*; got ndarray as item 0",
    ),
    "another width": (
        lambda x, u: (iter([(x, u), (x[:, :1], u)]), None),
        "Expected x in part 1 with 2 columns",
    ),
    "u that is one number": (lambda x, u: (iter([(x, 3)]), None), r"u of shape \(N,\).*got 3"),
    "u that knows its columns": (
        lambda x, u: (iter([(x, TimeSegments(4))]), None),
        "u in part 0 as labels or values.*got TimeSegments",
    ),
    "a masked u": (
        lambda x, u: (iter([(x, np.ma.masked_equal(u, 0))]), None),
        "Expected u without masked cells",
    ),
    "u of two shapes": (
        lambda x, u: (iter([(x, u), (x, u[:, None])]), None),
        "one kind in all parts; got labels of shape .* and labels of shape",
    ),
    "frames and arrays": (
        lambda x, u: (iter([(x, pd.Series(u)), (x, u)]), None),
        "one kind in all parts; got a frame with labels .* and labels of shape",
    ),
    "too few u": (lambda x, u: (iter([(x, u[1:])]), None), "Expected u with 200 rows in part 0"),
    "NaN": (lambda x, u: (parts(with_nan(x), u), None), r"finite values in x in part 4.* \(2, 1\)"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_unusable_streams_are_refused(case: str, make: Callable, x: Array, u: Array) -> None:
    data, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        make().fit(*data(x, u))


def test_nan_on_disk_is_found_in_its_row(
    make: Callable, x: Array, u: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "CHUNK", 17)
    mapped, _ = on_disk(with_nan(x), u, tmp_path)
    with pytest.raises(
        ValueError, match=r"got 1 NaN, infinite or beyond 1e.100, the first at \(150, 1\)"
    ):
        make().fit(mapped, u)


def test_u_of_a_stream_is_read_as_in_memory(
    make: Callable, x: Array, u: Array, outputs: Callable
) -> None:
    """Frames too, whose columns are labels and values, and parts that are empty."""
    frame = pd.DataFrame({"who": u.astype(str), "when": np.linspace(0, 1, 200)})
    whole = make(max_steps=2).fit(x, frame)
    split = [(x[:0], []), (x[:70], frame[:70]), (x[70:], frame[70:])]
    streamed = make(max_steps=2).fit(iter(split))
    assert streamed.auxiliary_ == whole.auxiliary_
    for name, expected in outputs(whole, x, frame).items():
        np.testing.assert_array_equal(outputs(streamed, x, frame)[name], expected)


def test_a_dataset_leaves_the_global_random_state(
    make: Callable, x: Array, u: Array, assert_rng_untouched: Callable
) -> None:
    data = TensorDataset(torch.from_numpy(x), torch.from_numpy(u))
    with assert_rng_untouched():
        make(max_steps=2).fit(data)


@pytest.mark.filterwarnings("ignore::shared.inputs.density.DensityWarning")
def test_booleans_on_disk_are_numbers(make: Callable, u: Array, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((200, 2)) < 0.5
    mapped = np.memmap(tmp_path / "x", bool, "w+", shape=x.shape)
    mapped[:] = x
    expected = make(max_steps=2).fit(x, u).transform(x, u)
    np.testing.assert_array_equal(make(max_steps=2).fit(mapped, u).transform(x, u), expected)
