"""Standardisation: there and back, in arrays, tensors and files, with the Jacobian it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from identiflow.shared.inputs.rows import Scale, StoredRows, no_scale, scale_of, standardized


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(3, [0.1, 1, 50], size=(40, 3))


@pytest.fixture
def scale(x: np.ndarray) -> Scale:
    return scale_of(x, torch.arange(30))


def test_it_is_that_of_the_training_rows(x: np.ndarray, scale: Scale) -> None:
    rows = scale.apply(x)[:30]
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(0), 1)


def test_undo_undoes_apply(x: np.ndarray, scale: Scale) -> None:
    np.testing.assert_allclose(scale.undo(scale.apply(x)), x, rtol=1e-12)


def test_the_jacobian_is_that_of_autodiff(x: np.ndarray, scale: Scale) -> None:
    tensors = scale.as_tensors
    jacobian = torch.func.jacrev(tensors.apply)(torch.from_numpy(x[0]))
    expected = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(tensors.log_jacobian, expected)
    assert scale.log_jacobian == pytest.approx(expected.item())


def test_a_column_that_varies_in_other_rows_only_keeps_its_unit(x: np.ndarray) -> None:
    x[:30, 1] = 7.0
    assert scale_of(x, torch.arange(30)).std[1] == 1.0


def test_no_scale_changes_nothing(x: np.ndarray) -> None:
    np.testing.assert_array_equal(no_scale(3).apply(x), x)
    assert no_scale(3).log_jacobian == 0


def test_rows_on_disk_stay_there(x: np.ndarray, scale: Scale, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", x)
    stored = standardized(np.load(tmp_path / "x.npy", mmap_mode="r"), scale)
    assert isinstance(stored, StoredRows)
    torch.testing.assert_close(stored[torch.arange(40)], standardized(x, scale))
