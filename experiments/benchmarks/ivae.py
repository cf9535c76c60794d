"""`ivae_step`: one gradient step of an iVAE, beside the loop that published scripts have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from experiments.benchmarks.flows import count, random_rows
from experiments.benchmarks.plain_ivae import (
    NOISE_VARIANCE,
    PlainIVAE,
    PlainRows,
    plain_ivae_step,
)
from experiments.benchmarks.plan import Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.steps import our_step
from experiments.benchmarks.timing import compare
from identiflow.ivae import IdentifiableVAE, MLPDecoder, MLPEncoder
from identiflow.ivae.likelihoods import GaussianLikelihood
from identiflow.shared.priors import GaussianPrior

OBSERVED_DIM, LATENT_DIM, N_LABELS = 10, 5, 40
HIDDEN = 50
STEPS_OF_A_FIT = 20_000  # of an IVAE() on noisy data, its start included


def ivae_step(plan: Plan) -> Iterator[Comparison]:
    """The ELBO of a diagonal posterior that sees u, one draw of z, in both."""
    x, u = random_rows(plan.data_rows, OBSERVED_DIM, N_LABELS)
    ours = our_ivae()
    theirs = PlainIVAE(OBSERVED_DIM, LATENT_DIM, N_LABELS, HIDDEN)
    yield compare(
        "ivae_step",
        "plain torch loop",
        our_step(ours, x, u, plan.vae_batch, max_steps=STEPS_OF_A_FIT),
        plain_ivae_step(theirs, PlainRows(x, u, N_LABELS), plan.vae_batch),
        plan.steps,
        parameters=count(ours.parameters()),
        peer_parameters=count(theirs.parameters()),
    )


def our_ivae() -> IdentifiableVAE:
    """Our parts for the same model; one network for the posterior, a table for the prior."""
    widths: dict[str, Any] = {"hidden": (HIDDEN, HIDDEN), "activation": "leaky_relu"}
    return IdentifiableVAE(
        MLPEncoder(OBSERVED_DIM, LATENT_DIM, n_labels=N_LABELS, covariance="diagonal", **widths),
        MLPDecoder(LATENT_DIM, OBSERVED_DIM, **widths),
        GaussianLikelihood(OBSERVED_DIM, noise_std=NOISE_VARIANCE**0.5, learn="fixed"),
        GaussianPrior(LATENT_DIM, modulates="scale", n_labels=N_LABELS),
        objective="elbo",
        n_samples=1,
    )
