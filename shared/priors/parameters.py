"""The raw parameters of a prior: some that u modulates, and some that are the same for all u."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from identiflow.shared.priors.maps import parameter_map


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
