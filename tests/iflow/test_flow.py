"""Laws of IdentifiableFlow: exact densities, nflows' protocol, and no way for u into g."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from nflows.nn.nets import ResidualNet
from nflows.transforms import (
    AffineCouplingTransform,
    MaskedAffineAutoregressiveTransform,
    PiecewiseRationalQuadraticCouplingTransform,
    RandomPermutation,
)
from torch import Tensor, nn
from torch.func import jacrev, vmap

from identiflow.iflow import ARCHITECTURES, Composition, IdentifiableFlow
from identiflow.shared.compute.nflows_adapter import CompositeTransform, Transform
from identiflow.shared.compute.random import seeded
from identiflow.shared.model import IdentifiableModel
from identiflow.shared.priors import (
    ExponentialFamilyPrior,
    GaussianPrior,
    LaplacePrior,
    MixturePrior,
    UnconditionalPrior,
)

DOUBLE = torch.float64
N_LABELS = 3

PRIORS: dict[str, Callable] = {
    "Gaussian": GaussianPrior,
    "Laplace": LaplacePrior,
    "exponential family": ExponentialFamilyPrior,
    "mixture": MixturePrior,
}


def moved(module: nn.Module, size: float = 0.5) -> nn.Module:
    """In float64, with weights away from their initial values."""
    generator = torch.Generator().manual_seed(1)
    for parameter in module.double().parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=DOUBLE)
        fan_in = parameter.shape[-1] if parameter.ndim == 2 else 1
        parameter.data.add_(size * noise / fan_in**0.5)
    return module


def build(
    d: int, architecture: str = "spline", prior: str = "Gaussian", size: float = 0.5
) -> IdentifiableFlow:
    bijection = ARCHITECTURES[architecture](d, n_layers=2, hidden=(16,))
    return moved(IdentifiableFlow(bijection, PRIORS[prior](d, n_labels=N_LABELS)), size)


@pytest.fixture
def flow() -> IdentifiableFlow:
    return build(3)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(6, 3, dtype=DOUBLE)


U = torch.tensor([0, 1, 2, 2, 1, 0])


# The density -------------------------------------------------------------------------------------


@torch.no_grad()
def integral(flow: IdentifiableFlow, u: int, d: int, width: float, steps: int) -> float:
    """Of p(x | u) over a cube of half that width, by the midpoint rule."""
    step = 2 * width / steps
    axis = torch.arange(steps, dtype=DOUBLE) * step + (step / 2 - width)
    grid = torch.cartesian_prod(*[axis] * d).view(-1, d)
    labels = torch.full((len(grid),), u)
    return flow.log_prob(grid, labels).exp().sum().item() * step**d


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("u", range(N_LABELS))
def test_density_integrates_to_one_on_the_line(architecture: str, u: int) -> None:
    assert abs(integral(build(1, architecture), u, 1, width=30, steps=60_000) - 1) < 1e-6


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("prior", PRIORS)
def test_density_integrates_to_one_in_the_plane(architecture: str, prior: str) -> None:
    flow = build(2, architecture, prior, size=0.3)
    assert abs(integral(flow, 1, 2, width=16, steps=480) - 1) < 1e-3


def test_log_prob_is_the_priors_plus_the_log_determinant(flow: IdentifiableFlow, x: Tensor) -> None:
    jacobian = vmap(jacrev(lambda row: flow.bijection(row[None])[0][0]))(x)
    z = flow.encode(x)
    expected = flow.prior(U).log_prob(z) + torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(flow.log_prob(x, U), expected)
    torch.testing.assert_close(flow.loss(x, U), -expected)
    torch.testing.assert_close(flow.decode(z), x)
    assert flow.loss_name == "nll"


def test_a_batch_is_the_loop_over_its_rows(flow: IdentifiableFlow, x: Tensor) -> None:
    one_by_one = [flow.log_prob(row[None], u[None]) for row, u in zip(x, U, strict=True)]
    torch.testing.assert_close(flow.log_prob(x, U), torch.cat(one_by_one))


# nflows' protocol --------------------------------------------------------------------------------


@torch.no_grad()
def test_samples_are_f_of_the_priors_samples(flow: IdentifiableFlow) -> None:
    with seeded(5):
        x = flow.sample(4, U)
    with seeded(5):
        z = flow.prior(U).sample((4,)).transpose(0, 1)
    assert x.shape == (6, 4, 3)
    torch.testing.assert_close(flow.encode(x.flatten(0, 1)).view_as(z), z)


@torch.no_grad()
def test_samples_come_with_their_log_prob(flow: IdentifiableFlow) -> None:
    with seeded(5):
        x, log_prob = flow.sample_and_log_prob(4, U)
    with seeded(5):
        torch.testing.assert_close(flow.sample(4, U), x)
    assert log_prob.shape == (6, 4)
    expected = flow.log_prob(x.flatten(0, 1), U.repeat_interleave(4)).view(6, 4)
    torch.testing.assert_close(log_prob, expected)


@torch.no_grad()
def test_nflows_layout_of_samples(flow: IdentifiableFlow) -> None:
    assert flow.sample(5, U, batch_size=2).shape == (6, 5, 3)
    unconditional = IdentifiableFlow(flow.bijection, UnconditionalPrior(3).double())
    assert unconditional.sample(5).shape == (5, 3)
    assert unconditional.log_prob(torch.zeros(5, 3, dtype=DOUBLE)).shape == (5,)
    torch.testing.assert_close(
        flow.transform_to_noise(torch.ones(1, 3, dtype=DOUBLE)),
        flow.encode(torch.ones(1, 3, dtype=DOUBLE)),
    )


def test_a_missing_u_is_refused(flow: IdentifiableFlow, x: Tensor) -> None:
    for call in (lambda: flow.log_prob(x), lambda: flow.sample(2)):
        with pytest.raises(ValueError, match="Expected context to hold u.* got None"):
            call()


# The one model -----------------------------------------------------------------------------------


def test_draws_are_f_of_the_priors_draws_with_that_seed(
    flow: IdentifiableFlow, assert_rng_untouched: Callable
) -> None:
    with assert_rng_untouched():
        x, z = flow.draw(U, seed=5)
    with seeded(5):
        torch.testing.assert_close(z, flow.prior(U).sample(), rtol=0, atol=0)
    torch.testing.assert_close(flow.encode(x), z)
    assert not x.requires_grad and not torch.equal(flow.draw(U, seed=6)[0], x)


def test_it_is_the_exact_kind_of_the_one_model(flow: IdentifiableFlow, x: Tensor) -> None:
    assert isinstance(flow, IdentifiableModel) and flow.exact
    assert torch.equal(flow.log_density(x, U), flow.log_prob(x, U))
    assert torch.equal(flow.log_density(x, U, n_samples=3), flow.log_prob(x, U))


# u and the bijection -----------------------------------------------------------------------------


def residual_net(context: int | None) -> Callable[[int, int], nn.Module]:
    return lambda inputs, outputs: ResidualNet(
        inputs, outputs, hidden_features=8, context_features=context
    )


NFLOWS: dict[str, Callable[[int | None], Transform]] = {
    "autoregressive": lambda context: MaskedAffineAutoregressiveTransform(
        3, hidden_features=8, context_features=context
    ),
    "affine coupling": lambda context: AffineCouplingTransform([0, 1, 0], residual_net(context)),
    "spline coupling": lambda context: PiecewiseRationalQuadraticCouplingTransform(
        [0, 1, 0], residual_net(context), tails="linear", tail_bound=4.0
    ),
    "deep inside": lambda context: CompositeTransform(
        [
            RandomPermutation(3),
            Composition([MaskedAffineAutoregressiveTransform(3, 8, context_features=context)]),
        ]
    ),
}


@pytest.mark.parametrize("name", NFLOWS)
def test_a_bijection_that_takes_a_context_is_refused(name: str) -> None:
    message = "bijection that does not see u; got one whose part .* Condition the prior only"
    with pytest.raises(ValueError, match=message):
        IdentifiableFlow(NFLOWS[name](2), GaussianPrior(3, n_labels=N_LABELS))


@pytest.mark.parametrize("name", NFLOWS)
def test_a_users_own_transform_makes_a_flow(name: str, x: Tensor) -> None:
    bijection = moved(NFLOWS[name](None), size=0.1)
    flow = IdentifiableFlow(bijection, GaussianPrior(3, n_labels=N_LABELS).double())
    torch.testing.assert_close(flow.decode(flow.encode(x)), x)
    z, logabsdet = bijection(x)
    torch.testing.assert_close(flow.log_prob(x, U), flow.prior.log_prob(z, U) + logabsdet)
    flow.loss(x, U).mean().backward()
    assert all(parameter.grad is not None for parameter in flow.parameters())
    assert flow.sample(2, U).shape == (6, 2, 3)


class Witness(Transform):
    """The identity, which remembers every context it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[object] = []

    def forward(self, inputs: Tensor, context: object = None) -> tuple[Tensor, Tensor]:
        self.contexts.append(context)
        return inputs, inputs.new_zeros(len(inputs))

    inverse = forward


@torch.no_grad()
def test_no_call_hands_u_to_the_bijection(x: Tensor) -> None:
    witness = Witness()
    flow = IdentifiableFlow(witness, GaussianPrior(3, n_labels=N_LABELS).double())
    z = flow.encode(x, U)
    flow.decode(z)
    flow.log_prob(x, U)
    flow.loss(x, U)
    flow.sample(2, U)
    flow.sample_and_log_prob(2, U)
    flow.transform_to_noise(x, U)
    assert len(witness.contexts) == 7 and set(witness.contexts) == {None}
    assert torch.equal(flow.encode(x, U), flow.encode(x, U.flip(0)))
