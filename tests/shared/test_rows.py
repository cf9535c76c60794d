"""Rows on disk are the rows in memory, wherever training and evaluation look at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from identiflow.shared.inputs import rows as rows_module
from identiflow.shared.inputs.rows import Scale, StoredRows, chunks_of, head, mean_and_std, subset

N, D = 30, 3


@pytest.fixture
def array(tmp_path: Path) -> np.memmap:
    values = np.random.default_rng(0).normal(3, [1, 10, 0.1], size=(N, D)).astype(np.float32)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=(N, D))
    mapped[:] = values
    return mapped


@pytest.fixture
def mean_scale(array: np.memmap) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(array, float).mean(0), np.asarray(array, float).std(0)


@pytest.fixture
def stored(array: np.memmap, mean_scale: tuple) -> StoredRows:
    return StoredRows(array, Scale(*mean_scale))


@pytest.fixture
def tensor(array: np.memmap, mean_scale: tuple) -> torch.Tensor:
    mean, scale = mean_scale
    return torch.from_numpy((np.asarray(array, float) - mean) / scale)


NUMBERS = torch.tensor([29, 0, 7, 7, 3])


def test_they_answer_as_the_tensor_does(stored: StoredRows, tensor: torch.Tensor) -> None:
    assert len(stored) == N and stored.shape == tensor.shape and stored.dtype == tensor.dtype
    assert torch.equal(stored[NUMBERS], tensor[NUMBERS])
    assert torch.equal(torch.cat(list(stored.split(7))), tensor)
    assert [len(part) for part in stored.split(7)] == [7, 7, 7, 7, 2]
    single = stored.float()[NUMBERS]
    assert single.dtype == torch.float32 and torch.equal(single, tensor.float()[NUMBERS])


def test_parts_of_parts_stay_on_disk(stored: StoredRows, tensor: torch.Tensor) -> None:
    order = torch.randperm(N)
    part, expected = subset(stored, order)[5:20], subset(tensor, order)[5:20]
    assert isinstance(part, StoredRows) and len(part) == 15
    assert torch.equal(part[torch.arange(15)], expected)
    for n in (4, 15, 99):
        assert torch.equal(head(part, n), head(expected, n))


def test_a_later_index_leaves_the_first_as_it_was(stored: StoredRows, tensor: torch.Tensor) -> None:
    stored.subset(NUMBERS).float()
    assert len(stored) == N and torch.equal(stored[NUMBERS], tensor[NUMBERS])


@pytest.mark.parametrize("chunk", [1, 4, 1000])
def test_moments_are_those_of_the_rows(
    array: np.memmap, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = torch.randperm(N)[:21]
    rows = np.asarray(array, float)[numbers]
    monkeypatch.setattr(rows_module, "CHUNK", chunk)
    mean, std = mean_and_std(array, numbers)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-13)
    np.testing.assert_allclose(std, rows.std(0), rtol=1e-12)
    if chunk > N:
        assert (mean == rows.mean(0)).all() and (std == rows.std(0)).all()
    assert [len(part) for part in chunks_of(array)][:1] == [min(chunk, N)]


def test_what_is_in_memory_is_one_part() -> None:
    values = np.zeros((5, 2))
    assert [part is values for part in chunks_of(values)] == [True]
