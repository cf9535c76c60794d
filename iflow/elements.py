"""Maps applied to each variable on its own, with parameters that a conditioner supplies.

Couplings and autoregressive transforms are the same code for every element, so that a new map is
one class with what `Element` lists.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from identiflow.iflow.splines import spline_forward, spline_inverse

# exp(±LOG_SCALE_BOUND) is how far one affine layer can stretch or shrink a variable.
LOG_SCALE_BOUND = 2.0


class Element(Protocol):
    """A strictly monotone map of single variables, m of them at once: rows come last, (m, B).

    To add one, write a class with these four members, whose inverse is exact and whose log-slopes
    are finite for every x and whatever the parameters are. `Coupling(features, YourElement())`
    and `MaskedAutoregressive(features, element=YourElement())` are then bijections; enter them in
    `BIJECTIONS` of tests/iflow/test_bijections.py, and every law runs on them.

    Attributes:
        n_parameters: how many numbers it needs for one variable.
        autoregressive: whether each variable is mapped on its own. With a constraint that
            variables share it is False, and the map fits a coupling only.
    """

    autoregressive: bool
    n_parameters: int

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z and log |dz/dx|, (m, B) each, for parameters (n_parameters, m, B)."""

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x and log |dx/dz|, (m, B) each, for parameters (n_parameters, m, B)."""


class SplineElement:
    """Rational-quadratic spline on [−bound, bound], identity outside (Durkan et al. 2019)."""

    autoregressive = True

    def __init__(self, n_bins: int = 8, bound: float = 5.0) -> None:
        if n_bins < 2:
            raise ValueError(f"Expected n_bins of at least 2; got {n_bins}.")
        if bound <= 0:
            raise ValueError(f"Expected a positive bound; got {bound}.")
        self.n_bins, self.bound = n_bins, bound
        self.n_parameters = 3 * n_bins - 1

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z and log |dz/dx|, (m, B) each."""
        return spline_forward(x, parameters, self.bound)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x and log |dx/dz|, (m, B) each."""
        return spline_inverse(z, parameters, self.bound)


class AffineElement:
    """z = x · exp(s) + t with |s| bounded on both sides (Dinh et al. 2017)."""

    autoregressive = True
    n_parameters = 2

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """z and log |dz/dx|, (m, B) each."""
        log_scale = self.log_scale(parameters[0])
        return x * log_scale.exp() + parameters[1], log_scale

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """x and log |dx/dz|, (m, B) each."""
        log_scale = self.log_scale(parameters[0])
        return (z - parameters[1]) * (-log_scale).exp(), -log_scale

    def log_scale(self, raw: Tensor) -> Tensor:
        """s, (m, B), within ± LOG_SCALE_BOUND."""
        return LOG_SCALE_BOUND * torch.tanh(raw / LOG_SCALE_BOUND)


class VolumePreservingElement(AffineElement):
    """The affine map whose log-scales sum to 0 over the variables (GIN; Sorrenson et al. 2020).

    Variables share the constraint, so it fits a coupling but not an autoregressive transform.
    """

    autoregressive = False

    def log_scale(self, raw: Tensor) -> Tensor:
        """s, (m, B), with Σ s = 0."""
        bounded = super().log_scale(raw)
        return bounded - bounded.mean(dim=0, keepdim=True)
