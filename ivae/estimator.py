"""IVAE: fit and score an identifiable VAE on arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from identiflow.ivae.decoders import MLPDecoder
from identiflow.ivae.encoders import HEADS, MLPEncoder
from identiflow.ivae.likelihoods import (
    NOISE_MODES,
    BernoulliLikelihood,
    CategoricalLikelihood,
    GaussianLikelihood,
    Likelihood,
    PoissonLikelihood,
)
from identiflow.ivae.model import OBJECTIVES, IdentifiableVAE
from identiflow.shared.compute.networks import ACTIVATIONS
from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.compute.random import generator
from identiflow.shared.estimators.base import Array, Estimator, rows_of
from identiflow.shared.identifiability import IdentifiabilityReport
from identiflow.shared.inputs.extras import needed_by
from identiflow.shared.inputs.options import (
    FLAG,
    WIDTHS,
    Kind,
    count,
    either,
    instance_of,
    one_of,
    optional,
)
from identiflow.shared.inputs.rows import Rows, chunks_of, head
from identiflow.shared.inputs.validation import check_varying
from identiflow.shared.priors import ConditionalPrior
from identiflow.shared.training import Plan

LIKELIHOODS: dict[str, Callable[..., Likelihood]] = {
    "gaussian": GaussianLikelihood,
    "bernoulli": BernoulliLikelihood,
    "poisson": PoissonLikelihood,
    "categorical": CategoricalLikelihood,
}
# A latent is collapsed if its posterior mean makes up less than this share of its variance (one
# that is not is an "active unit" of Burda et al. 2016).
COLLAPSED_SHARE = 0.01
COLLAPSE_ROWS = 10_000
# After a start from a flow, at the full learning rate the bound would first unlearn it, and less is
# left to learn.
WARM_LEARNING_RATE, WARM_STEPS = 0.2, 0.5


class IVAE(Estimator):
    """Identifiable VAE, for noisy, undercomplete or discrete x: p(x, z | u) = p_f(x | z) p(z | u).

    Continuous x is standardised inside, and the Jacobian of that is part of every density. What is
    maximised by default is the importance-weighted bound under a full-covariance posterior; a
    diagonal one biases the decoder. After fit all arithmetic is in float64.

    Args:
        latent_dim: n, at most d.
        likelihood: "gaussian", "bernoulli", "poisson", "categorical", or a Likelihood.
        noise: how the Gaussian σ is treated: "per_dimension" or "scalar" (learned), or "fixed".
        noise_std: σ at the start of training, in units of standardised x.
        prior: "mean_and_scale" (Gaussian), "scale", "mean", "laplace", "exponential_family",
            "mixture", "unconditional", a ConditionalPrior, or "auto": "scale", "mean_and_scale"
            and "laplace" are fitted, and the one with the best held-out score is kept.
        informative: m, if only m latents are to depend on u; all n by default.
        baseline: the value of u that changes no latent, if each other value changes one latent of
            its own, as experiments do that intervene on one source each. Without it every value may
            change every latent.
        covariance: of the posterior, "full" or "diagonal".
        encoder_sees_u: whether the posterior is q(z | x, u) rather than q(z | x).
        objective: "iw" (importance-weighted bound) or "elbo".
        n_samples: draws of z for each row in a step.
        warm_steps: gradient steps of the flow that a fit starts from if n = d, x is Gaussian and
            the encoder does not see u (see `ivae.special_case.start_from_flow`); by default
            max_steps, 0 for none. Any other fit starts from random weights.
        hidden: widths of the encoder's and the decoder's layers.
        activation: see `shared.networks.ACTIVATIONS`.
        max_steps: gradient steps at most; half of them after a start from a flow.
        batch_size: rows in a step.
        learning_rate: peak of the one-cycle schedule; a fifth of it after a start from a flow.
        weight_decay: of the hidden layers (see `shared.training.optimizer.Optimizer`).
        validation_fraction: share of the rows held out for choosing weights and stopping.
        patience: held-out evaluations (60 in all) without improvement after which to stop.
        n_restarts: fits with seeds seed, seed + 1, ..., all at once, of which the one with the best
            held-out score is kept.
        compile: whether steps are compiled: True, False, or "auto", where a fit is long enough to
            pay for it, which takes up to a minute the first time. It changes no result beyond
            rounding.
        device: "cpu", "cuda" or "auto"; results are always on the CPU.
        progress: show a bar; by default only on a terminal.
        seed: the same seed, rows and options give the same fit, bit for bit, on the same machine,
            versions and number of threads (docs/reliability.md).

    Attributes:
        collapsed_latents_: latents whose posterior mean does not move with x.
        history_: losses in nats, on standardised x.
        chosen_prior_: with prior="auto", the name of the family that was chosen.

    Reference: Khemakhem, Kingma, Monti & Hyvärinen 2020; Burda, Grosse & Salakhutdinov 2016.

    Example:
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(2, 5, 50, observed_dim=4, noise_std=0.1, seed=1)
        >>> vae = IVAE(latent_dim=2, hidden=(16,), max_steps=50, seed=0).fit(data.x, data.u)
        >>> vae.transform(data.x, data.u).shape, vae.log_prob(data.x, data.u).shape
        ((250, 2), (250,))
    """

    model_: IdentifiableVAE
    measured: ClassVar[tuple[str, ...]] = (
        *Estimator.measured,
        "collapsed_latents_",
        "n_categories_",
    )

    options: ClassVar[dict[str, Kind]] = {
        **Estimator.options,
        "latent_dim": count(),
        "likelihood": either(one_of(LIKELIHOODS), instance_of(Likelihood, words="a Likelihood")),
        "noise": one_of(NOISE_MODES),
        "covariance": one_of(HEADS),
        "encoder_sees_u": FLAG,
        "objective": either(one_of(OBJECTIVES), Kind("a function", callable)),
        "n_samples": count(),
        "warm_steps": optional(count(0)),
        "hidden": WIDTHS,
        "activation": one_of(ACTIVATIONS),
    }

    def __init__(
        self,
        latent_dim: int,
        *,
        likelihood: str | Likelihood = "gaussian",
        noise: str = "per_dimension",
        noise_std: float = 0.3,
        prior: str | ConditionalPrior = "mean_and_scale",
        informative: int | None = None,
        baseline: Any = None,
        covariance: str = "full",
        encoder_sees_u: bool = False,
        objective: str = "iw",
        n_samples: int = 8,
        warm_steps: int | None = None,
        hidden: Sequence[int] = (128, 128, 128),
        activation: str = "silu",
        max_steps: int = 5000,
        batch_size: int = 256,
        learning_rate: float = 1e-2,
        weight_decay: float = 0.0,
        validation_fraction: float = 0.1,
        patience: int = 20,
        n_restarts: int = 1,
        compile: bool | str = "auto",
        device: str = "cpu",
        progress: bool | None = None,
        seed: int = 0,
    ) -> None:
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        self.noise = noise
        self.noise_std = noise_std
        self.prior = prior
        self.informative = informative
        self.baseline = baseline
        self.covariance = covariance
        self.encoder_sees_u = encoder_sees_u
        self.objective = objective
        self.n_samples = n_samples
        self.warm_steps = warm_steps
        self.hidden = hidden
        self.activation = activation
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.n_restarts = n_restarts
        self.compile = compile
        self.device = device
        self.progress = progress
        self.seed = seed

    def transform(self, x: Any, u: Any = None) -> Any:
        """The posterior mean of z, (N, n). u is needed only if the encoder sees it."""
        return super().transform(x, u)

    def inverse_transform(self, z: Any) -> Array:
        """The mean of x given z, (N, d)."""
        return super().inverse_transform(z)

    def elbo(self, x: Any, u: Any, *, n_samples: int = 16, seed: int = 0) -> Array:
        """The evidence lower bound of every row in nats, (N,), from antithetic draws."""
        data = self._read(x)
        count().check("n_samples", n_samples)
        options = {"n_samples": n_samples, "kl": "sampled", "antithetic": True}
        bounds = self._bound("elbo", self._rows(data), self._encode(u, data), seed, **options)
        return bounds - np.log(self.x_scale_).sum()

    def log_prob(self, x: Any, u: Any = None, *, n_samples: int = 64, seed: int = 0) -> Array:
        """log p(x | u) of every row in nats, (N,), from below by importance weighting.

        The bound tightens with n_samples; it is comparable with a flow's exact log p(x | u).
        Without u, if that is labels: log p(x) = log Σ_u p(u) p(x | u), with a label's share of the
        rows of fit as its p(u).
        """
        count().check("n_samples", n_samples)
        return self._log_prob(x, u, n_samples=n_samples, seed=seed)

    def sample_posterior(
        self, x: Any, u: Any = None, *, n_samples: int = 100, seed: int = 0
    ) -> Array:
        """Draws of z from q(z | x), or q(z | x, u) if the encoder sees u, (S, N, n)."""
        data = self._read(x)
        count().check("n_samples", n_samples)
        noise = generator(seed)

        def draw(rows: Tensor, codes: Tensor) -> Tensor:
            posterior = self.model_.posterior(rows, codes)
            return posterior.rsample_with_log_prob(n_samples, noise)[0].transpose(0, 1)

        return in_chunks(draw, self._rows(data), self._codes(u, data)).swapaxes(0, 1)

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

    def sample(
        self, u: Any, *, return_latents: bool = False, seed: int = 0
    ) -> Array | tuple[Array, Array]:
        """One row x ~ p(x | u) for each row of u, (len(u), d); with its z if asked for."""
        self._require_fitted()
        codes = self._encode(u, rows_of(u))
        standardized, z = self.model_.sample(codes, generator(seed))
        x: Array = standardized.numpy() * self.x_scale_ + self.x_mean_
        return (x, z.numpy()) if return_latents else x

    def check_identifiability(self, u: Any, x: Any = None) -> IdentifiabilityReport:
        """Check the theorem's conditions on this model and these values of u; see `Estimator`."""
        report = super().check_identifiability(u, x)
        return replace(report, collapsed=self.collapsed_latents_)

    def _latents(self, data: Array, u: Any) -> Array:
        return in_chunks(self.model_.encode, self._rows(data), self._codes(u, data))

    def _draws(self, data: Array, u: Any, seed: int) -> Array:
        return self.sample_posterior(data, u, n_samples=1, seed=seed)[0]

    def _log_density(self, rows: Rows, codes: Tensor, **options: Any) -> Array:
        return self._bound("log_prob", rows, codes, **options)

    def _build(self, n_features: int) -> IdentifiableVAE:
        likelihood = self._make_likelihood(n_features)
        seen = self.auxiliary_ if self.encoder_sees_u else None
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
        return IdentifiableVAE(
            encoder,
            decoder,
            likelihood,
            self._make_prior(self.latent_dim),
            objective=self.objective,
            n_samples=self.n_samples,
        )

    def _make_likelihood(self, n_features: int) -> Likelihood:
        if isinstance(self.likelihood, Likelihood):
            return self.likelihood
        options: dict[str, Any] = {}
        if self.likelihood == "gaussian":
            options = {"noise_std": self.noise_std, "learn": self.noise}
        if self.likelihood == "categorical":
            options = {"n_categories": self.n_categories_}
        return LIKELIHOODS[self.likelihood](n_features, **options)

    def _check_data(self, x: Array) -> None:
        if self.latent_dim > x.shape[1]:
            raise ValueError(
                f"Expected latent_dim between 1 and the {x.shape[1]} columns of x; got "
                f"{self.latent_dim}. With more latents than observations f is not injective."
            )
        self.n_categories_ = _count_categories(x) if self.likelihood == "categorical" else 0
        likelihood = self._make_likelihood(x.shape[1])
        _check_support(likelihood, x)
        self.continuous_ = likelihood.continuous
        if self.continuous_:
            check_varying(x)

    def _fit_scale(self, data: Array, train: Tensor) -> None:
        if self.continuous_:
            super()._fit_scale(data, train)
        else:
            self.x_mean_, self.x_scale_ = np.zeros(data.shape[1]), np.ones(data.shape[1])

    def _before_training(
        self,
        model: IdentifiableVAE,
        x: Rows,
        u: Tensor,
        checkpoint: str | os.PathLike[str] | None,
    ) -> Plan[dict[str, Any]]:
        steps = self.max_steps if self.warm_steps is None else self.warm_steps
        if steps == 0 or not self._has_special_case(model):
            return {}
        # Only here, as special_case itself makes IVAEs.
        from identiflow.ivae.special_case import plan_from_flow

        options = self._stage_options()
        yield from plan_from_flow(model, x, u, max_steps=steps, checkpoint=checkpoint, **options)
        return {
            "learning_rate": WARM_LEARNING_RATE * self.learning_rate,
            "max_steps": max(1, round(WARM_STEPS * self.max_steps)),
        }

    def _has_special_case(self, model: IdentifiableVAE) -> bool:
        """Whether a flow is what this model would be without noise."""
        square = self.latent_dim == self.n_features_in_
        gaussian = isinstance(model.likelihood, GaussianLikelihood)
        return square and gaussian and not self.encoder_sees_u

    def _after_training(self, x: Rows, u: Tensor) -> None:
        with torch.no_grad():
            posterior = self.model_.posterior(head(x, COLLAPSE_ROWS), u[:COLLAPSE_ROWS])
        signal, noise = posterior.mean.var(dim=0), posterior.variance.mean(dim=0)
        collapsed = signal < COLLAPSED_SHARE * (signal + noise)
        self.collapsed_latents_ = tuple(collapsed.nonzero().flatten().tolist())

    def _read(self, x: Any) -> Array:
        data = super()._read(x)
        _check_support(self.model_.likelihood, data)
        return data

    def _codes(self, u: Any, data: Array) -> Tensor:
        if self.encoder_sees_u:
            return self._encode(u, data)
        return torch.zeros(len(data), dtype=torch.long)

    def _bound(self, name: str, rows: Rows, codes: Tensor, seed: int = 0, **options: Any) -> Array:
        bound = getattr(self.model_, name)
        noise = generator(seed)
        return in_chunks(lambda *chunk: bound(*chunk, generator=noise, **options), rows, codes)


def _check_support(likelihood: Likelihood, x: Array) -> None:
    rows_before = 0
    for part in chunks_of(x):
        likelihood.check(torch.tensor(part, dtype=torch.float64), rows_before)
        rows_before += len(part)


def _count_categories(x: Array) -> int:
    count = max(2, int(x.max()) + 1)
    if count > x.size:
        raise ValueError(
            f"Expected x with category codes 0, 1, 2, ...; got the code {x.max():g} among {x.size} "
            "entries. Number the categories without gaps, or choose another likelihood."
        )
    return count
