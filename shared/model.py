"""The one model of this library, of which flows and VAEs are two kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from identiflow.shared.compute.random import Randomness
from identiflow.shared.priors import ConditionalPrior


class IdentifiableModel(nn.Module, ABC):
    """p(x, z | u) = p_f(x | z) p(z | u): only the prior sees u (equations 5 to 7).

    x (B, d) are observations as the model sees them, u (B, ...) the encoded auxiliary variable,
    z (B, n) the latents. With f a bijection and no noise, log p(x | u) is known; with noise, fewer
    latents than columns, or discrete x, it is bounded from below. `exact` says which of the two
    `log_density` is: all else is the same for both.

    A kind of it has a `prior`, which is a submodule or a property, and says what follows below.

    Reference: Khemakhem, Kingma, Monti & Hyvärinen 2020, equations (5) to (7).
    """

    exact: ClassVar[bool]
    loss_name: str

    if TYPE_CHECKING:  # torch would not find a submodule behind a property

        @property
        def prior(self) -> ConditionalPrior:
            """p(z | u)."""

    @property
    def latent_dim(self) -> int:
        """n."""
        return self.prior.latent_dim

    @abstractmethod
    def loss(self, x: Tensor, u: Tensor, generator: Randomness = None) -> Tensor:
        """The loss that training minimises, in nats, (B,); its noise comes from `generator`."""

    @abstractmethod
    def encode(self, x: Tensor, u: Tensor | None = None) -> Tensor:
        """z of each row, (B, n): where it is, or the mean of where it may be."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """f(z), or the mean of x given z, (B, d)."""

    @abstractmethod
    def draw(self, u: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
        """x (B, d) and z (B, n) from p(x, z | u), one row for each row of u."""

    @abstractmethod
    def log_density(self, x: Tensor, u: Tensor, **options: Any) -> Tensor:
        """log p(x | u) in nats, (B,), or, if not `exact`, a lower bound on it in expectation."""
