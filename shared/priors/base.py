"""The conditional prior p(z | u) of equation (7), and what it answers for the theorem."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from identiflow.shared.compute.lbfgs import minimize
from identiflow.shared.priors.maps import LabelTable, parameter_map

if TYPE_CHECKING:
    from identiflow.shared.compute.nflows_adapter import PriorAsBase

# A label with fewer rows than this takes its spread from others: its own would be near zero.
MIN_ROWS_PER_LABEL = 5
MAX_JUDGES = 4096  # rows that say whether an iterative fit is a better one


class ConditionalPrior(nn.Module, ABC):
    """p(z | u) = Π_i Q_i(z_i) / Z_i(u) · exp( Σ_j T_ij(z_i) λ_ij(u) ), factorised given u.

    z has n = `latent_dim` components, T_i the k = `n_statistics` sufficient statistics of
    component i, λ_i(u) its natural parameters, Q_i its base measure. The first `informative`
    latents depend on u; the other ones have a prior of their own that does not, for nuisance
    directions (Sorrenson, Rother & Köthe 2020); informative=0 is an unconditional baseline.

    A family names its raw parameters, says which of them u modulates, and turns them into a
    distribution; lookup, networks, nuisance latents and initialisation are done here.

    Reference: Khemakhem, Kingma, Monti & Hyvärinen 2020, equation (7).

    Args:
        latent_dim: n.
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

    parameter_names: ClassVar[tuple[str, ...]]
    n_statistics: int
    # Whether `fit_groups` is the maximum-likelihood fit, and not only a start for it.
    closed_form: ClassVar[bool] = True
    # Whether T is fitted too, and could come out linearly dependent.
    learns_statistics = False

    def __init__(
        self,
        latent_dim: int,
        *,
        n_labels: int | None = None,
        aux_dim: int | None = None,
        informative: int | None = None,
        hidden: Sequence[int] = (64, 64),
        targets: Sequence[int | None] | None = None,
        modulated: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        m = latent_dim if informative is None else informative
        if latent_dim < 1:
            raise ValueError(f"Expected latent_dim of at least 1; got {latent_dim}.")
        if not 0 <= m <= latent_dim:
            raise ValueError(
                f"Expected informative between 0 and latent_dim = {latent_dim}; got {informative}."
            )
        self.latent_dim, self.informative = latent_dim, m
        self.n_labels, self.aux_dim = n_labels, aux_dim
        self.modulated = tuple(self.parameter_names if modulated is None else modulated)
        shape = (m, len(self.modulated))
        self.targets = tuple(targets) if m and targets is not None else None
        self.modulation = parameter_map(n_labels, aux_dim, shape, hidden, targets) if m else None
        self.unmodulated = nn.ParameterDict()
        for name in self.parameter_names:
            size = latent_dim - (m if name in self.modulated else 0)
            if size:
                self.unmodulated[name] = nn.Parameter(torch.zeros(size))

    @property
    def directions_needed(self) -> int:
        """How many directions λ(u) has to span: nk, or n if a value of u changes one latent alone.

        Then log p(x | u) − log p(x | u_0), with u_0 such a value or the baseline, depends on one
        latent only, in every model that fits: which identifies the latents one by one.
        """
        return self.informative * (self.n_statistics if self.targets is None else 1)

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

    def forward(self, u: Tensor) -> Distribution:
        """p(z | u) as a distribution with batch shape (B,) and event shape (n,)."""
        return self.distribution(self.raw_parameters(u))

    def log_prob(self, z: Tensor, u: Tensor) -> Tensor:
        """log p(z | u) in nats, shape (B,)."""
        return self(u).log_prob(z)

    def cdf(self, z: Tensor, u: Tensor) -> Tensor:
        """P(Z_i ≤ z_i | u) of each latent, (B, n)."""
        return _of_each_latent(self(u)).cdf(z)

    def icdf(self, probability: Tensor, u: Tensor) -> Tensor:
        """The z (B, n) whose `cdf` are these probabilities (B, n)."""
        return _of_each_latent(self(u)).icdf(probability)

    def transport(self, z: Tensor, u: Tensor, u_new: Tensor) -> Tensor:
        """z (B, n) carried from u to u_new: each latent keeps its quantile."""
        before, after = _of_each_latent(self(u)), _of_each_latent(self(u_new))
        if hasattr(before, "log_odds"):
            return after.at_log_odds(before.log_odds(z))
        return after.loc + after.scale / before.scale * (z - before.loc)

    def raw_parameters(self, u: Tensor) -> dict[str, Tensor]:
        """The unconstrained parameters behind λ(u), by name, each of shape (B, n)."""
        modulation = self.modulation(u) if self.modulation is not None else None
        parameters = {}
        for name in self.parameter_names:
            parts = []
            if modulation is not None and name in self.modulated:
                parts.append(modulation[..., self.modulated.index(name)])
            if name in self.unmodulated:
                parts.append(self.unmodulated[name].expand(len(u), -1))
            parameters[name] = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return parameters

    @torch.no_grad()
    def initialize_from(self, z: Tensor, u: Tensor) -> None:
        """Set the parameters to the maximum-likelihood fit of the rows z (N, n), u.

        Closed form for labels; for a continuous u the pooled fit, refined by L-BFGS.
        """
        everything = torch.zeros(len(z), dtype=torch.long, device=z.device)
        pooled = fitted = self.fit_groups(z, everything, 1)
        closed_form = self.closed_form
        if isinstance(self.modulation, LabelTable):
            fitted = self._fit_labels(self.modulation.groups(self.latent_dim), z, u)
            self.modulation.assign(self._modulated_rows(fitted))
        elif self.modulation is not None:
            self.modulation.assign_constant(self._modulated_rows(pooled)[0])
            closed_form = False
        m = self.informative
        for name, value in self.unmodulated.items():
            both = torch.cat([fitted[name][0, :m], pooled[name][0, m:]])
            value.copy_(both[self.latent_dim - len(value) :])
        if not closed_form:
            self._refine(z, u)

    @property
    def max_fit_rows(self) -> int:
        """How many rows the iterative part of `initialize_from` takes at most."""
        return 20_000

    def _fit_labels(self, groups: Tensor, z: Tensor, u: Tensor) -> dict[str, Tensor]:
        """Raw parameters (n_labels, n), where labels may share a latent's: groups (n_labels, n)."""
        n_groups = int(groups.max()) + 1
        columns = [
            self.fit_groups(column[:, None], of_label[u], n_groups)
            for column, of_label in zip(z.T, groups.T, strict=True)
        ]
        return {
            name: torch.cat([c[name][g] for c, g in zip(columns, groups.T, strict=True)], dim=1)
            for name in self.parameter_names
        }

    def _modulated_rows(self, fitted: dict[str, Tensor]) -> Tensor:
        columns = [fitted[name][:, : self.informative] for name in self.modulated]
        return torch.stack(columns, dim=-1)

    def _rows_to_fit(self, z: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self.modulation, LabelTable):
            enough = torch.bincount(u)[u] >= MIN_ROWS_PER_LABEL
            z, u = z[enough], u[enough]
        return _some(z, u, self.max_fit_rows)

    def _refine(self, z: Tensor, u: Tensor) -> None:
        """Climb the likelihood of some rows; back to the start, if more become less likely."""
        few, codes = self._rows_to_fit(z, u)
        if not len(few):
            return
        judges = _some(z, u, MAX_JUDGES)
        start = {name: tensor.clone() for name, tensor in self.state_dict().items()}
        before = self.log_prob(*judges).mean()
        minimize(lambda: -self.log_prob(few, codes).mean(), self.parameters(), max_iter=50)
        if not self.log_prob(*judges).mean() >= before:  # which a NaN is not either
            self.load_state_dict(start)

    def as_nflows(self) -> PriorAsBase:
        """This prior as an nflows base distribution that takes u as its context."""
        from identiflow.shared.compute.nflows_adapter import PriorAsBase

        return PriorAsBase(self)


def _of_each_latent(family: Distribution) -> Any:
    """The n distributions of a row's latents, where a family holds them in one event."""
    return family.base_dist if isinstance(family, Independent) else family


def _some(z: Tensor, u: Tensor, n_rows: int) -> tuple[Tensor, Tensor]:
    """So many of the rows at random, always the same ones; all, if there are no more."""
    if len(z) <= n_rows:
        return z, u
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(z), generator=generator)[:n_rows].to(z.device)
    return z[rows], u[rows]


def group_mean(values: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """The mean of the rows of each group, (n_groups, n); an empty group takes the overall mean."""
    counts = torch.bincount(groups, minlength=n_groups).to(values)
    sums = values.new_zeros(n_groups, values.shape[1]).index_add_(0, groups, values)
    means = sums / counts.clamp(min=1)[:, None]
    return torch.where(counts[:, None] > 0, means, values.mean(0))


def group_spread(deviations: Tensor, groups: Tensor, n_groups: int, overall: Tensor) -> Tensor:
    """`group_mean` of deviations; a group with too few rows to tell takes that of the other groups.

    If all have too few, as when every row has a label of its own, they take `overall`, (n,).
    """
    enough = torch.bincount(groups, minlength=n_groups) >= MIN_ROWS_PER_LABEL
    told = enough[groups]
    pooled = deviations[told].mean(0) if told.any() else overall
    return torch.where(enough[:, None], group_mean(deviations, groups, n_groups), pooled)
