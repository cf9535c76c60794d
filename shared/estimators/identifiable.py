"""Estimators of the one model p(x, z | u) = p(x | z) p(z | u): what IFlow and IVAE share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from identiflow.shared.auxiliary import AuxiliaryEncoder, Columns, read_auxiliary
from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.estimators.base import Estimator
from identiflow.shared.estimators.fitted import Fitted
from identiflow.shared.estimators.over_u import (
    log_density,
    log_joint,
    log_marginal,
    transported,
)
from identiflow.shared.identifiability import (
    IdentifiabilityReport,
    IdentifiabilityWarning,
    check_conditions,
)
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.options import (
    LABEL,
    count,
    instance_of,
    option,
    optional,
    with_options,
)
from identiflow.shared.inputs.remarks import remark
from identiflow.shared.inputs.rows import Rows
from identiflow.shared.inputs.validation import as_matrix, to_numpy
from identiflow.shared.model import IdentifiableModel
from identiflow.shared.priors import ConditionalPrior
from identiflow.shared.priors.by_name import CANDIDATES, build_prior


@with_options
class IdentifiableEstimator(Estimator):
    """Fits an `IdentifiableModel`, whose latents z are identified by u."""

    prior: str | ConditionalPrior = option(
        default="mean_and_scale",
        kind=instance_of(str, ConditionalPrior, words="to be a name or a ConditionalPrior"),
        about="'mean_and_scale' (Gaussian), 'scale', 'mean', 'laplace', 'exponential_family', "
        "'mixture', 'unconditional', a ConditionalPrior, or 'auto': 'scale', 'mean_and_scale'"
        " and 'laplace' are fitted, and the one with the best held-out score is kept.",
    )
    informative: int | None = option(
        default=None,
        kind=optional(count(0)),
        about="m, if only m latents are to depend on u; all by default.",
    )
    baseline: Any = option(
        default=None,
        kind=optional(LABEL),
        about="the value of u that changes no latent, if each other value changes one latent of its"
        " own, as experiments do that intervene on one source each. Without it every value "
        "may change every latent.",
    )

    measured: ClassVar[tuple[str, ...]] = (*Estimator.measured, "held_out_bound_", "chosen_prior_")

    @property
    def model_(self) -> IdentifiableModel:
        """The fitted model, a torch module in float64, of standardised x."""
        return self.fitted_.model

    @property
    def prior_(self) -> ConditionalPrior:
        """The fitted p(z | u)."""
        return self.fitted_.model.prior

    @property
    def chosen_prior_(self) -> str | None:
        """With prior="auto", the name of the family that was chosen."""
        return self.fitted_.measured.get("chosen_prior_")

    @property
    def held_out_bound_(self) -> float | None:
        """The score of held-out rows, standardised, where `held_out_loss_` is no bound on it."""
        return self.fitted_.measured.get("held_out_bound_")

    @property
    def held_out_nats_(self) -> float:
        """The score of the held-out rows in nats a row of x as it was given, in float64.

        Of a flow their `score`; of an iVAE the bound that was trained, by the draws of training. An
        objective of one's own is no bound; then it is their `score`, too.
        """
        nats = -self.held_out_loss_ if self.held_out_bound_ is None else self.held_out_bound_
        return nats + float(self.fitted_.scale.log_jacobian)

    # --- what x and z are to each other

    def latents_of(self, rows: tuple[Rows, Tensor]) -> Array:
        """z (N, m) of rows as `plan` returns them, of the latents that u reaches.

        Fits are compared by these: the others are free to turn among themselves.
        """
        return super().latents_of(rows)[:, : self.prior_.informative or None]

    def inverse_transform(self, z: Any) -> Array:
        """x of latents z (N, n), (N, d): a flow's x = f(z), exactly; a VAE's mean of x given z."""
        self._check_latent_names(z)
        latents = as_matrix(z, "z", columns=self.prior_.latent_dim)
        x = in_chunks(self.model_.decode, torch.from_numpy(np.require(latents, float, ["C", "W"])))
        return self.fitted_.scale.undo(x)

    def sample(self, u: Any, *, return_latents: bool = False, seed: int = 0) -> Any:
        """One row x ~ p(x | u) for each row of u, (len(u), d); with its z if asked for."""
        x, z = self.model_.draw(self._encode(u, rows_of(u)), seed)
        as_given = self.fitted_.scale.undo(x.numpy())
        return (as_given, z.numpy()) if return_latents else as_given

    # --- densities, in nats

    @abstractmethod
    def log_prob(self, x: Any, u: Any = None) -> Array:
        """log p(x | u) of every row in nats, (N,), or a bound on it; without u, log p(x)."""

    def score(self, x: Any, u: Any) -> float:
        """The mean of `log_prob`, in nats per row: higher is better."""
        return float(self.log_prob(x, u).mean())

    def predict_aux_proba(self, x: Any, **options: Any) -> Array:
        """p(u | x) of every label, (N, K), by Bayes' rule; columns as in `auxiliary_.labels`.

        The prior probability of a label is its share of the rows of fit.

        Args:
            x: rows (N, d).
            **options: those of `log_prob`.

        Raises:
            TypeError: for an option that `log_prob` does not have.
            ValueError: if fit has seen a u that is not labels alone.
        """
        if unknown := options.keys() - signature(self.log_prob).parameters.keys():
            raise TypeError(f"Expected options that log_prob has; got {', '.join(unknown)}.")
        rows = self._rows(self._read(x))
        return log_joint(self.fitted_, rows, **options).softmax(1).numpy()

    def quantiles(self, x: Any, u: Any, *, seed: int = 0) -> Array:
        """P(Z_i ≤ z_i | u) of the latents z of each row, (N, n).

        On rows that fit has not seen they are uniform, whatever u, if the density is right. Of an
        iVAE they are those of a draw from the posterior.
        """
        data = self._read(x, u)
        latents = torch.from_numpy(self._draws(data, u, seed))
        return in_chunks(self.prior_.cdf, latents, self._encode(u, data))

    def transport(self, x: Any, u: Any, u_new: Any) -> Array:
        """The rows x (N, d) as they would be under u_new: each latent keeps its quantile.

        A flow carries a row there and back exactly. An iVAE's rows are means of x, without noise.

        Args:
            x: rows (N, d).
            u: auxiliary variable of each row.
            u_new: another one for each row, or one label for all of them.
        """
        data = self._read(x, u, u_new)
        codes, new = self._encode(u, data), self._encode_new(u_new, data)
        return self.inverse_transform(transported(self.fitted_, self._latents(data, u), codes, new))

    def check_identifiability(self, u: Any, x: Any = None) -> IdentifiabilityReport:
        """Check the theorem's conditions on this model and these values of u.

        Args:
            u: auxiliary variable of the rows to check, as in `fit`.
            x: the rows themselves; needed if u is made from them, as History is.
        """
        prior = self.prior_
        codes = self._encode(u, rows_of(u) if x is None else self._read(x, u))
        return check_conditions(prior, codes, **self._of_the_map())

    # --- what a front end supplies

    @abstractmethod
    def _draws(self, data: Array, u: Any, seed: int) -> Array:
        """z of checked rows, drawn where x leaves it open, (N, n)."""

    @abstractmethod
    def _of_the_map(self) -> dict[str, Any]:
        """Measures of f by fit that `check_conditions` reports, by the names of its arguments."""

    # --- steps

    def _log_prob(self, x: Any, u: Any, **options: Any) -> Array:
        """log p(x | u), or log p(x) without u, of x as it was given."""
        data = self._read(x, u)
        if u is None and self.prior_.informative:
            return log_marginal(self.fitted_, self._rows(data), **options)
        return log_density(self.fitted_, self._rows(data), self._encode(u, data), **options)

    def _encode(self, u: Any, data: Array) -> Tensor:
        if self.prior_.informative == 0 and not self.latents_need_u:
            return torch.from_numpy(np.zeros(len(data), dtype=np.int64))
        return super()._encode(u, data)

    def _encode_new(self, u_new: Any, data: Array) -> Tensor:
        """The same of values that rows are carried to: one for each, or one for all of them."""
        if isinstance(u_new, (str, bytes, int, float)) or getattr(u_new, "ndim", None) == 0:
            u_new = np.full(len(data), to_numpy(u_new, "u_new"))
        elif not isinstance(u_new, tuple) or len(u_new) != len(data):
            has_rows = hasattr(u_new, "__len__") and not isinstance(u_new, tuple)
            u_new = u_new if has_rows or u_new is None else [u_new] * len(data)
        try:
            return self._encode(u_new, data)
        except ValueError as error:
            raise ValueError(
                f"Expected u_new to be read as u is, one label for all rows or one for each; got an"
                f" error of u_new: {error}"
            ) from None

    def _columns(self, u: Any, data: Array) -> Columns:
        if self.prior == "unconditional":
            u = np.arange(len(data)) % 2  # any u will do: the prior does not look at it
        return read_auxiliary(u, data)

    def _before_long_work(self, model: IdentifiableModel, codes: Tensor) -> None:
        """Warn, in the name of who called `fit`, if encoded u (N, ...) has too few values."""
        prior, n_values = model.prior, len(torch.unique(codes, dim=0))
        if prior.informative and prior.n_labels and (alone := _rows_alone(codes)):
            remark(_all_alone(alone, len(codes)), IdentifiabilityWarning)
        needed = prior.directions_needed + 1
        if prior.informative and n_values < needed:
            remark(_too_few(prior, n_values, needed), IdentifiabilityWarning)

    def _candidates(self) -> dict[str, dict[str, Self]]:
        if self.prior == "auto":
            return {name: self._restarts(prior=name) for name in CANDIDATES}
        return super()._candidates()

    def _chosen(self, best: Self, agreement: Array) -> Fitted:
        fitted = super()._chosen(best, agreement)
        if self.prior != "auto":
            return fitted
        return replace(fitted, measured={**fitted.measured, "chosen_prior_": str(best.prior)})

    def _make_prior(
        self, latent_dim: int, auxiliary: AuxiliaryEncoder, found: Mapping[str, Any]
    ) -> ConditionalPrior:
        prior = self.prior if self.prior != "auto" else found.get("chosen_prior_") or self.prior
        return build_prior(prior, latent_dim, auxiliary, self.informative, self.baseline)


def _too_few(prior: ConditionalPrior, n_values: int, needed: int) -> str:
    n, k = prior.informative, prior.n_statistics
    if prior.targets is None:
        asked = f"theorem 1 asks for nk + 1 = {needed} (n = {n} latents, k = {k} statistics)"
        advice = " or a prior with fewer statistics (prior='scale') needs"
    else:
        asked = f"values that change one of n = {n} latents each are to be n + 1 = {needed}"
        advice = " need"
    return (
        f"u has {n_values} different values; {asked}. The fit goes on, but its latents may not be "
        f"the sources. Fewer latents (informative=){advice} fewer values."
    )


def _rows_alone(codes: Tensor) -> int:
    """The number of rows with a label of their own, if most labels have one row."""
    labels = codes if codes.ndim == 1 else codes[:, 0].long()
    counts = labels.bincount()
    alone = int((counts == 1).sum())
    return alone if 2 * alone > int((counts > 0).sum()) else 0


def _all_alone(alone: int, n_rows: int) -> str:
    return (
        f"u has a label of its own for each of {alone} rows out of {n_rows}; of a label with one "
        "row nothing can be learned. If it is a number or a time, pass Continuous(u); if rows are "
        "in order of time, TimeSegments(n); else labels that rows have in common."
    )


def rows_of(u: Any) -> Array:
    """Stands in for the x of u, where only the number of rows matters."""
    try:
        return np.zeros((len(u), 1))
    except TypeError:
        raise ValueError(
            f"Expected u of shape (N,) or (N, q), one row for each sample; got {u!r}. Pass a list, "
            "such as u=[0, 3, 3]."
        ) from None
