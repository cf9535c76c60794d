"""IdentifiableVAE: encoder, decoder, likelihood and conditional prior as one model."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from identiflow.ivae import objectives
from identiflow.ivae.likelihoods import Likelihood
from identiflow.ivae.objectives import OBJECTIVES, Objective
from identiflow.ivae.posteriors import GaussianPosterior
from identiflow.shared.compute.random import Randomness, generator, seeded
from identiflow.shared.model import IdentifiableModel
from identiflow.shared.priors.base import ConditionalPrior


class IdentifiableVAE(IdentifiableModel):
    """p(x, z | u) = p_f(x | z) p(z | u), with an approximate posterior q(z | x, u).

    x is the observation (B, d), u the encoded auxiliary variable, z the latent sources (B, n), f
    the decoder. u enters through the prior (and the encoder, if it asks for it), never through f.

    Reference: Khemakhem, Kingma, Monti & Hyvärinen 2020, equations (5) to (7).

    Example:
        >>> import torch
        >>> from identiflow.ivae.decoders import MLPDecoder
        >>> from identiflow.ivae.encoders import MLPEncoder
        >>> from identiflow.ivae.likelihoods import GaussianLikelihood
        >>> from identiflow.shared.priors.gaussian import GaussianPrior
        >>> model = IdentifiableVAE(
        ...     MLPEncoder(10, 5),
        ...     MLPDecoder(5, 10),
        ...     GaussianLikelihood(10),
        ...     GaussianPrior(5, n_labels=40),
        ... )
        >>> model.loss(torch.randn(8, 10), torch.arange(8)).shape
        torch.Size([8])

    Args:
        encoder: called with (x's features, u), returns a `GaussianPosterior`.
        decoder: f, from z (..., n) to the parameters of the likelihood (..., parameter_dim).
        likelihood: p(x | z).
        prior: p(z | u).
        objective: "iw" (importance-weighted bound), "elbo", or a function called with
            (model, x, u, n_samples=, generator=) that returns what to maximise, (B,).
        n_samples: draws of z for each row in the loss.

    Raises:
        ValueError: for an unknown objective, parts whose sizes do not fit each other, or a decoder
            that takes anything but z.
    """

    exact = False
    prior: ConditionalPrior

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: ConditionalPrior,
        *,
        objective: str | Objective = "iw",
        n_samples: int = 8,
    ) -> None:
        super().__init__()
        if isinstance(objective, str) and objective not in OBJECTIVES:
            raise ValueError(
                f"Expected objective to be one of {sorted(OBJECTIVES)} or a function; got "
                f"{objective!r}."
            )
        _refuse_decoder_of_u(decoder)
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.prior = likelihood, prior
        self.objective = OBJECTIVES[objective] if isinstance(objective, str) else objective
        self.n_samples = n_samples
        self.loss_name = f"negative {objective if isinstance(objective, str) else 'objective'}"
        self._check_sizes()

    def extra_repr(self) -> str:
        """Name the objective: two models that differ in that alone are not the same."""
        name = getattr(self.objective, "__qualname__", type(self.objective).__name__)
        return f"objective={name}, n_samples={self.n_samples}"

    @property
    def loss_is_bound(self) -> bool:
        """Whether `loss` is one of −log p(x | u) in nats, which that of a function need not be."""
        return any(self.objective is bound for bound in OBJECTIVES.values())

    def posterior(self, x: Tensor, u: Tensor | None = None) -> GaussianPosterior:
        """q(z | x, u), batch shape (B,), event shape (n,)."""
        return self.encoder(self.likelihood.features(x), u)

    def conditional(self, z: Tensor) -> Distribution:
        """p(x | z), event shape (d,)."""
        return self.likelihood(self.decoder(z))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) in nats, (S, B) for z (S, B, n)."""
        return self.conditional(z).log_prob(x)

    def loss(self, x: Tensor, u: Tensor, generator: Randomness = None) -> Tensor:
        """The negative objective of each row, (B,), in nats."""
        value = self.objective(self, x, u, n_samples=self.n_samples, generator=generator)
        if not isinstance(value, Tensor) or value.shape != x.shape[:1]:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"Expected an objective that returns a tensor of shape ({len(x)},), a number for "
                f"each row; got {got}. Take no mean: fit does."
            )
        return -value

    def elbo(
        self,
        x: Tensor,
        u: Tensor,
        n_samples: int = 1,
        generator: torch.Generator | None = None,
        *,
        kl: str = "auto",
        antithetic: bool = False,
    ) -> Tensor:
        """The evidence lower bound of each row, (B,), in nats; see `objectives.elbo`."""
        return objectives.elbo(self, x, u, n_samples, generator, kl=kl, antithetic=antithetic)

    def log_prob(
        self,
        x: Tensor,
        u: Tensor,
        n_samples: int = 64,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """log p(x | u) of each row in nats, (B,), estimated from below by importance weighting.

        Without gradient; memory is bounded. See `objectives.iw_bound`.
        """
        return objectives.estimate_log_prob(self, x, u, n_samples, generator)

    def encode(self, x: Tensor, u: Tensor | None = None) -> Tensor:
        """z as the posterior mean, (B, n)."""
        return self.posterior(x, u).mean

    def decode(self, z: Tensor) -> Tensor:
        """The mean of x given z, (B, d)."""
        return self.likelihood.mean(self.decoder(z))

    @torch.no_grad()
    def draw(self, u: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
        """x (B, d) and z (B, n) from p(x, z | u), one row for each row of u."""
        return self.sample(u, generator(seed))

    def log_density(self, x: Tensor, u: Tensor, **options: Any) -> Tensor:
        """`log_prob`: a lower bound in expectation."""
        return self.log_prob(x, u, **options)

    @torch.no_grad()
    def sample(self, u: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """x (B, d) and z (B, n) drawn from p(x, z | u), one row for each row of u."""
        z = _sample(self.prior(u), generator)
        return self.likelihood.sample(self.decoder(z), generator), z

    def _check_sizes(self) -> None:
        sizes = (
            ("encoder", "observed_dim", self.likelihood.feature_dim, "likelihood.feature_dim"),
            ("encoder", "latent_dim", self.prior.latent_dim, "prior.latent_dim"),
            ("decoder", "latent_dim", self.prior.latent_dim, "prior.latent_dim"),
            ("decoder", "parameter_dim", self.likelihood.parameter_dim, "likelihood.parameter_dim"),
        )
        for part, attribute, expected, source in sizes:
            got = getattr(getattr(self, part), attribute, expected)
            if got != expected:
                raise ValueError(
                    f"Expected {part}.{attribute} = {expected}, which is {source}; got {got}. "
                    f"Build the {part} with {attribute}={expected}."
                )


def _refuse_decoder_of_u(decoder: nn.Module) -> None:
    parameters = list(inspect.signature(decoder.forward).parameters.values())
    named = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if len(named) > 1:
        raise ValueError(
            f"Expected a decoder that takes z alone; got {type(decoder).__name__} with the "
            f"arguments {named}. If x depended on u other than through z, z would not be "
            "identified: let u enter through the prior."
        )


def _sample(distribution: Distribution, generator: torch.Generator | None) -> Tensor:
    """A draw that takes its randomness from the generator, which torch's distributions cannot."""
    if generator is None:
        return distribution.sample()
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    with seeded(int(seed), generator.device):
        return distribution.sample()
