"""The flow as the special case of the iVAE: no noise, and as many latents as observations.

Around a flow x = f(z) put noise, x = f(z) + σ ε. As σ → 0 the posterior of z is that of g(x + σ ε),
with g = f⁻¹, which is N(g(x), σ² J_g J_gᵀ) to leading order, and the ELBO of that iVAE is
log p(x | u) of the flow up to O(σ²).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from identiflow.iflow import IdentifiableFlow, IFlow
from identiflow.ivae.estimator import IVAE
from identiflow.ivae.likelihoods import GaussianLikelihood
from identiflow.ivae.model import IdentifiableVAE
from identiflow.ivae.posteriors import standard_noise
from identiflow.shared.compute.networks import LOG_2PI
from identiflow.shared.compute.nflows_adapter import Transform
from identiflow.shared.compute.random import Randomness
from identiflow.shared.inputs.options import POSITIVE

# Noise is to be as large as so many rounding errors of f(g(x)), each of at least so much.
ROUNDINGS, ROUNDING = 100, 1e-14
BORROWED = (
    "made by from_flow, whose weights are the flow's. Fit and save the flow, or a new "
    "IVAE(latent_dim=...), and call from_flow again after IFlow.load"
)


def from_flow(flow: IFlow, noise_std: float) -> IVAE:
    """The iVAE that a fitted flow is the noise-free limit of; its `elbo` tends to `flow.log_prob`.

    It shares the flow's weights: decoder f, posterior that of g(x + σ ε), the same prior. Its ELBO
    is E[log p(x + σ ε | u)] of the flow, so that the gap is σ²/2 times the Laplacian of
    log p(x | u), to leading order. It was not trained: its `held_out_nats_` is NaN, and `score` of
    rows that the flow has not seen tells which σ is better; its `history_` is the flow's.

    Args:
        flow: a fitted IFlow.
        noise_std: σ, in units of standardised x.

    Raises:
        ValueError: for a σ that is not positive, or so small that rounding in f(g(x)) would be
            taken for it; or a flow that is not fitted.

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
    if not isinstance(flow, IFlow):
        raise TypeError(f"Expected a fitted IFlow; got {flow!r}. Pass what IFlow().fit gives.")
    if not POSITIVE.accepts(noise_std):
        raise ValueError(f"Expected a finite, positive noise_std; got {noise_std!r}.")
    fitted = flow.fitted_
    _check_resolved(float(noise_std), flow.round_trip_error_)
    shared = {
        name: fitted.parameters[name] for name in ("prior", "informative", "baseline", "seed")
    }
    near = IVAE(latent_dim=fitted.n_features, noise_std=float(noise_std), **shared)
    near._fitted = replace(
        fitted,
        parameters=near.get_params(),
        model=noisy_model(fitted.model, noise_std),
        measured={
            "collapsed_latents_": (),
            "n_categories_": 0,
            "held_out_loss_": math.nan,  # its bound is that of no rows yet
            "chosen_prior_": flow.chosen_prior_,
        },
        borrowed=BORROWED,
    )
    return near


def _check_resolved(noise_std: float, round_trip_error: float) -> None:
    least = ROUNDINGS * max(round_trip_error, ROUNDING)
    if noise_std < least:
        raise ValueError(
            f"Expected noise_std of at least {least:.1e}, {ROUNDINGS} times the rounding errors of "
            f"this flow's f(g(x)); got {noise_std}. The gap goes with its square: 1e-6 is as good "
            "as none."
        )


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


def noise_free(model: IdentifiableVAE) -> IdentifiableFlow:
    """The way back from `noisy_model`: the flow that such an IdentifiableVAE tends to as σ → 0.

    Raises:
        ValueError: if its decoder is no bijection, as a network's is not.
    """
    if not isinstance(model.decoder, FlowDecoder):
        raise ValueError(
            "Expected an IdentifiableVAE whose decoder is the inverse of a flow; got the decoder "
            f"{type(model.decoder).__name__}. Only a bijection has a noise-free density."
        )
    return IdentifiableFlow(model.decoder.bijection, model.prior)


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
