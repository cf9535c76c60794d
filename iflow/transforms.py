"""The bijections we stand behind, each an nflows Transform: x → z forward, z → x inverse.

Every `forward` and `inverse` returns the mapped rows and log |det J| in nats, shape (B,). None of
them takes a context: the bijection never sees u.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from identiflow.iflow.conditioners import AutoregressiveConditioner, CouplingConditioner
from identiflow.iflow.elements import AffineElement, Element, SplineElement, VolumePreservingElement
from identiflow.shared.compute.nflows_adapter import CompositeTransform, Transform

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
