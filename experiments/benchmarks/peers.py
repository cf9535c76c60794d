"""The same flow from the peers' own modules, imported when it is built and not before.

All have the bins, hidden widths, activation, number of layers and split of the columns of ours,
and a Gaussian base whose means and log-scales are looked up by label. nflows and normflows call a
coupling's network with a context, so they get `Conditioner`; zuko builds its own network. What
differs is the linear layer, and with it the number of parameters:

    ours       L U x + b, both triangles in one matrix: d² + d
    nflows     L U x + b, the triangles alone: d² + d
    normflows  the same behind a fixed random permutation: d² + d
    zuko       L U x without a bias, in one matrix: d²
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from experiments.benchmarks.flows import FlowModel
from experiments.benchmarks.plan import FlowShape

INITIAL_SPREAD = 0.1


class Conditioner(nn.Sequential):
    """A perceptron that is called with a context and does not look at it."""

    def __init__(self, in_features: int, hidden: tuple[int, ...], out_features: int) -> None:
        widths = (in_features, *hidden)
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(fan_in, fan_out), nn.SiLU()]
        super().__init__(*layers, nn.Linear(widths[-1], out_features))
        self.hidden_features = hidden[-1]  # by its root nflows and normflows divide bin sizes

    def forward(self, passed: Tensor, context: None = None) -> Tensor:
        """The spline's parameters, (B, out_features)."""
        return super().forward(passed)


class NflowsFlow(nn.Module):
    """nflows' coupling, LULinear and ConditionalDiagonalNormal.

    Not its `Flow`, which would hand u to the couplings too.
    """

    def __init__(self, nflows: ModuleType, shape: FlowShape) -> None:
        super().__init__()
        coupling = nflows.transforms.PiecewiseRationalQuadraticCouplingTransform
        layers = [
            part
            for i in range(shape.n_layers)
            for part in (
                coupling(**coupling_options(shape, i)),
                nflows.transforms.LULinear(shape.features),
            )
        ]
        self.transform = nflows.transforms.CompositeTransform(layers)
        table = nn.Embedding(shape.n_labels, 2 * shape.features)
        self.base = nflows.distributions.ConditionalDiagonalNormal([shape.features], table)

    def log_prob(self, x: Tensor, u: Tensor) -> Tensor:
        """log p(x | u), (B,)."""
        z, logabsdet = self.encode(x)
        return self.base.log_prob(z, context=u) + logabsdet

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, d) and log |det J|, (B,)."""
        return self.transform(x)

    def decode(self, z: Tensor) -> Tensor:
        """x, (B, d)."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.triangular_solve")
            return self.transform.inverse(z)[0]


class NormflowsFlow(nn.Module):
    """normflows' coupling, LULinearPermute and ConditionalDiagGaussian.

    Not its `ConditionalNormalizingFlow`, which would hand u to the couplings too.
    """

    layers: Any  # a list of modules that have `inverse`, which nn.ModuleList does not know

    def __init__(self, normflows: ModuleType, shape: FlowShape) -> None:
        super().__init__()
        coupling = normflows.flows.neural_spline.coupling.PiecewiseRationalQuadraticCoupling
        # A coupling of normflows maps x to z, all its other layers z to x.
        layers = [
            part
            for i in range(shape.n_layers)
            for part in (
                normflows.flows.Reverse(coupling(**coupling_options(shape, i))),
                normflows.flows.LULinearPermute(shape.features),
            )
        ]
        self.layers = nn.ModuleList(layers)
        table = nn.Embedding(shape.n_labels, 2 * shape.features)
        self.base = normflows.distributions.base.ConditionalDiagGaussian(shape.features, table)

    def log_prob(self, x: Tensor, u: Tensor) -> Tensor:
        """log p(x | u), (B,)."""
        z, logabsdet = self.encode(x)
        return self.base.log_prob(z, context=u) + logabsdet

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, d) and log |det J|, (B,)."""
        z, total = x, x.new_zeros(len(x))
        for layer in self.layers:
            z, logabsdet = layer.inverse(z)
            total = total + logabsdet
        return z, total

    def decode(self, z: Tensor) -> Tensor:
        """x, (B, d)."""
        for layer in reversed(self.layers):
            z, _ = layer(z)
        return z


class ZukoFlow(nn.Module):
    """zuko's lazy coupling and LU transforms under a Gaussian of torch's, unchecked as zuko's."""

    def __init__(self, zuko: ModuleType, shape: FlowShape) -> None:
        super().__init__()
        layers = [
            part
            for i in range(shape.n_layers)
            for part in (zuko_coupling(zuko, shape, i), zuko_linear(zuko, shape))
        ]
        self.transform = zuko.lazy.LazyComposedTransform(*layers)
        self.table = nn.Embedding(shape.n_labels, 2 * shape.features)

    def log_prob(self, x: Tensor, u: Tensor) -> Tensor:
        """log p(x | u), (B,)."""
        z, logabsdet = self.encode(x)
        mean, log_scale = self.table(u).chunk(2, dim=-1)
        normal = Normal(mean, log_scale.exp(), validate_args=False)
        return Independent(normal, 1, validate_args=False).log_prob(z) + logabsdet

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, d) and log |det J|, (B,)."""
        return self.transform().call_and_ladj(x)

    def decode(self, z: Tensor) -> Tensor:
        """x, (B, d)."""
        return self.transform().inv(z)


def zuko_coupling(zuko: ModuleType, shape: FlowShape, layer: int) -> nn.Module:
    """One coupling; zuko's mask marks the columns that pass."""
    n_bins = shape.n_bins
    return zuko.flows.coupling.GeneralCouplingTransform(
        shape.features,
        mask=~steered(shape, layer),
        univariate=partial(zuko.transforms.MonotonicRQSTransform, bound=shape.bound),
        shapes=[(n_bins,), (n_bins,), (n_bins - 1,)],
        hidden_features=shape.hidden,
        activation=nn.SiLU,
    )


def zuko_linear(zuko: ModuleType, shape: FlowShape) -> nn.Module:
    """One LU layer, near the identity."""
    start = torch.eye(shape.features) + INITIAL_SPREAD * torch.randn(shape.features, shape.features)
    return zuko.lazy.UnconditionalTransform(zuko.transforms.LULinearTransform, start)


def coupling_options(shape: FlowShape, layer: int) -> dict[str, Any]:
    """Arguments of a coupling of nflows and of normflows, which took over nflows' code."""
    return {
        "mask": steered(shape, layer).int(),
        "transform_net_create_fn": lambda n, m: Conditioner(n, shape.hidden, m),
        "num_bins": shape.n_bins,
        "tails": "linear",
        "tail_bound": shape.bound,
    }


def steered(shape: FlowShape, layer: int) -> Tensor:
    """The columns that a layer maps, (d,): the same as in ours."""
    first = torch.arange(shape.features) < shape.features // 2
    return first if layer % 2 else ~first


PEERS: dict[str, Callable[[ModuleType, FlowShape], FlowModel]] = {
    "nflows": NflowsFlow,
    "zuko": ZukoFlow,
    "normflows": NormflowsFlow,
}


def build_peers(shape: FlowShape) -> Iterator[tuple[str, FlowModel]]:
    """Name and flow of every peer that is installed."""
    for name, build in PEERS.items():
        if name not in missing_peers():
            yield name, build(import_peer(name), shape)


def missing_peers() -> list[str]:
    """The peers that are not installed here."""
    return [name for name in PEERS if importlib.util.find_spec(name) is None]


def import_peer(name: str) -> ModuleType:
    """The peer's package, without what importing it does to torch.

    zuko switches off the argument checks of all of torch's distributions; our own times, measured
    in the same process, would be others than without zuko.
    """
    kept = {key: vars(Distribution)[key] for key in ("_validate_args", "arg_constraints")}
    try:
        return importlib.import_module(name)
    finally:
        for key, value in kept.items():
            setattr(Distribution, key, value)
