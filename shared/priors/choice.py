"""Priors by name, as the estimators offer them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from shared.auxiliary import AuxiliaryEncoder
from shared.priors.base import ConditionalPrior
from shared.priors.exponential_family import ExponentialFamilyPrior
from shared.priors.gaussian import GaussianPrior, UnconditionalPrior
from shared.priors.laplace import LaplacePrior

PRIORS: dict[str, Callable[..., ConditionalPrior]] = {
    "mean_and_scale": partial(GaussianPrior, modulates="mean_and_scale"),
    "scale": partial(GaussianPrior, modulates="scale"),
    "mean": partial(GaussianPrior, modulates="mean"),
    "laplace": LaplacePrior,
    "exponential_family": ExponentialFamilyPrior,
}
# What prior="auto" chooses from, by held-out score: the first is the poorest, and easiest to learn.
CANDIDATES = ("scale", "mean_and_scale", "laplace")


def build_prior(
    prior: str | ConditionalPrior,
    latent_dim: int,
    auxiliary: AuxiliaryEncoder,
    informative: int | None = None,
) -> ConditionalPrior:
    """The prior of that name for this u, or the one given, checked to fit.

    Raises:
        ValueError: for an unknown name, or a prior of another number of latents.
    """
    if isinstance(prior, ConditionalPrior):
        if prior.latent_dim != latent_dim:
            raise ValueError(
                f"Expected a prior over {latent_dim} latents; got one over {prior.latent_dim}."
            )
        sizes = prior.n_labels, prior.aux_dim
        if prior.informative and sizes != (auxiliary.n_labels, auxiliary.aux_dim):
            raise ValueError(
                f"Expected a prior with n_labels={auxiliary.n_labels} and aux_dim="
                f"{auxiliary.aux_dim}, as u has; got n_labels={sizes[0]} and aux_dim={sizes[1]}."
            )
        return prior
    if prior == "auto":
        raise ValueError(
            "Expected one family of priors for all seeds of an ensemble; got 'auto', which is "
            "for fit to choose. Call fit first and pass its chosen_prior_."
        )
    if prior == "unconditional":
        return UnconditionalPrior(latent_dim)
    if prior not in PRIORS:
        raise ValueError(
            f"Expected prior to be a ConditionalPrior or one of "
            f"{sorted([*PRIORS, 'unconditional', 'auto'])}; got {prior!r}."
        )
    return PRIORS[prior](
        latent_dim,
        n_labels=auxiliary.n_labels,
        aux_dim=auxiliary.aux_dim,
        informative=informative,
    )
