"""The start of an iVAE from its noise-free special case, a flow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from identiflow.iflow import IdentifiableFlow, IFlow, spline_coupling_flow
from identiflow.iflow.linear import start_from_linear
from identiflow.ivae.likelihoods import GaussianLikelihood
from identiflow.ivae.model import IdentifiableVAE
from identiflow.shared.compute.random import Randomness, seeded
from identiflow.shared.inputs.density import has_density
from identiflow.shared.inputs.rows import Rows, head
from identiflow.shared.training import Plan, Stage, run_plans, start_stage

PAIR_ROWS = 200_000  # held in memory
START_ROWS = 20_000  # looked at before
# At the full learning rate the bound would first unlearn the start, and less is left to learn.
WARM_LEARNING_RATE, WARM_STEPS = 0.2, 0.5


def has_special_case(model: IdentifiableVAE) -> bool:
    """True if this model would be a flow without its noise."""
    square = model.likelihood.observed_dim == model.latent_dim
    return square and isinstance(model.likelihood, GaussianLikelihood)


def has_start(model: IdentifiableVAE, x: Rows) -> bool:
    """True if a flow of standardised rows x (N, d) would be a start for this model.

    Where columns depend on each other a flow has no density to learn, and what it learns instead
    is far from what the model can.
    """
    return has_special_case(model) and has_density(head(x, START_ROWS).double().numpy(force=True))


def after_start(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Changes to the recipe by which the bound is trained, after a start from a flow."""
    return {
        "learning_rate": WARM_LEARNING_RATE * recipe["learning_rate"],
        "max_steps": max(1, round(WARM_STEPS * recipe["max_steps"])),
    }


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
        start_stage, learning_rate=IFlow.learning_rate, seed=seed, **options
    )
    file = f"{checkpoint}.flow" if checkpoint else None
    yield stage(flow, x, u, max_steps=max_steps, weight_decay=IFlow.weight_decay, checkpoint=file)
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
