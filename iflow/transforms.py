"""The bijections we stand behind, each an nflows Transform: x → z forward, z → x inverse.

Every `forward` and `inverse` returns the mapped rows and log |det J| in nats, shape (B,). None of
them takes a context: the bijection never sees u.

A conditioner is the network that computes an element's parameters from the variables that pass
through. It takes columns (n_passed, B) and returns (n_parameters, n_steered, B), parameters first
and rows last: the order that elements work in, and that the last product is written in for nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from identiflow.iflow.elements import AffineElement, Element, SplineElement, VolumePreservingElement
from identiflow.shared.compute.networks import ACTIVATIONS, mlp
from identiflow.shared.compute.nflows_adapter import CompositeTransform, Transform

# The last layer starts this much smaller than torch's default: near the identity, yet with a
# gradient in every parameter.
INITIAL_SHRINKAGE = 0.1
ElementMap = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Bijection(Transform):
    """A Transform of rows with `features` columns that refuses a context."""

    def __init__(self, features: int) -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"Expected features of at least 1; got {features}.")
        self.features = features

    def forward(self, inputs: Tensor, context: None = None) -> tuple[Tensor, Tensor]:
        """z (B, d) and log |det dz/dx| (B,)."""
        self._check(inputs, context)
        return self._forward(inputs)

    def inverse(self, inputs: Tensor, context: None = None) -> tuple[Tensor, Tensor]:
        """x (B, d) and log |det dx/dz| (B,)."""
        self._check(inputs, context)
        return self._inverse(inputs)

    @abstractmethod
    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]: ...

    def _check(self, inputs: Tensor, context: None) -> None:
        if context is not None:
            raise ValueError(
                "Expected no context: a bijection that sees u is not identified; got one. "
                "Give u to the prior."
            )
        if inputs.ndim != 2 or inputs.shape[1] != self.features:
            raise ValueError(
                f"Expected inputs of shape (B, {self.features}); got {tuple(inputs.shape)}."
            )


class Coupling(Bijection):
    """One part of the columns passes through and steers an elementwise map of the other part.

    Args:
        features: d. With d = 1 nothing passes through, and the map has free parameters.
        element: what is done to each steered variable.
        hidden: widths of the conditioner.
        flip: steer the first part instead of the second.

    Reference: Dinh, Sohl-Dickstein & Bengio 2017, "Density estimation using Real NVP", eq. (7).
    """

    def __init__(
        self,
        features: int,
        element: Element,
        *,
        hidden: Sequence[int] = (128, 128),
        activation: str = "silu",
        flip: bool = False,
    ) -> None:
        super().__init__(features)
        self.element, self.flip = element, flip
        n_passed = (features + flip) // 2 if features > 1 else 0
        self.sizes = (features - n_passed, n_passed) if flip else (n_passed, features - n_passed)
        n_steered = features - n_passed
        shape = (element.n_parameters, n_steered)
        self.conditioner = CouplingConditioner(n_passed, hidden, shape, activation)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._map(x, self.element.forward)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self._map(z, self.element.inverse)

    def _map(self, value: Tensor, element_map: ElementMap) -> tuple[Tensor, Tensor]:
        first, second = value.T.split(self.sizes)
        passed, steered = (second, first) if self.flip else (first, second)
        mapped, log_derivative = element_map(steered, self.conditioner(passed))
        parts = (mapped, passed) if self.flip else (passed, mapped)
        return torch.cat(parts).T, log_derivative.sum(dim=0)


class SplineCoupling(Coupling):
    """Coupling with rational-quadratic splines (Durkan et al. 2019)."""

    def __init__(
        self,
        features: int,
        *,
        n_bins: int = 8,
        bound: float = 5.0,
        hidden: Sequence[int] = (128, 128),
        activation: str = "silu",
        flip: bool = False,
    ) -> None:
        element = SplineElement(n_bins, bound)
        super().__init__(features, element, hidden=hidden, activation=activation, flip=flip)


class AffineCoupling(Coupling):
    """Coupling with affine maps whose log-scale is bounded on both sides (Dinh et al. 2017)."""

    element_type: ClassVar[type[AffineElement]] = AffineElement

    def __init__(
        self,
        features: int,
        *,
        hidden: Sequence[int] = (128, 128),
        activation: str = "silu",
        flip: bool = False,
    ) -> None:
        element = self.element_type()
        super().__init__(features, element, hidden=hidden, activation=activation, flip=flip)


class VolumePreservingCoupling(AffineCoupling):
    """GIN's coupling: affine, with log |det J| = 0 for every row (Sorrenson et al. 2020)."""

    element_type = VolumePreservingElement


class MaskedAutoregressive(Bijection):
    """Every variable is mapped with parameters computed from the variables before it.

    More expressive per layer than a coupling; z → x takes d passes through the conditioner, one
    for each variable (x → z takes one).

    Reference: Papamakarios, Pavlakou & Murray 2017, "Masked autoregressive flow", eqs. (2)–(5).
    """

    def __init__(
        self,
        features: int,
        *,
        element: Element | None = None,
        hidden: Sequence[int] = (128, 128),
        activation: str = "silu",
    ) -> None:
        super().__init__(features)
        self.element = SplineElement() if element is None else element
        if not self.element.autoregressive:
            raise ValueError(
                f"Expected an element that maps each variable on its own; got "
                f"{type(self.element).__name__}, whose variables share a constraint. "
                "Use it in a Coupling."
            )
        shape = (self.element.n_parameters, features)
        self.conditioner = AutoregressiveConditioner(features, hidden, shape, activation)

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, log_derivative = self.element.forward(x.T, self.conditioner(x.T))
        return z.T, log_derivative.sum(dim=0)

    def _inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        # After pass i the first i variables are right, as they depend on the ones before only.
        x = torch.zeros_like(z.T)
        for _ in range(self.features):
            x, log_derivative = self.element.inverse(z.T, self.conditioner(x))
        return x.T, log_derivative.sum(dim=0)


class Composition(CompositeTransform):
    """Transforms one after another; log |det J| is the sum of theirs.

    nflows' own adds up in place, which `torch.func.vmap` over many sets of weights refuses.
    """

    @staticmethod
    def _cascade(inputs: Tensor, funcs: Iterable[Callable], context: None) -> tuple[Tensor, Tensor]:
        total = inputs.new_zeros(inputs.shape[0])
        for function in funcs:
            inputs, logabsdet = function(inputs, context)
            total = total + logabsdet
        return inputs, total


class CouplingConditioner(nn.Module):
    """(n_passed, B) → shape (n_parameters, n_steered), B; free parameters where nothing passes."""

    def __init__(
        self, n_passed: int, hidden: Sequence[int], shape: tuple[int, int], activation: str
    ) -> None:
        super().__init__()
        self.shape = shape
        size = shape[0] * shape[1]
        if n_passed:
            network = mlp(n_passed, hidden, size, activation)
            self.body, last = network[:-1], network[-1]
            assert isinstance(last, nn.Linear)
            self.last = last
            _shrink(self.last)
        else:
            self.constant = nn.Parameter(INITIAL_SHRINKAGE * torch.randn(size))

    def forward(self, passed: Tensor) -> Tensor:
        if len(passed):
            columns = _columns(self.body(passed.T), self.last.weight, self.last.bias)
        else:
            columns = self.constant[:, None].expand(-1, passed.shape[1])
        return columns.unflatten(0, self.shape)


class AutoregressiveConditioner(nn.Module):
    """(d, B) → shape (n_parameters, d), B; those of variable i depend on 0 … i − 1 only.

    Reference: Germain, Gregor, Murray & Larochelle 2015, "MADE".
    """

    def __init__(
        self, features: int, hidden: Sequence[int], shape: tuple[int, int], activation: str
    ) -> None:
        super().__init__()
        self.shape = shape
        inputs = torch.arange(1, features + 1)
        degrees = [inputs, *(_degrees(width, features - 1) for width in hidden)]
        body: list[nn.Module] = []
        for before, after in zip(degrees[:-1], degrees[1:], strict=True):
            mask = after[:, None] >= before[None, :]
            body += [MaskedLinear(mask), ACTIVATIONS[activation]()]
        self.body = nn.Sequential(*body)
        self.last = MaskedLinear(inputs.repeat(shape[0])[:, None] > degrees[-1][None, :])
        _shrink(self.last)

    def forward(self, x: Tensor) -> Tensor:
        columns = _columns(self.body(x.T), self.last.masked_weight, self.last.bias)
        return columns.unflatten(0, self.shape)


def _degrees(width: int, largest: int) -> Tensor:
    """Of hidden units: from 1, without which variable 1 is steered by nothing, to the largest."""
    if width < largest:
        return torch.linspace(1, largest, width).round().long()
    return torch.arange(width) % max(largest, 1) + 1


class MaskedLinear(nn.Linear):
    """A linear layer whose weights are multiplied by a fixed 0/1 mask, (out, in)."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float(), persistent=False)

    @property
    def masked_weight(self) -> Tensor:
        """The matrix that multiplies the inputs, (out, in)."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.masked_weight, self.bias)


def _columns(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The transpose (out, B) of a linear layer's outputs, contiguous."""
    return torch.addmm(bias[:, None], weight, rows.T)


@torch.no_grad()
def _shrink(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.mul_(INITIAL_SHRINKAGE)
