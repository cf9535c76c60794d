"""Objectives of an iVAE: bounds on log p(x | u), one number in nats for each row.

All are functions of a model with `posterior(x, u)`, `prior(u)` and `log_likelihood(x, z)`, such as
`IdentifiableVAE`. With importance weights w = p(x | z) p(z | u) / q(z | x, u), z ~ q:

    ELBO = E[log w]  ≤  E[log (1/K) Σ_k w_k]  ≤  log p(x | u).

Every constant is kept, so the numbers can be compared with a flow's exact log-likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.distributions import Distribution

from identiflow.ivae.late_scale import LateScale
from identiflow.ivae.posteriors import GaussianPosterior, closed_form_kl
from identiflow.shared.compute.random import Randomness


class LatentVariableModel(Protocol):
    """A model as the objectives see it."""

    def posterior(self, x: Tensor, u: Tensor) -> GaussianPosterior:
        """q(z | x, u)."""

    def prior(self, u: Tensor) -> Distribution:
        """p(z | u)."""

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) in nats, (S, B) for z (S, B, n)."""


def elbo(
    model: LatentVariableModel,
    x: Tensor,
    u: Tensor,
    n_samples: int = 1,
    generator: Randomness = None,
    *,
    kl: str = "auto",
    antithetic: bool = False,
) -> Tensor:
    """The evidence lower bound E_q[log p(x | z)] − KL(q(z | x, u) ‖ p(z | u)), unbiased.

    The KL is exact where a formula gives it ("auto"). With kl="sampled" it is estimated from the
    same draws; the two noises then cancel where q is close to the true posterior: at the exact
    posterior every single draw gives log p(x | u). Prefer that to measure a bound that is nearly
    tight, with antithetic draws when the noise σ of x is small (their error is O(σ²), not O(σ)).

    Reference: Kingma & Welling 2014, equations (2) ("sampled") and (3).

    Args:
        model: see `LatentVariableModel`.
        x: (B, d).
        u: encoded, (B,) or (B, q).
        n_samples: draws of z for each row.
        generator: where the noise comes from; torch's global generator if None.
        kl: "auto" or "sampled".
        antithetic: draw z in pairs m ± L ε; n_samples must be even.

    Returns:
        (B,), in nats.

    Raises:
        ValueError: for an unknown kl, or an odd n_samples with antithetic draws.
    """
    if kl not in ("auto", "sampled"):
        raise ValueError(f"Expected kl to be 'auto' or 'sampled'; got {kl!r}.")
    posterior, prior = model.posterior(x, u), model.prior(u)
    z, log_q = posterior.rsample_with_log_prob(n_samples, generator, antithetic)
    divergence = closed_form_kl(posterior, prior) if kl == "auto" else None
    if divergence is None:
        divergence = log_q - prior.log_prob(z)
    return (model.log_likelihood(x, z) - divergence).mean(0)


def iw_bound(
    model: LatentVariableModel,
    x: Tensor,
    u: Tensor,
    n_samples: int,
    generator: Randomness = None,
    *,
    gradient: str = "dreg",
) -> Tensor:
    """The importance-weighted bound log (1/K) Σ_k p(x | z_k) p(z_k | u) / q(z_k | x, u).

    With K = 1 it is the ELBO; its expectation grows with K towards log p(x | u).

    With gradient="dreg" the encoder's gradient is the doubly reparameterised estimator
    Σ_k w̃_k² (∂ log w_k / ∂z_k) ∂z_k/∂φ, with w̃_k the normalised weights, whose signal does not
    drown in noise as K grows; it works with `backward` and `torch.autograd.grad`, to first order.
    The value, and the gradient of the decoder and the prior, are those of "standard", which
    differentiates the bound as it is. Where a row's posterior is nearly singular, ∂ log q / ∂z has
    no useful size; such a row (`GaussianPosterior.condition` above 1000, whatever the draw) takes
    the standard gradient, whose mean is the same.

    Reference: Burda, Grosse & Salakhutdinov 2016, equation (8); Tucker, Lawson, Gu & Maddison 2019.

    Args:
        model: see `LatentVariableModel`.
        x: (B, d).
        u: encoded, (B,) or (B, q).
        n_samples: K.
        generator: where the noise comes from; torch's global generator if None.
        gradient: "dreg" or "standard".

    Returns:
        (B,), in nats.

    Raises:
        ValueError: for an unknown gradient.
    """
    if gradient not in ("standard", "dreg"):
        raise ValueError(f"Expected gradient to be 'standard' or 'dreg'; got {gradient!r}.")
    posterior = model.posterior(x, u)
    if gradient == "standard":
        z, log_q = posterior.rsample_with_log_prob(n_samples, generator)
        return _log_weights(model, x, u, z, log_q).logsumexp(0) - log(n_samples)
    # The value of the bound, with Σ_k w̃_k ∂ log w_k as its gradient, and w̃_k² on the way through z.
    z, log_q, score, scored = posterior.rsample_with_score(n_samples, generator)
    on_the_way_to_z = LateScale()
    z = on_the_way_to_z.mark(z)
    of_z = (score * (z - z.detach())).sum(-1)  # 0, with the gradient that log q has in z
    log_w = _log_weights(model, x, u, z, torch.where(scored, log_q.detach() + of_z, log_q))
    weights = log_w.detach().softmax(0)
    on_the_way_to_z.set(torch.where(scored, weights, 1.0))
    bound = log_w.detach().logsumexp(0) - log(n_samples)
    return bound + (weights * (log_w - log_w.detach())).sum(0)


def _log_weights(
    model: LatentVariableModel, x: Tensor, u: Tensor, z: Tensor, log_q: Tensor
) -> Tensor:
    """log w of each draw, (S, B)."""
    return model.log_likelihood(x, z) + model.prior(u).log_prob(z) - log_q


@torch.no_grad()
def estimate_log_prob(
    model: LatentVariableModel,
    x: Tensor,
    u: Tensor,
    n_samples: int = 64,
    generator: Randomness = None,
    *,
    max_decoded: int = 2**16,
) -> Tensor:
    """`iw_bound` for evaluation: any K and any number of rows in bounded memory, no gradient.

    Args:
        model: see `LatentVariableModel`.
        x: (N, d).
        u: encoded, (N,) or (N, q).
        n_samples: K.
        generator: where the noise comes from; torch's global generator if None.
        max_decoded: how many z are decoded at a time.

    Returns:
        (N,), in nats: a lower bound of log p(x | u) in expectation.
    """
    n_rows = max(1, max_decoded // n_samples)
    chunks = zip(x.split(n_rows), u.split(n_rows), strict=True)
    bounds = [_summed_weights(model, *chunk, n_samples, generator, max_decoded) for chunk in chunks]
    return torch.cat(bounds) - log(n_samples)


def _summed_weights(
    model: LatentVariableModel,
    x: Tensor,
    u: Tensor,
    n_samples: int,
    generator: Randomness,
    max_decoded: int,
) -> Tensor:
    """log Σ_k w_k, (B,), with at most `max_decoded` draws for each row at a time."""
    parts = []
    for first in range(0, n_samples, max_decoded):
        size = min(max_decoded, n_samples - first)
        parts.append(iw_bound(model, x, u, size, generator, gradient="standard") + log(size))
    return torch.stack(parts).logsumexp(0)


class ElboTerms(NamedTuple):
    """The ELBO of each row in four terms, (B,) each, in nats: the first minus the other three."""

    reconstruction: Tensor
    mutual_information: Tensor
    total_correlation: Tensor
    dimensionwise_kl: Tensor


def elbo_terms(
    model: LatentVariableModel,
    x: Tensor,
    u: Tensor,
    n_samples: int = 1,
    generator: Randomness = None,
) -> ElboTerms:
    """The terms of the ELBO, its KL split in three by the batch's mixture of posteriors.

    With q(z) = (1/B) Σ_b q(z | x_b, u_b) and z ~ q(z | x, u):

        reconstruction      E[log p(x | z)]
        mutual information  E[log q(z | x, u) − log q(z)]
        total correlation   E[log q(z) − Σ_i log q(z_i)]
        dimension-wise KL   E[Σ_i log q(z_i) − log p(z | u)]

    A row's terms depend on its batch, through q(z): compare batches of one size. Minibatch weighted
    sampling for a data set of N rows adds log N to the second term and (n − 1) log N to the third
    and takes n log N off the fourth, constants without a gradient. Against a prior given u the last
    term is no divergence and can be negative. Cost O(S B² n²), memory O(S B² n).

    Reference: Chen, Li, Grosse & Duvenaud 2018, equations (2) and (3), here with a prior given u.

    Args:
        model: see `LatentVariableModel`.
        x: (B, d).
        u: encoded, (B,) or (B, q).
        n_samples: draws of z for each row.
        generator: where the noise comes from; torch's global generator if None.
    """
    posterior = model.posterior(x, u)
    z, log_q_given_x = posterior.rsample_with_log_prob(n_samples, generator)
    # Every draw under every row's posterior: (S, B, 1, n) against a batch of B.
    log_q = posterior.log_prob(z.unsqueeze(-2)).logsumexp(-1) - log(len(x))
    log_q_each = posterior.marginal_log_prob(z.unsqueeze(-2)).logsumexp(-2) - log(len(x))
    log_product = log_q_each.sum(-1)
    terms = (
        model.log_likelihood(x, z),
        log_q_given_x - log_q,
        log_q - log_product,
        log_product - model.prior(u).log_prob(z),
    )
    return ElboTerms(*(term.mean(0) for term in terms))


def weighted_elbo(
    model: LatentVariableModel,
    x: Tensor,
    u: Tensor,
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    n_samples: int = 1,
    generator: Randomness = None,
) -> Tensor:
    """a · reconstruction − b · mutual information − c · total correlation − d · dimension-wise KL.

    With all weights 1 it is the ELBO, draw for draw (`elbo` with kl="sampled"); with others it is a
    training objective and no bound on log p(x | u): do not compare its value across models. The
    published iVAE script trains with (100, 1, 0, 10), the β-TCVAE with (1, 1, β, 1).

    Reference: Chen et al. 2018, equation (4).

    Args:
        model: see `LatentVariableModel`.
        x: (B, d).
        u: encoded, (B,) or (B, q).
        weights: (a, b, c, d), for the terms in the order of `ElboTerms`.
        n_samples: draws of z for each row.
        generator: where the noise comes from; torch's global generator if None.

    Returns:
        (B,), in nats; see `elbo_terms` for what the other rows of the batch do to it.

    Raises:
        ValueError: if there are not four weights.
    """
    if len(weights) != len(ElboTerms._fields):
        raise ValueError(
            f"Expected weights with one number for each of {', '.join(ElboTerms._fields)}; got "
            f"{len(weights)}."
        )
    reconstruction, *penalties = elbo_terms(model, x, u, n_samples, generator)
    weighted = (weight * term for weight, term in zip(weights[1:], penalties, strict=True))
    return weights[0] * reconstruction - sum(weighted)


Objective = Callable[..., Tensor]
OBJECTIVES: dict[str, Objective] = {"iw": iw_bound, "elbo": elbo}
