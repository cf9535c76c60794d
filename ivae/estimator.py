"""IVAE: fit and score an identifiable VAE on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from identiflow.ivae.decoders import MLPDecoder
from identiflow.ivae.encoders import HEADS, MLPEncoder
from identiflow.ivae.likelihood import Likelihood
from identiflow.ivae.likelihoods import LIKELIHOODS, NOISE_MODES
from identiflow.ivae.model import IdentifiableVAE
from identiflow.ivae.objectives import OBJECTIVES
from identiflow.ivae.start import after_start, has_start, plan_from_flow
from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.compute.networks import ACTIVATIONS, kinks_of
from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.compute.random import generator
from identiflow.shared.estimators.base import Path
from identiflow.shared.estimators.identifiable import IdentifiableEstimator
from identiflow.shared.estimators.over_u import bound
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.density import remark_copies, remark_on_u
from identiflow.shared.inputs.extras import needed_by
from identiflow.shared.inputs.options import (
    FLAG,
    Kind,
    count,
    either,
    instance_of,
    one_of,
    option,
    optional,
    with_options,
)
from identiflow.shared.inputs.rows import Observed, Rows, chunks_of, head
from identiflow.shared.inputs.validation import check_varying
from identiflow.shared.training import Plan

# A latent is collapsed if its posterior mean makes up less than this share of its variance (one
# that is not is an "active unit" of Burda et al. 2016).
COLLAPSED_SHARE = 0.01
COLLAPSE_ROWS = 10_000


@with_options
class IVAE(IdentifiableEstimator):
    """Identifiable VAE, for noisy, undercomplete or discrete x: p(x, z | u) = p_f(x | z) p(z | u).

    Continuous x is standardised inside, and the Jacobian of that is part of every density. What is
    maximised by default is the importance-weighted bound under a full-covariance posterior; a
    diagonal one biases the decoder. After fit all arithmetic is in float64. A start from a flow
    takes half of max_steps and a fifth of the learning rate for what comes after it.

    Attributes:
        collapsed_latents_: latents whose posterior mean does not move with x.
        history_: losses in nats, on standardised x.
        prior_: the fitted p(z | u); auxiliary_: how u is encoded; model_: the torch module.
        chosen_prior_: with prior="auto", the name of the family that was chosen.
        agreement_: with n_restarts, the MCC between the held-out latents of every two seeds.

    Reference: Khemakhem, Kingma, Monti & Hyvärinen 2020; Burda, Grosse & Salakhutdinov 2016.

    Example:
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(2, 5, 50, observed_dim=4, noise_std=0.1, seed=1)
        >>> vae = IVAE(latent_dim=2, hidden=(16,), max_steps=50, seed=0).fit(data.x, data.u)
        >>> vae.transform(data.x, data.u).shape, vae.log_prob(data.x, data.u).shape
        ((250, 2), (250,))
    """

    latent_dim: int = option(kind=count(), about="n, at most d.", kw_only=False)
    likelihood: str | Likelihood = option(
        default="gaussian",
        kind=either(one_of(LIKELIHOODS), instance_of(Likelihood, words="a Likelihood")),
        about="'gaussian', 'bernoulli', 'poisson', 'categorical', or a Likelihood.",
    )
    noise: str = option(
        default="per_dimension",
        kind=one_of(NOISE_MODES),
        about="how the Gaussian σ is treated: 'per_dimension' or 'scalar' (learned), or 'fixed'.",
    )
    noise_std: float | Sequence[float] = option(
        default=0.3, about="σ at the start of training, in units of standardised x."
    )
    covariance: str = option(
        default="full", kind=one_of(HEADS), about="of the posterior, 'full' or 'diagonal'."
    )
    encoder_sees_u: bool = option(
        default=False, kind=FLAG, about="whether the posterior is q(z | x, u) rather than q(z | x)."
    )
    objective: str | Callable[..., Tensor] = option(
        default="iw",
        kind=either(one_of(OBJECTIVES), Kind("a function", callable)),
        about="'iw' (importance-weighted bound) or 'elbo', or a function as `IdentifiableVAE` takes"
        " it.",
    )
    n_samples: int = option(default=8, kind=count(), about="draws of z for each row in a step.")
    warm_steps: int | None = option(
        default=None,
        kind=optional(count(0)),
        about="gradient steps of the flow that a fit starts from if n = d, x is Gaussian and the "
        "encoder does not see u (see `identiflow.ivae.start_from_flow`); by default "
        "max_steps, 0 for none. Any other fit starts from random weights.",
    )
    hidden: Sequence[int] = (128, 128, 128)
    activation: str = option(
        default="silu",
        kind=one_of(ACTIVATIONS),
        about="see `identiflow.shared.compute.networks.ACTIVATIONS`.",
    )

    measured: ClassVar[tuple[str, ...]] = (
        *IdentifiableEstimator.measured,
        "collapsed_latents_",
        "n_categories_",
    )

    @property
    def collapsed_latents_(self) -> tuple[int, ...]:
        """Latents whose posterior mean does not move with x."""
        return self.fitted_.measured["collapsed_latents_"]

    @property
    def n_categories_(self) -> int:
        """The number of categories of a categorical x; 0 of any other."""
        return self.fitted_.measured["n_categories_"]

    def elbo(self, x: Any, u: Any, *, n_samples: int = 16, seed: int = 0) -> Array:
        """The evidence lower bound of every row in nats, (N,), from antithetic draws."""
        data = self._read(x, u)
        count().check("n_samples", n_samples)
        options: dict[str, Any] = {"n_samples": n_samples, "kl": "sampled", "antithetic": True}
        rows, codes = self._rows(data), self._encode(u, data)
        bounds = bound(self.fitted_, "elbo", rows, codes, seed=seed, **options)
        return bounds + self.fitted_.scale.log_jacobian

    def log_prob(self, x: Any, u: Any = None, *, n_samples: int = 64, seed: int = 0) -> Array:
        """log p(x | u) of every row in nats, (N,), from below by importance weighting.

        The bound tightens with n_samples; it is comparable with a flow's exact log p(x | u).
        Without u, if that is labels: log p(x) = log Σ_u p(u) p(x | u), with a label's share of the
        rows of fit as its p(u). A row's draws depend on its place among the rows: in other rows
        it has those of another seed.
        """
        count().check("n_samples", n_samples)
        return self._log_prob(x, u, n_samples=n_samples, seed=seed)

    def sample_posterior(
        self, x: Any, u: Any = None, *, n_samples: int = 100, seed: int = 0
    ) -> Array:
        """Draws of z from q(z | x), or q(z | x, u) if the encoder sees u, (S, N, n)."""
        data = self._read(x, u)
        count().check("n_samples", n_samples)
        noise, model = generator(seed), self.model_
        codes = [self._encode(u, data)] if self.latents_need_u else []

        def draw(rows: Tensor, *codes: Tensor) -> Tensor:
            posterior = model.posterior(rows, *codes)
            return posterior.rsample_with_log_prob(n_samples, noise)[0].transpose(0, 1)

        return in_chunks(draw, self._rows(data), *codes).swapaxes(0, 1)

    def posterior_dataset(
        self, x: Any, u: Any = None, *, n_samples: int = 100, seed: int = 0
    ) -> Any:
        """`sample_posterior` as an xarray Dataset with the dimensions that ArviZ reads."""
        with needed_by("xarray"):
            import xarray

        z = self.sample_posterior(x, u, n_samples=n_samples, seed=seed)
        coordinates = {"latent": self.get_feature_names_out().astype(str)}
        variables = {"z": (("chain", "draw", "row", "latent"), z[None])}
        return xarray.Dataset(variables, coords=coordinates)

    @property
    def model_(self) -> IdentifiableVAE:
        """The fitted model, a torch module in float64, of standardised x."""
        return self.fitted_.model

    @property
    def latents_need_u(self) -> bool:  # type: ignore[override]
        """True if the encoder of the fit sees u."""
        return self.fitted_.parameters["encoder_sees_u"]

    @property
    def standardizes(self) -> bool:  # type: ignore[override]
        """True if x is continuous."""
        return self._likelihood_class.continuous

    @property
    def _likelihood_class(self) -> type[Likelihood]:
        given = self.likelihood
        return type(given) if isinstance(given, Likelihood) else LIKELIHOODS[given]

    def _draws(self, data: Array, u: Any, seed: int) -> Array:
        return self.sample_posterior(data, u, n_samples=1, seed=seed)[0]

    def _of_the_map(self) -> dict[str, Any]:
        return {"collapsed": self.collapsed_latents_, "kinks": kinks_of(self.model_.decoder)}

    def _build(
        self, n_features: int, auxiliary: AuxiliaryEncoder, found: Mapping[str, Any]
    ) -> IdentifiableVAE:
        likelihood = self._make_likelihood(n_features, found["n_categories_"])
        seen = auxiliary if self.encoder_sees_u else None
        encoder = MLPEncoder(
            likelihood.feature_dim,
            self.latent_dim,
            hidden=self.hidden,
            n_labels=seen.n_labels if seen else None,
            aux_dim=seen.aux_dim if seen else None,
            covariance=self.covariance,
            activation=self.activation,
        )
        decoder = MLPDecoder(
            self.latent_dim,
            likelihood.parameter_dim,
            hidden=self.hidden,
            activation=self.activation,
        )
        prior = self._make_prior(self.latent_dim, auxiliary, found)
        return IdentifiableVAE(
            encoder,
            decoder,
            likelihood,
            prior,
            objective=self.objective,
            n_samples=self.n_samples,
        )

    def _make_likelihood(self, n_features: int, n_categories: int) -> Likelihood:
        if isinstance(self.likelihood, Likelihood):
            return self.likelihood
        known = {"noise_std": self.noise_std, "learn": self.noise, "n_categories": n_categories}
        return LIKELIHOODS[self.likelihood].of(n_features, **known)

    def _look_at(self, x: Array) -> dict[str, Any]:
        if self.encoder_sees_u and self.prior == "unconditional":
            raise ValueError(
                "Expected encoder_sees_u=False with prior='unconditional', which reads no u; got "
                "True. Pass informative=0 in the place of that prior: it ignores u, but reads it."
            )
        if self.latent_dim > x.shape[1]:
            raise ValueError(
                f"Expected latent_dim between 1 and the {x.shape[1]} columns of x; got "
                f"{self.latent_dim}. With more latents than observations f is not injective."
            )
        given = isinstance(self.likelihood, Likelihood)
        n_categories = 0 if given else self._likelihood_class.count_categories(x)
        likelihood = self._make_likelihood(x.shape[1], n_categories)
        _check_support(likelihood, x)
        if likelihood.continuous:
            check_varying(x)
        return {"n_categories_": n_categories}

    def _check_density(self, model: IdentifiableVAE, table: Observed) -> None:
        if model.prior.informative:
            remark_on_u(table)
        if model.likelihood.continuous:  # rows of others may well be alike
            remark_copies(table.sample, but_for_rounding=True)

    def _check_new(self, data: Array) -> None:
        _check_support(self.model_.likelihood, data)

    def _start(
        self, model: IdentifiableVAE, x: Rows, u: Tensor, checkpoint: Path | None
    ) -> Plan[dict[str, Any]]:
        if self.warm_steps == 0 or self.encoder_sees_u or not has_start(model, x):
            return {}
        start = self.start_recipe | {"checkpoint": checkpoint}
        if self.warm_steps is not None:
            start["max_steps"] = self.warm_steps
        yield from plan_from_flow(model, x, u, **start)
        return after_start(self.recipe)

    def _finish(self, model: IdentifiableVAE, x: Rows, u: Tensor) -> dict[str, Any]:
        with torch.no_grad():
            posterior = model.posterior(head(x, COLLAPSE_ROWS), u[:COLLAPSE_ROWS])
        signal, noise = posterior.mean.var(dim=0), posterior.variance.mean(dim=0)
        collapsed = signal < COLLAPSED_SHARE * (signal + noise)
        return {"collapsed_latents_": tuple(collapsed.nonzero().flatten().tolist())}


def _check_support(likelihood: Likelihood, x: Array) -> None:
    rows_before = 0
    for part in chunks_of(x):
        numbers = torch.from_numpy(np.require(part, np.float64, ["C", "W"]))
        likelihood.check(numbers, rows_before)
        rows_before += len(part)
