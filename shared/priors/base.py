"""The conditional prior p(z | u) of equation (7), and what it answers for the theorem."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.distributions import Distribution

from identiflow.shared.compute.nflows_adapter import PriorAsBase
from identiflow.shared.priors.fitting import MAX_FIT_ROWS, refine, set_groups
from identiflow.shared.priors.parameters import LabelTable, RawParameters
from identiflow.shared.priors.quantiles import Quantiles


class ConditionalPrior(RawParameters, ABC):
    """p(z | u) = Π_i Q_i(z_i) / Z_i(u) · exp( Σ_j T_ij(z_i) λ_ij(u) ), factorised given u.

    z has n = `latent_dim` components, T_i the k = `n_statistics` sufficient statistics of
    component i, λ_i(u) its natural parameters, Q_i its base measure. The first `informative`
    latents depend on u; the others have a prior of their own that does not, for nuisance
    directions (Sorrenson, Rother & Köthe 2020); informative=0 is an unconditional baseline.

    To add a family:

    1. Write a class with `parameter_names`, its raw parameters, and `n_statistics`. Its constructor
       takes `latent_dim`, options of its own and `**u: Unpack[Conditioning]`, and hands `u` on
       to this one, with `modulated=` those of the names that u changes.
    2. Write the six abstract methods. Five say what the family is in equation (7): its
       distribution, its natural parameters, statistics and base measure, and its maximum-likelihood
       fit. The sixth, `quantiles`, says how a latent is carried to another u; `LocationScale` and
       `LogOdds` serve most families. Set `closed_form = False` if the fit is only a start.
    3. Enter it in `PRIORS` of tests/shared/test_priors.py, where every law runs on it with each
       kind of u, and in `PRIORS` of by_name.py if estimators are to know it by a name.

    Reference: Khemakhem, Kingma, Monti & Hyvärinen 2020, equation (7).

    Args:
        latent_dim: n.
        modulated: the raw parameters that u changes; all of them by default.
        n_labels: number of labels, if u holds label codes (B,), integers in [0, n_labels).
        aux_dim: q, if u is continuous, (B, q). With n_labels too, u is (B, 1 + q), code first.
        informative: m, how many latents depend on u; all of them by default.
        hidden: widths of the network that maps a continuous u to its parameters.
        targets: for each label the one latent that it changes, or None; the other latents are as
            under any label that does not change them. For experiments that intervene on one source
            each (Squires et al. 2023; Buchholz et al. 2023). By default a label changes all.

    Raises:
        ValueError: if sizes do not fit, or neither n_labels nor aux_dim is given while m > 0.
    """

    n_statistics: int
    # Whether `fit_groups` is the maximum-likelihood fit, and not only a start for it.
    closed_form = True
    # Whether T is fitted too, and could come out linearly dependent.
    learns_statistics = False

    @abstractmethod
    def distribution(self, parameters: dict[str, Tensor]) -> Distribution:
        """The distribution of z for raw parameters (B, n) each; batch (B,), event (n,)."""

    @abstractmethod
    def natural_parameters(self, u: Tensor) -> Tensor:
        """λ(u), shape (B, n, k)."""

    @abstractmethod
    def sufficient_statistics(self, z: Tensor) -> Tensor:
        """T(z), shape (B, n, k)."""

    @abstractmethod
    def log_base_measure(self, z: Tensor) -> Tensor:
        """log Q_i(z_i), shape (B, n), up to a constant that depends on neither z nor u."""

    @abstractmethod
    def fit_groups(self, z: Tensor, groups: Tensor, n_groups: int) -> dict[str, Tensor]:
        """Maximum-likelihood raw parameters (n_groups, n) for z (N, n) in groups (N,).

        Those that u does not modulate are one value for all groups.
        """

    @abstractmethod
    def quantiles(self, u: Tensor) -> Quantiles:
        """The distribution of each latent on its own, (B, n): `cdf`, `icdf` and `carry`."""

    def forward(self, u: Tensor) -> Distribution:
        """p(z | u) as a distribution with batch shape (B,) and event shape (n,)."""
        return self.distribution(self.raw_parameters(u))

    def log_prob(self, z: Tensor, u: Tensor) -> Tensor:
        """log p(z | u) in nats, shape (B,)."""
        return self(u).log_prob(z)

    def cdf(self, z: Tensor, u: Tensor) -> Tensor:
        """P(Z_i ≤ z_i | u) of each latent, (B, n)."""
        return self.quantiles(u).cdf(z)

    def icdf(self, probability: Tensor, u: Tensor) -> Tensor:
        """The z (B, n) whose `cdf` are these probabilities (B, n)."""
        return self.quantiles(u).icdf(probability)

    def transport(self, z: Tensor, u: Tensor, u_new: Tensor) -> Tensor:
        """z (B, n) carried from u to u_new: each latent keeps its quantile."""
        return self.quantiles(u).carry(z, self.quantiles(u_new))

    @torch.no_grad()
    def initialize_from(self, z: Tensor, u: Tensor) -> None:
        """Set the parameters to the maximum-likelihood fit of the rows z (N, n), u.

        Closed form for labels; for a continuous u the pooled fit, refined by L-BFGS.
        """
        set_groups(self, self.fit_groups, z, u)
        of_labels = self.modulation is None or isinstance(self.modulation, LabelTable)
        if not (self.closed_form and of_labels):
            refine(self, self.log_prob, z, u, self.max_fit_rows)

    @property
    def max_fit_rows(self) -> int:
        """The largest number of rows that the iterative part of `initialize_from` takes."""
        return MAX_FIT_ROWS

    @property
    def directions_needed(self) -> int:
        """The number of directions λ(u) has to span: nk, or n if each value changes one latent.

        In the second case log p(x | u) − log p(x | u_0), with u_0 such a value or the baseline,
        depends on one latent only in every model that fits, which identifies them one by one.
        """
        return self.informative * (self.n_statistics if self.targets is None else 1)

    def as_nflows(self) -> PriorAsBase:
        """This prior as an nflows base distribution that takes u as its context."""
        return PriorAsBase(self)
