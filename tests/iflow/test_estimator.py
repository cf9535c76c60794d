"""What IFlow promises beyond the laws of every estimator: exactness, and any bijection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from nflows.nn.nets import ResidualNet
from nflows.transforms import (
    AffineCouplingTransform,
    MaskedAffineAutoregressiveTransform,
    PiecewiseRationalQuadraticCouplingTransform,
)

from identiflow.iflow import (
    ARCHITECTURES,
    Composition,
    IFlow,
    LULinear,
    MaskedAutoregressive,
    SplineCoupling,
)
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.metrics import mean_corr_coef
from identiflow.shared.training.training import Training

DATA = nonstationary_sources(2, n_segments=10, samples_per_segment=30, seed=1)
X, U = DATA.x, DATA.u
small = partial(IFlow, n_layers=2, hidden=(16,), max_steps=30)


def residual_net(inputs: int, outputs: int) -> ResidualNet:
    return ResidualNet(inputs, outputs, hidden_features=8)


ARCHITECTURES_OF_USERS: dict[str, Callable[[], Any]] = {
    **{name: lambda name=name: name for name in ARCHITECTURES},
    "a class": lambda: LULinear,
    "a function": lambda: lambda d: Composition([SplineCoupling(d, hidden=(8,)), LULinear(d)]),
    "a transform": lambda: MaskedAutoregressive(2, hidden=(8,)),
    "nflows, autoregressive": lambda: MaskedAffineAutoregressiveTransform(2, hidden_features=8),
    "nflows, affine": lambda: AffineCouplingTransform([0, 1], residual_net),
    "nflows, splines": lambda: PiecewiseRationalQuadraticCouplingTransform(
        [1, 0], residual_net, tails="linear", tail_bound=5.0
    ),
}


@pytest.fixture(scope="module")
def fitted() -> Callable[[str], IFlow]:
    """A flow of each architecture, fitted once."""
    flows: dict[str, IFlow] = {}

    def get(name: str) -> IFlow:
        if name not in flows:
            flows[name] = small(architecture=ARCHITECTURES_OF_USERS[name]()).fit(X, U)
        return flows[name]

    return get


@pytest.fixture(params=ARCHITECTURES_OF_USERS)
def flow(request: pytest.FixtureRequest, fitted: Callable[[str], IFlow]) -> IFlow:
    return fitted(request.param)


# Exactness ---------------------------------------------------------------------------------------


def test_transform_and_inverse_are_exact(flow: IFlow) -> None:
    z = flow.transform(X)
    error = np.abs(flow.inverse_transform(z) - X) / flow.x_scale_
    assert error.max() <= 1e-9 and flow.round_trip_error_ <= 1e-9
    assert (np.abs(z - X) > 0.01).any()
    wide = 50 * X  # far outside of what was seen
    error = np.abs(flow.inverse_transform(flow.transform(wide)) - wide) / np.abs(wide).max()
    assert error.max() <= 1e-9


def test_round_trip_error_is_the_measured_one(fitted: Callable[[str], IFlow]) -> None:
    flow = fitted("spline")
    again = flow.inverse_transform(flow.transform(X))
    expected = np.abs((again - X) / flow.x_scale_).max()
    assert flow.round_trip_error_ == pytest.approx(expected, rel=3, abs=1e-15)
    assert f"{flow.round_trip_error_:.1e}" in str(flow.check_identifiability(U))


@pytest.mark.parametrize("error", [0.25, -0.25])
def test_round_trips_that_end_too_high_or_too_low_are_as_bad(error: float) -> None:
    rows = torch.randn(50, 2, dtype=torch.float64)
    shift = torch.tensor([0.1 * error, error])
    wrong = SimpleNamespace(encode=lambda x: x, decode=lambda z: z + shift)
    measured = IFlow()._finish(wrong, rows, torch.zeros(50))
    assert measured["round_trip_error_"] == pytest.approx(0.25)


def test_log_prob_is_the_modules_with_the_jacobian_of_standardising(flow: IFlow) -> None:
    rows = torch.from_numpy((X - flow.x_mean_) / flow.x_scale_)
    module = flow.model_.log_prob(rows, torch.from_numpy(U)).numpy()
    np.testing.assert_allclose(flow.log_prob(X, U), module - np.log(flow.x_scale_).sum())
    z, logabsdet = flow.model_.bijection(rows)
    np.testing.assert_allclose(flow.transform(X), z.numpy(), atol=1e-12)
    assert logabsdet.dtype == torch.float64


@pytest.mark.parametrize("u", [0, 7])
def test_density_integrates_to_one_in_the_units_of_x(u: int) -> None:
    flow = small().fit(100 + 20 * X[:, :1], U)
    grid = np.linspace(-2000, 2200, 42_001)
    density = np.exp(flow.log_prob(grid[:, None], np.full(len(grid), u)))
    assert density.sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=1e-4)


def test_samples_are_f_of_the_priors_samples(flow: IFlow) -> None:
    x, z = flow.sample(U, return_latents=True, seed=2)
    np.testing.assert_allclose(flow.inverse_transform(z), x)
    np.testing.assert_allclose(flow.transform(x), z, atol=1e-8)
    standardised = (z - flow.prior_(torch.from_numpy(U)).mean.numpy()) / flow.prior_(
        torch.from_numpy(U)
    ).stddev.numpy()
    assert np.abs(standardised.mean(axis=0)).max() < 0.2
    assert np.abs(standardised.std(axis=0) - 1).max() < 0.2


def test_every_layer_is_trained(fitted: Callable[[str], IFlow]) -> None:
    flow = fitted("spline")
    first = small()._new_model(2, flow.auxiliary_, {}).state_dict()
    last = flow.model_.state_dict()
    still = [key for key, tensor in last.items() if torch.equal(tensor.float(), first[key])]
    assert not still


def test_sources_behind_a_linear_mixing_are_recovered() -> None:
    data = nonstationary_sources(2, 10, 200, n_layers=1, seed=2)
    held_out = np.arange(len(data.x)) % 4 == 0
    flow = small(prior="scale", max_steps=300).fit(data.x[~held_out], data.u[~held_out])
    z = flow.transform(data.x[held_out])
    assert mean_corr_coef(data.z[held_out], z) > 0.97
    gap = data.oracle_log_prob[held_out].mean() - flow.score(data.x[held_out], data.u[held_out])
    assert -0.05 < gap < 0.2


# Bijections of one's own -------------------------------------------------------------------------

OF_ONES_OWN = [name for name in ARCHITECTURES_OF_USERS if name not in ARCHITECTURES]


@pytest.mark.parametrize("name", OF_ONES_OWN)
def test_a_transform_of_ones_own_is_given_again_to_load(
    name: str, fitted: Callable[[str], IFlow], tmp_path: Path
) -> None:
    flow, path = fitted(name), tmp_path / "flow"
    flow.save(path)
    with pytest.raises(ValueError, match="Expected architecture= with load"):
        IFlow.load(path)
    loaded = IFlow.load(path, architecture=ARCHITECTURES_OF_USERS[name]())
    np.testing.assert_array_equal(loaded.log_prob(X, U), flow.log_prob(X, U))
    np.testing.assert_array_equal(loaded.sample(U), flow.sample(U))


REFUSED: dict[str, tuple[Any, str]] = {
    "an unknown name": ("realnvp", "architecture to be .*'spline'.*; got 'realnvp'"),
    "nothing": (None, "architecture to be .* got None"),
    "a function of something else": (
        lambda d: torch.nn.Linear(d, d),
        "architecture.* got .*Linear",
    ),
    "a transform of another width": (
        MaskedAutoregressive(3, hidden=(8,)),
        r"architecture.* 2 columns|inputs of shape \(B, 3\); got \(\d+, 2\)",
    ),
    "a transform that takes a context": (
        MaskedAffineAutoregressiveTransform(2, hidden_features=8, context_features=1),
        "bijection that does not see u",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_architecture_that_is_none_is_refused_before_training(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Training, "batch", lambda *_: pytest.fail("Training had begun."))
    architecture, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        small(architecture=architecture).fit(X, U)


def test_no_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="n_layers to be an integer of at least 1; got 0"):
        small(n_layers=0).fit(X, U)


WAVES = torch.from_numpy(np.c_[U / 5.0 - 1, np.cos(U)])  # continuous u


@pytest.mark.filterwarnings("ignore:u goes beyond what fit saw")
@pytest.mark.parametrize("prior", ["scale", "mean_and_scale", "laplace", "mixture"])
def test_a_density_has_the_gradient_of_u_in_the_range_of_fit(prior: str) -> None:
    flow = small(prior=prior).fit(X, WAVES)
    x, u = torch.from_numpy(X[:5]), torch.rand(5, 2, dtype=torch.float64) - 0.5
    u[0] = 9.0  # beyond what fit saw, where the prior stays as it is
    assert torch.autograd.gradcheck(lambda u: flow(u).log_prob(x), u.requires_grad_())
    (gradient,) = torch.autograd.grad(flow(u).log_prob(x).sum(), u)
    assert (gradient[1:] != 0).all() and (gradient[0] == 0).all()
    np.testing.assert_allclose(flow(u).log_prob(x).detach(), flow.log_prob(x, u.detach()))


@pytest.mark.parametrize("prior", ["scale", "laplace", "mixture", "exponential_family"])
def test_one_u_goes_with_many_x_and_many_with_one(prior: str) -> None:
    flow, x = small(prior=prior).fit(X, U), torch.from_numpy(X)
    np.testing.assert_allclose(flow([3]).log_prob(x), flow.log_prob(X, np.full(len(X), 3)))
    each = flow([0, 3, 5]).log_prob(x[:, None])
    for column, label in enumerate([0, 3, 5]):
        expected = flow.log_prob(X, np.full(len(X), label))
        np.testing.assert_allclose(each[:, column], expected)
    np.testing.assert_allclose(flow([0, 3, 5]).log_prob(x[:1]), each[0])
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 3, 2\), a row .* got \(300, 2\)"):
        flow([0, 3, 5]).log_prob(x)
