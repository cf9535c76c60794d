"""One pass over many rows: the same in chunks, from disk or memory, compiled or not."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shared import compilation, passes
from shared.passes import in_chunks
from shared.rows import StoredRows

N, D = 23, 3
needs_a_compiler = pytest.mark.skipif(
    not compilation.finds_compiler(), reason="no C++ compiler is installed"
)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "CHUNK_ROWS", 5)
    monkeypatch.setattr(passes, "FEWEST_CHUNKS", 2)


class Scaled(nn.Module):
    """exp(−x² / width) W, with a parameter, a buffer and a setting."""

    factor: Tensor

    def __init__(self, width: float = 2.0) -> None:
        super().__init__()
        self.width = width
        self.weight = nn.Parameter(torch.randn(D, 2, dtype=torch.float64))
        self.register_buffer("factor", torch.ones(D, dtype=torch.float64))

    def encode(self, x: Tensor) -> Tensor:
        """(B, 2)."""
        return torch.exp(-self.factor * x.square() / self.width) @ self.weight


def rows() -> Tensor:
    return torch.randn(N, D, dtype=torch.float64)


def test_chunks_are_the_rows_in_their_order():
    x, sizes = rows(), []
    out = in_chunks(lambda chunk: sizes.append(len(chunk)) or 2 * chunk, x)
    assert isinstance(out, np.ndarray) and sizes == [5, 5, 5, 5, 3]
    np.testing.assert_array_equal(out, 2 * x.numpy())
    stored = StoredRows(x.numpy(), np.zeros(D), np.ones(D))
    np.testing.assert_array_equal(in_chunks(lambda chunk: 2 * chunk, stored), out)


@needs_a_compiler
def test_a_compiled_pass_is_the_pass(monkeypatch):
    compile_graph, count = compilation._compile_graph, []
    monkeypatch.setattr(
        compilation, "_compile_graph", lambda *a: count.append(None) or compile_graph(*a)
    )
    model, x = Scaled(), rows()
    for _ in range(2):
        expected = in_chunks(model.encode, x)
        got = in_chunks(model.encode, x, compile=True)
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        # Other weights need no other compilation.
        model.weight.data += 1
        model.factor += 1
    assert len(count) in (0, 1)
    # Rows that lie otherwise in memory, and another setting, do.
    across = x.T.contiguous().T
    np.testing.assert_allclose(
        in_chunks(model.encode, across, compile=True), in_chunks(model.encode, x), rtol=1e-12
    )
    model.width = 3.0
    np.testing.assert_allclose(
        in_chunks(model.encode, x, compile=True), in_chunks(model.encode, x), rtol=1e-12
    )


def test_few_rows_are_not_compiled_for(monkeypatch):
    monkeypatch.setattr(
        compilation, "_compile_graph", lambda *_: pytest.fail("It was compiled for few rows.")
    )
    model, x = Scaled(), rows()
    expected = in_chunks(model.encode, x)
    np.testing.assert_array_equal(in_chunks(model.encode, x, compile="auto"), expected)
    monkeypatch.setattr(passes, "FEWEST_CHUNKS", 9)
    np.testing.assert_array_equal(in_chunks(model.encode, x, compile=True), expected)


@needs_a_compiler
def test_what_is_compiled_does_not_keep_a_model(monkeypatch):
    model, x = Scaled(), rows()
    in_chunks(model.encode, x, compile=True)
    monkeypatch.setattr(passes, "FEWEST_CHUNKS", 1)
    in_chunks(model.encode, x, compile="auto")
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
