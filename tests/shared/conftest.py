"""Small models and rows for tests of training, steps for those of compilation, readings of u."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from identiflow.shared.auxiliary import AuxiliaryEncoder, read_auxiliary
from identiflow.shared.compute import compilation
from identiflow.shared.compute.random import seeded
from identiflow.shared.priors import GaussianPrior
from identiflow.shared.training import History, Stage, fit
from identiflow.shared.training.fit import choose_steps
from identiflow.shared.training.model import Model
from identiflow.shared.training.training import Training

N_LABELS, D = 3, 2
ROWS = np.random.default_rng(0).standard_normal((12, 2))
CENTRES = torch.tensor([[0.0, 3.0], [-2.0, 1.0], [4.0, -1.0]])


class Quadratic(nn.Module):
    """½ |x + ε − w_u|², with noise ε from the generator: its optimum is each label's mean."""

    loss_name = "half squared distance"

    def __init__(self, frozen: bool = False) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.ones(D), requires_grad=not frozen)
        self.w = nn.Parameter(torch.zeros(N_LABELS, D))
        self.register_buffer("constant", torch.tensor(1.0))

    def loss(self, x: Tensor, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        noise = 0.1 * torch.randn(x.shape, generator=generator)
        return 0.5 * (x + noise - self.w[u] - self.offset).square().sum(-1)


class LinearFlow(nn.Module):
    """The exact −log p(x | u) of x = A⁻¹ z, z from a Gaussian prior."""

    loss_name = "nll"

    def __init__(self) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.eye(D) + 0.1 * torch.randn(D, D))
        self.prior = GaussianPrior(D, n_labels=N_LABELS)

    def loss(self, x: Tensor, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return -self.prior.log_prob(x @ self.A.T, u) - torch.linalg.slogdet(self.A)[1]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "quadratic": Quadratic,
    "quadratic, partly frozen": lambda: Quadratic(frozen=True),
    "linear flow": LinearFlow,
}


def rows(count: int, seed: int) -> tuple[Tensor, Tensor]:
    u = torch.arange(count) % N_LABELS
    noise = torch.randn(count, D, generator=torch.Generator().manual_seed(seed))
    return CENTRES[u] + noise, u


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """Each of the models that `a_model` builds."""
    return request.param


@pytest.fixture
def a_model() -> Callable[[str], nn.Module]:
    """A model of this name, with the same weights every time."""

    def build(name: str) -> nn.Module:
        with seeded(1):
            return MODELS[name]()

    return build


@pytest.fixture
def small() -> dict[str, Any]:
    """Rows of three labels and the options of a short fit to them."""
    names = ("x", "u", "x_held_out", "u_held_out")
    data = dict(zip(names, (*rows(90, 0), *rows(30, 1)), strict=True))
    return {**data, "max_steps": 40, "batch_size": 20, "n_evaluations": 8, "progress": False}


@pytest.fixture
def train(small: dict[str, Any]) -> Callable[..., History]:
    """Fits a model, with changes to what is in `small`."""

    def fitted(model: nn.Module, **changes: Any) -> History:
        return fit(model, **{**small, **changes})

    return fitted


@pytest.fixture
def same() -> Callable[[nn.Module, nn.Module], bool]:
    """Whether the tensors of two models are the same, bit for bit."""

    def compare(a: nn.Module, b: nn.Module) -> bool:
        return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))

    return compare


@pytest.fixture
def calls_of_loss(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[None]]:
    """Counts the training calls of `model.loss`, and multiplies each by `before(number)`."""

    def watched(model: nn.Module, before: Callable[[int], float] = lambda _: 1.0) -> list[None]:
        counted = CountedLoss(model.loss, before)
        monkeypatch.setattr(model, "loss", counted)
        return counted.calls

    return watched


class CountedLoss:
    """A loss with an effect on the side, which its pickle leaves out: a fit is the same with it."""

    def __init__(self, loss: Callable[..., Tensor], before: Callable[[int], float]) -> None:
        self.calls: list[None] = []
        self.loss, self.before = loss, before

    def __call__(self, *args: Any) -> Tensor:
        if not torch.is_grad_enabled():
            return self.loss(*args)
        self.calls.append(None)
        return self.before(len(self.calls) - 1) * self.loss(*args)

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return str, ("counted",)


# One step, compiled or not -----------------------------------------------------------------------


@pytest.fixture
def compiler() -> None:
    """Skips where nothing can be compiled."""
    if not compilation.finds_compiler():
        pytest.skip("no C++ compiler is installed")


@pytest.fixture
def begun() -> Callable[..., Training]:
    """Training of a model on rows (x, u), with options of its stage."""

    def begin(model: Model, xu: tuple[Tensor, Tensor], **options: Any) -> Training:
        x, u = xu
        return Training(Stage(model=model, x=x, u=u, x_held_out=x, u_held_out=u, **options))

    return begin


@pytest.fixture
def differentiate(begun: Callable[..., Training]) -> Callable[..., tuple[Tensor, Tensor]]:
    """A batch's mean loss and its gradient as a vector."""

    def differentiated(
        model: Model, xu: tuple[Tensor, Tensor], **options: Any
    ) -> tuple[Tensor, Tensor]:
        trainings = [begun(model, xu, **options)]
        ((loss, gradient),) = choose_steps(trainings).differentiate(trainings)
        return loss, gradient

    return differentiated


@pytest.fixture(scope="session")
def fitted_on() -> Callable[..., AuxiliaryEncoder]:
    """The encoder that a fit learns from u, beside twelve rows of x or those given."""
    return lambda u, x=ROWS: AuxiliaryEncoder.fit(read_auxiliary(u, x))


@pytest.fixture(scope="session")
def codes_of() -> Callable[..., list[Any]]:
    """u as an encoder encodes it after fit."""
    return lambda u, encoder, x=ROWS: encoder.encode(encoder.read(u, x)).tolist()
