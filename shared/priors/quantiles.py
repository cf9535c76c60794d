"""Quantiles of single latents: where z lies in p(z_i | u), and the same place for another u."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor


class Quantiles(ABC):
    """The distributions p(z_i | u) of a batch of u, one for each row and latent, (B, n).

    Args:
        each: these distributions as one object with `cdf` and `icdf`, elementwise on (B, n).
    """

    def __init__(self, each: Any) -> None:
        self.each = each

    def cdf(self, z: Tensor) -> Tensor:
        """P(Z_i ≤ z_i | u), (B, n)."""
        return self.each.cdf(z)

    def icdf(self, probability: Tensor) -> Tensor:
        """The z (B, n) whose `cdf` are these probabilities (B, n)."""
        return self.each.icdf(probability)

    @abstractmethod
    def carry(self, z: Tensor, to: Any) -> Tensor:
        """z (B, n) moved to the same quantiles of `to`, which is of this class too.

        It is precise in both tails also where a `cdf` is 0 or 1 to rounding.
        """


class LocationScale(Quantiles):
    """Quantiles of one distribution, shifted by `each.loc` and stretched by `each.scale`.

    Any other parameter that it has, such as the degrees of freedom of Student's t, is to be the
    same for all u: `carry` raises a ValueError where it is not.
    """

    def carry(self, z: Tensor, to: LocationScale) -> Tensor:
        for name in getattr(self.each, "arg_constraints", {}).keys() - {"loc", "scale"}:
            if not torch.equal(getattr(self.each, name), getattr(to.each, name)):
                raise ValueError(
                    f"Expected distributions that differ in loc and scale alone; got a "
                    f"{type(self.each).__name__} whose {name} changes with u, too. Return LogOdds "
                    "from the prior's `quantiles`, or keep it the same for all u."
                )
        return to.each.loc + to.each.scale / self.each.scale * (z - self.each.loc)


class LogOdds(Quantiles):
    """Quantiles of any distribution, by log F − log(1 − F).

    `each` has `log_odds(z)` and its inverse, `at_log_odds(odds)`, both (B, n) → (B, n).
    """

    def carry(self, z: Tensor, to: LogOdds) -> Tensor:
        return to.each.at_log_odds(self.each.log_odds(z))
