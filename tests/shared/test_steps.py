"""One step of training: the mean over its rows, noise of its own, a gradient of bounded norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from identiflow.shared.training import History
from identiflow.shared.training.optimizer import Optimizer
from identiflow.shared.training.steps import draws_of
from identiflow.shared.training.training import Training


def test_rows_that_come_twice_change_no_step(
    a_model: Callable[[str], nn.Module], small: dict[str, Any], differentiate: Callable[..., Any]
) -> None:
    """Its loss and gradient are means over rows."""
    x, u = small["x"], small["u"]
    once, twice = (
        differentiate(a_model("linear flow"), (x.repeat(n, 1), u.repeat(n)), batch_size=n * len(x))
        for n in (1, 2)
    )
    torch.testing.assert_close(once, twice, rtol=1e-4, atol=1e-5)


def test_the_noise_is_that_of_the_step_alone(
    a_model: Callable[[str], nn.Module], small: dict[str, Any], begun: Callable[..., Training]
) -> None:
    def noise(step: int, seed: int = 0) -> Tensor:
        training = begun(a_model("quadratic"), (small["x"], small["u"]), seed=seed)
        training.step = step
        training.batch()
        return draws_of(training, [(2000, 1)])[0]

    first, again, next_one, other = noise(3), noise(3), noise(4), noise(3, seed=1)
    assert torch.equal(first, again)
    for different in (next_one, other):
        assert abs((first * different).mean()) < 0.1


def test_all_evaluations_have_the_same_noise(
    a_model: Callable[[str], nn.Module], train: Callable[..., History]
) -> None:
    """So that losses differ by the weights alone, which do not move here."""
    history = train(a_model("quadratic"), learning_rate=1e-30)
    assert len(history.held_out_loss) == 8 and len(set(history.held_out_loss)) == 1


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_a_gradient_longer_than_the_clip_is_shortened_to_it(
    size: float,
    a_model: Callable[[str], nn.Module],
    train: Callable[..., History],
    calls_of_loss: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    norms = []

    def recorded(self: Optimizer, gradient: Tensor, rate: float, divisor: Tensor, *_: Any) -> None:
        norms.append((gradient.norm().item(), (gradient / divisor).norm().item()))

    monkeypatch.setattr(Optimizer, "take", recorded)
    model = a_model("linear flow")
    calls_of_loss(model, lambda number: size)
    train(model, clip=0.5)
    assert len(norms) == 40
    for before, after in norms:
        assert after == pytest.approx(min(before, 0.5), rel=1e-4)
