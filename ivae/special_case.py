"""The flow as the special case of the iVAE: no noise, and as many latents as observations.

Around a flow x = f(z) put noise, x = f(z) + σ ε. As σ → 0 the posterior of z is that of g(x + σ ε),
with g = f⁻¹, which is N(g(x), σ² J_g J_gᵀ) to leading order, and the ELBO of that iVAE is
log p(x | u) of the flow up to O(σ²).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints
from typing_extensions import Self

from identiflow.iflow import IdentifiableFlow, IFlow, spline_coupling_flow
from identiflow.iflow.start import start_from_linear
from identiflow.ivae.estimator import IVAE
from identiflow.ivae.likelihoods import GaussianLikelihood
from identiflow.ivae.model import IdentifiableVAE
from identiflow.ivae.posteriors import standard_noise
from identiflow.shared.compute.networks import LOG_2PI
from identiflow.shared.compute.nflows_adapter import Transform
from identiflow.shared.compute.random import Randomness, seeded
from identiflow.shared.inputs.rows import Rows, head
from identiflow.shared.training import Plan, Stage, run_plans, start_stage

START_LEARNING_RATE, WEIGHT_DECAY = 2e-2, 0.2  # the defaults of IFlow
PAIR_ROWS = 200_000  # held in memory


def from_flow(flow: IFlow, noise_std: float) -> IVAE:
    """The iVAE that a fitted flow is the noise-free limit of; its `elbo` tends to `flow.log_prob`.

    It shares the flow's weights: decoder f, posterior that of g(x + σ ε), the same prior. Its ELBO
    is E[log p(x + σ ε | u)] of the flow, so that the gap is σ²/2 times the Laplacian of
    log p(x | u), to leading order.

    Args:
        flow: a fitted IFlow.
        noise_std: σ, in units of standardised x.

    Raises:
        ValueError: for a σ that is not positive, or a flow that is not fitted.

    Reference: Khemakhem et al. 2020, section 3.2: the deterministic case as the limit of vanishing
        noise.

    Example:
        >>> from identiflow.iflow import IFlow
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(latent_dim=2, n_segments=5, samples_per_segment=50, seed=1)
        >>> flow = IFlow(n_layers=2, hidden=(16,), max_steps=50, seed=0).fit(data.x, data.u)
        >>> gap = from_flow(flow, 1e-3).elbo(data.x, data.u) - flow.log_prob(data.x, data.u)
        >>> bool(abs(gap).mean() < 1e-3)
        True
    """
    if not 0 < noise_std < math.inf:
        raise ValueError(f"Expected a finite, positive noise_std; got {noise_std}.")
    flow._require_fitted()
    near = _FlowWithNoise(latent_dim=flow.n_features_in_, prior=flow.prior, seed=flow.seed)
    for name in ("n_features_in_", "auxiliary_", "x_mean_", "x_scale_", "history_"):
        setattr(near, name, getattr(flow, name))
    near.collapsed_latents_ = ()
    near.model_ = noisy_model(flow.model_, noise_std)
    return near


def noisy_model(flow: IdentifiableFlow, noise_std: float) -> IdentifiableVAE:
    """`from_flow` for modules: the IdentifiableVAE around an IdentifiableFlow."""
    features = flow.prior.latent_dim
    likelihood = GaussianLikelihood(features, learn="fixed").to(next(flow.parameters()))
    likelihood.fixed_noise_std.fill_(noise_std)
    return IdentifiableVAE(
        FlowEncoder(flow.bijection, noise_std),
        FlowDecoder(flow.bijection),
        likelihood,
        flow.prior,
        objective="elbo",
    ).eval()


def start_from_flow(model: IdentifiableVAE, x: Tensor, u: Tensor, **options: Any) -> None:
    """Give an IdentifiableVAE with n = d and Gaussian x a start from its noise-free special case.

    A flow with the same prior is trained first, on the exact likelihood, which is a far easier
    problem than the bound. Then the decoder and the encoder learn from pairs of that flow with
    noise, z = g(x + σ ε): the decoder by log p(x | z), the encoder by log q(z | x), whose best fit
    is the posterior N(g(x), σ² J_g J_gᵀ). Training on the bound goes on from there.

    Args:
        model: to be trained; its prior is trained with the flow.
        x: standardised training rows (N, d).
        u: encoded, (N,) or (N, q).
        **options: see `plan_from_flow`.
    """
    run_plans([plan_from_flow(model, x, u, **options)])


def plan_from_flow(
    model: IdentifiableVAE,
    x: Rows,
    u: Tensor,
    *,
    max_steps: int,
    noise_std: float = 0.01,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Plan[None]:
    """`start_from_flow` as a plan of its two trainings.

    Args:
        model: see `start_from_flow`.
        x: standardised training rows (N, d); pairs are made of the first 200,000.
        u: encoded, (N,) or (N, q).
        max_steps: gradient steps of the flow, and as many of the pairs.
        noise_std: σ, in units of standardised x: small, as g magnifies it wherever f contracts.
        seed: of the flow, the noise and the batches.
        checkpoint: prefix of two files, so that a killed run does not start this anew.
        **options: see `shared.training.Stage`.
    """
    with seeded(seed):
        flow = IdentifiableFlow(spline_coupling_flow(x.shape[1]), model.prior)
        flow.to(x.device, x.dtype)
    start_from_linear(flow, x, u, seed)
    stage: Callable[..., Stage] = partial(
        start_stage, learning_rate=START_LEARNING_RATE, seed=seed, **options
    )
    file = f"{checkpoint}.flow" if checkpoint else None
    yield stage(flow, x, u, max_steps=max_steps, weight_decay=WEIGHT_DECAY, checkpoint=file)
    x = head(x, PAIR_ROWS)
    generator = torch.Generator(device=x.device).manual_seed(seed)
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    with torch.no_grad():
        z = torch.cat([flow.encode(rows) for rows in (x + noise_std * noise).split(4096)])
    file = f"{checkpoint}.pairs" if checkpoint else None
    yield stage(FlowPairs(model), x, z, max_steps=max_steps, checkpoint=file)


class FlowPairs(nn.Module):
    """Supervised training of an encoder and a decoder on pairs (x, z): −log p(x | z) q(z | x)."""

    loss_name = "negative log p(x | z) q(z | x)"

    def __init__(self, model: IdentifiableVAE) -> None:
        super().__init__()
        self.encoder, self.decoder, self.likelihood = model.encoder, model.decoder, model.likelihood

    def loss(self, x: Tensor, z: Tensor, generator: Randomness = None) -> Tensor:
        """In nats, (B,)."""
        posterior = self.encoder(self.likelihood.features(x))
        return -self.likelihood(self.decoder(z)).log_prob(x) - posterior.log_prob(z)


class FlowDecoder(nn.Module):
    """f of a flow as a decoder: z (..., n) → x (..., n)."""

    def __init__(self, bijection: Transform) -> None:
        super().__init__()
        self.bijection = bijection

    def forward(self, z: Tensor) -> Tensor:
        return self.bijection.inverse(z.flatten(0, -2))[0].view_as(z)


class FlowEncoder(nn.Module):
    """q(z | x) of a flow with noise σ, in closed form: no network, nothing to train."""

    def __init__(self, bijection: Transform, noise_std: float) -> None:
        super().__init__()
        self.bijection, self.noise_std = bijection, noise_std

    def forward(self, x: Tensor, u: Tensor | None = None) -> PushforwardPosterior:
        return PushforwardPosterior(x, self.bijection, self.noise_std)


class PushforwardPosterior(Distribution):
    """z = g(x + σ ε), ε ~ N(0, I): the posterior of z if all values of f(z) were equally likely.

    log q(z | x) = log N(f(z); x, σ² I) + log |det J_f(z)|. As σ → 0 it is N(g(x), σ² J_g J_gᵀ),
    but it follows g where g bends. Its ELBO is E[log p(x + σ ε | u)] of the flow.

    Args:
        x: (B, d).
        bijection: g.
        noise_std: σ.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, x: Tensor, bijection: Transform, noise_std: float) -> None:
        self.x, self.bijection, self.noise_std = x, bijection, noise_std
        super().__init__(x.shape[:-1], x.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """g(x), (B, n): the latents without noise, which are the mean up to O(σ²)."""
        return self.bijection(self.x)[0]

    def rsample_with_log_prob(
        self, n_samples: int, generator: Randomness = None, antithetic: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Draws z (S, B, n) and log q(z | x) in nats (S, B)."""
        noise = standard_noise(n_samples, self.x, generator, antithetic)
        z, logabsdet = self.bijection((self.x + self.noise_std * noise).flatten(0, 1))
        log_noise = self._log_density_of_noise(noise)
        return z.view_as(noise), log_noise - logabsdet.view_as(log_noise)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x) in nats for z (..., B, n)."""
        x, logabsdet = self.bijection.inverse(z.flatten(0, -2))
        log_noise = self._log_density_of_noise((x.view_as(z) - self.x) / self.noise_std)
        return log_noise + logabsdet.view_as(log_noise)

    def _log_density_of_noise(self, noise: Tensor) -> Tensor:
        """log N(σ ε; 0, σ² I), for ε (..., d)."""
        normaliser = self.x.shape[-1] * (0.5 * LOG_2PI + math.log(self.noise_std))
        return -0.5 * noise.square().sum(-1) - normaliser


class _FlowWithNoise(IVAE):
    """An IVAE whose parts are a fitted flow's; it is evaluated, not trained or stored."""

    def fit(self, x: Any, u: Any = None, **options: Any) -> Self:
        raise ValueError(
            "Expected an IVAE of your own to fit; got one made by from_flow, whose weights are the "
            "flow's. Fit the flow, or a new IVAE(latent_dim=...)."
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        raise ValueError(
            "Expected an IVAE of your own to save; got one made by from_flow. Save the flow, and "
            "call from_flow again after IFlow.load."
        )
