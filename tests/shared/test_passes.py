"""One pass over many rows: the same in chunks, from disk or memory, in one thread or several."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from identiflow.iflow import IdentifiableFlow, spline_coupling_flow
from identiflow.shared.compute import passes
from identiflow.shared.compute.passes import in_chunks, side_by_side
from identiflow.shared.inputs.rows import StoredRows, no_scale
from identiflow.shared.priors import GaussianPrior

N, D = 23, 3


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "CHUNK_ROWS", 5)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def rows() -> Tensor:
    return torch.randn(N, D, dtype=torch.float64)


def test_chunks_are_the_rows_in_their_order():
    x, sizes = rows(), []
    out = in_chunks(lambda chunk: sizes.append(len(chunk)) or 2 * chunk, x)
    assert isinstance(out, np.ndarray) and sizes == [5, 5, 5, 5, 3]
    np.testing.assert_array_equal(out, 2 * x.numpy())
    stored = StoredRows(x.numpy(), no_scale(D))
    np.testing.assert_array_equal(in_chunks(lambda chunk: 2 * chunk, stored), out)


def test_chunks_of_a_model_of_ours_are_worked_on_side_by_side(two_threads, monkeypatch):
    flow = IdentifiableFlow(spline_coupling_flow(D, n_layers=1), GaussianPrior(D, n_labels=4))
    x, u, seen = rows().float(), torch.arange(N) % 4, []
    threaded = passes.side_by_side
    monkeypatch.setattr(passes, "side_by_side", lambda *a: seen.append(a[-1]) or threaded(*a))
    got = in_chunks(flow.log_prob, x, u)
    got_alone = in_chunks(lambda a, b: flow.log_prob(a, b), x, u)
    assert seen == [2, 1]
    with torch.no_grad():
        expected = flow.log_prob(x, u).numpy()
    for each in (got, got_alone):
        np.testing.assert_allclose(each, expected, rtol=1e-4, atol=1e-5)


def test_threads_work_on_one_core_each_and_leave_torch_as_it_was(two_threads):
    inside = []

    def call(x: Tensor) -> Tensor:
        inside.append((torch.get_num_threads(), torch.is_grad_enabled(), threading.get_ident()))
        return x + 1

    arguments = [(torch.full((1,), i),) for i in range(9)]
    with torch.no_grad():
        results = list(side_by_side(call, arguments, 2))
    assert [int(result) for result in results] == list(range(1, 10))
    assert {(threads, grad) for threads, grad, _ in inside} == {(1, False)}
    assert threading.get_ident() not in {thread for _, _, thread in inside}
    assert torch.get_num_threads() == 2
    later = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_few_arguments_are_taken_ahead(n_threads, two_threads):
    taken = []

    def arguments() -> Iterator[tuple[Tensor]]:
        for i in range(50):
            taken.append(i)
            yield (torch.zeros(1),)

    results = side_by_side(torch.sin, arguments(), n_threads)
    for fetched in range(1, 6):
        next(results)
        assert len(taken) <= fetched + 2 * n_threads
    results.close()
    assert len(taken) < 12


def test_an_error_arrives_and_ends_the_pass(two_threads):
    def fail(x: Tensor) -> Tensor:
        if int(x) == 3:
            raise ValueError("the fourth")
        return x

    with pytest.raises(ValueError, match="the fourth"):
        list(side_by_side(fail, [(torch.tensor([i]),) for i in range(40)], 2))
    assert torch.get_num_threads() == 2
