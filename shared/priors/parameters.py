"""The raw parameters of a prior, λ(u) before its constraints, and the maps of u that give them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding
from typing_extensions import TypedDict

from identiflow.shared.compute.networks import mlp


class Conditioning(TypedDict, total=False):
    """The arguments that say what u is, shared by all priors; see `ConditionalPrior`."""

    n_labels: int | None
    aux_dim: int | None
    informative: int | None
    hidden: Sequence[int]
    targets: Sequence[int | None] | None


class RawParameters(nn.Module):
    """Unconstrained parameters (B, n) by name, for each row of u: a table or a network of u.

    Of the parameters named, those `modulated` depend on u for the first `informative` latents; all
    others are one number a latent. Arguments and errors: see `ConditionalPrior`.
    """

    parameter_names: tuple[str, ...]

    def __init__(
        self,
        latent_dim: int,
        *,
        modulated: Sequence[str] | None = None,
        n_labels: int | None = None,
        aux_dim: int | None = None,
        informative: int | None = None,
        hidden: Sequence[int] = (64, 64),
        targets: Sequence[int | None] | None = None,
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

    def modulated_part(self, raw: dict[str, Tensor]) -> Tensor:
        """Of raw parameters (G, n) by name those that `modulation` holds, (G, m, n_modulated)."""
        columns = [raw[name][:, : self.informative] for name in self.modulated]
        return torch.stack(columns, dim=-1)


class LabelTable(nn.Module):
    """One row of parameters for each label: u (B,) integers → (B, *shape).

    A lookup costs the same for 10 labels and for 10,000; there is no one-hot product.
    """

    def __init__(self, n_labels: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.n_labels = n_labels
        self.shape = shape
        self.table = nn.Parameter(0.1 * torch.randn(n_labels, shape[0] * shape[1]))

    def forward(self, u: Tensor) -> Tensor:
        self.check(u)
        return embedding(u, self.table).unflatten(-1, self.shape)

    def check(self, u: Tensor) -> None:
        """Raise unless u holds label codes."""
        if u.ndim != 1 or u.is_floating_point():
            raise ValueError(
                f"Expected u to hold integer label codes of shape (B,); got {u.dtype} of shape "
                f"{tuple(u.shape)}. Encode labels first, or build the prior with aux_dim=."
            )

    def assign(self, rows: Tensor) -> None:
        """Set the whole table, (n_labels, *shape)."""
        self.table.copy_(rows.flatten(1))

    def groups(self, latent_dim: int) -> Tensor:
        """For each label and latent the rows it shares its parameters with, (n_labels, n)."""
        return torch.arange(self.n_labels, device=self.table.device)[:, None].expand(-1, latent_dim)


class InterventionTable(LabelTable):
    """A table whose label l changes one latent, `targets[l]`, or none: u (B,) → (B, *shape).

    All other latents have the parameters that no label changes, the same for all of them.
    """

    index: Tensor

    def __init__(self, targets: Sequence[int | None], shape: tuple[int, int]) -> None:
        super().__init__(len(targets), shape)
        index = torch.arange(shape[0]).repeat(len(targets), 1)
        changed = [(label, latent) for label, latent in enumerate(targets) if latent is not None]
        for row, entry in enumerate(changed, start=shape[0]):
            index[entry] = row
        self.register_buffer("index", index, persistent=False)
        self.table = nn.Parameter(0.1 * torch.randn(shape[0] + len(changed), shape[1]))

    def forward(self, u: Tensor) -> Tensor:
        self.check(u)
        return embedding(self.index[u], self.table)

    def assign(self, rows: Tensor) -> None:
        self.table[self.index.flatten()] = rows.flatten(0, 1)

    def groups(self, latent_dim: int) -> Tensor:
        rest = self.index.new_zeros(self.n_labels, latent_dim - self.shape[0])
        return torch.cat([self.index, rest], dim=1)


class AuxiliaryNetwork(nn.Module):
    """A network of continuous u (B, q) → (B, *shape)."""

    def __init__(self, aux_dim: int, shape: tuple[int, int], hidden: Sequence[int]) -> None:
        super().__init__()
        self.aux_dim = aux_dim
        self.shape = shape
        self.network = mlp(aux_dim, hidden, shape[0] * shape[1])

    def forward(self, u: Tensor) -> Tensor:
        if u.ndim != 2 or u.shape[1] != self.aux_dim or not u.is_floating_point():
            raise ValueError(
                f"Expected u to be floating point of shape (B, {self.aux_dim}); got {u.dtype} of "
                f"shape {tuple(u.shape)}. For labels, build the prior with n_labels=."
            )
        return self.network(u).unflatten(-1, self.shape)

    def assign_constant(self, row: Tensor) -> None:
        """Make the map output `row` (*shape) wherever u is, as a starting point."""
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(0.1)
        last.bias.copy_(row.flatten())


class MixedMap(nn.Module):
    """Labels and continuous values together: u (B, 1 + q), the label code in column 0."""

    def __init__(
        self,
        n_labels: int,
        aux_dim: int,
        shape: tuple[int, int],
        hidden: Sequence[int],
        embedding_dim: int = 8,
    ) -> None:
        super().__init__()
        self.aux_dim = aux_dim
        self.embedding = nn.Embedding(n_labels, embedding_dim)
        self.continuous = AuxiliaryNetwork(embedding_dim + aux_dim, shape, hidden)

    def forward(self, u: Tensor) -> Tensor:
        if u.ndim != 2 or u.shape[1] != 1 + self.aux_dim or not u.is_floating_point():
            raise ValueError(
                f"Expected u to be floating point of shape (B, {1 + self.aux_dim}), label codes in "
                f"column 0; got {u.dtype} of shape {tuple(u.shape)}."
            )
        labels = self.embedding(u[:, 0].long())
        return self.continuous(torch.cat([labels, u[:, 1:]], dim=1))

    def assign_constant(self, row: Tensor) -> None:
        """Make the map output `row` (*shape) wherever u is, as a starting point."""
        self.continuous.assign_constant(row)


def parameter_map(
    n_labels: int | None,
    aux_dim: int | None,
    shape: tuple[int, int],
    hidden: Sequence[int],
    targets: Sequence[int | None] | None = None,
) -> LabelTable | AuxiliaryNetwork | MixedMap:
    """The map for labels, for continuous u, or for both; for interventions, if it has targets.

    Raises:
        ValueError: if neither n_labels nor aux_dim is given, or the targets do not fit.
    """
    if targets is not None:
        _check_targets(targets, n_labels, aux_dim, shape[0])
        return InterventionTable(targets, shape)
    if n_labels and aux_dim:
        return MixedMap(n_labels, aux_dim, shape, hidden)
    if n_labels:
        return LabelTable(n_labels, shape)
    if aux_dim:
        return AuxiliaryNetwork(aux_dim, shape, hidden)
    raise ValueError(
        "Expected n_labels (u is a label) or aux_dim (u is continuous) or both; got neither. "
        "For a prior that does not depend on u pass informative=0."
    )


def _check_targets(
    targets: Sequence[int | None], n_labels: int | None, aux_dim: int | None, n_latents: int
) -> None:
    if aux_dim or len(targets) != n_labels:
        raise ValueError(
            f"Expected targets for the labels of u, one for each; got {len(targets)} of them with "
            f"n_labels={n_labels} and aux_dim={aux_dim}."
        )
    reached = {target for target in targets if target is not None}
    if reached != set(range(n_latents)):
        raise ValueError(
            f"Expected targets that are None or a latent, 0 to {n_latents - 1}, and reach each of "
            f"them; got {list(targets)}. Pass informative= as the number of latents they reach."
        )
