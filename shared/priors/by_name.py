"""Priors by name, as the estimators offer them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.priors.base import ConditionalPrior
from identiflow.shared.priors.exponential_family import ExponentialFamilyPrior
from identiflow.shared.priors.gaussian import GaussianPrior, UnconditionalPrior
from identiflow.shared.priors.laplace import LaplacePrior
from identiflow.shared.priors.mixture import MixturePrior
from identiflow.shared.priors.parameters import Conditioning

PRIORS: dict[str, Callable[..., ConditionalPrior]] = {
    "mean_and_scale": partial(GaussianPrior, modulates="mean_and_scale"),
    "scale": partial(GaussianPrior, modulates="scale"),
    "mean": partial(GaussianPrior, modulates="mean"),
    "laplace": LaplacePrior,
    "exponential_family": ExponentialFamilyPrior,
    "mixture": MixturePrior,
}
# prior="auto" chooses among these by held-out score; the first is the poorest and learned most
# easily.
CANDIDATES = ("scale", "mean_and_scale", "laplace")


def build_prior(
    prior: str | ConditionalPrior,
    latent_dim: int,
    auxiliary: AuxiliaryEncoder,
    informative: int | None = None,
    baseline: Any = None,
) -> ConditionalPrior:
    """The prior of that name for this u, or the one given, checked to fit.

    With a `baseline`, which is a value of u, each other value changes one latent of its own.

    Raises:
        ValueError: for an unknown name, a prior of another number of latents, or a baseline that
            does not fit.
    """
    if baseline is not None and prior not in PRIORS and prior != "auto":
        raise ValueError(
            f"Expected baseline=None with prior={prior!r}; got {baseline!r}. Pass one of "
            f"{sorted(PRIORS)} as prior, or build yours with targets=."
        )
    if isinstance(prior, ConditionalPrior):
        return _expect_fitting(prior, latent_dim, auxiliary, informative)
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
    return PRIORS[prior](latent_dim, **_conditioning(latent_dim, auxiliary, informative, baseline))


def _expect_fitting(
    prior: ConditionalPrior, latent_dim: int, auxiliary: AuxiliaryEncoder, informative: int | None
) -> ConditionalPrior:
    if informative not in (None, prior.informative):
        raise ValueError(
            f"Expected informative=None beside a prior of your own, which has informative="
            f"{prior.informative}; got {informative}. Build the prior with informative=."
        )
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


def _conditioning(
    latent_dim: int, auxiliary: AuxiliaryEncoder, informative: int | None, baseline: Any
) -> Conditioning:
    of_u = Conditioning(n_labels=auxiliary.n_labels, aux_dim=auxiliary.aux_dim)
    if baseline is None:
        return Conditioning(**of_u, informative=informative)
    targets = targets_of(baseline, auxiliary)
    changed = len(targets) - 1
    if changed > latent_dim or informative not in (None, changed):
        raise ValueError(
            f"Expected a latent for each of the {changed} values of u besides baseline="
            f"{baseline!r}; got latent_dim={latent_dim} and informative={informative}. If "
            "several values change the same latent, pass a prior with targets=."
        )
    return Conditioning(**of_u, informative=changed, targets=targets)


def targets_of(baseline: Any, auxiliary: AuxiliaryEncoder) -> tuple[int | None, ...]:
    """For each label of u the latent it changes: none for the baseline, then 0, 1, ... in order.

    Raises:
        ValueError: if u has no such label.
    """
    try:
        code = auxiliary.code_of(baseline)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected baseline to be one of the labels of u; got {baseline!r}. {error}"
        ) from None
    return (*range(code), None, *range(code, len(auxiliary.labels or []) - 1))
