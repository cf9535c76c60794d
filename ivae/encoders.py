"""Encoders: networks from x, and u if asked for, to a posterior q(z | x, u)."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from identiflow.ivae.posteriors import DiagonalGaussian, FullGaussian, GaussianPosterior
from identiflow.shared.compute.networks import bounded_exp, mlp

LOG_SCALE_BOUND = log(1e4)
LABEL_EMBEDDING_DIM = 8


class MLPEncoder(nn.Module):
    """q(z | x) or q(z | x, u) = N(m, L Lᵀ), with m and L from a multilayer perceptron.

    Without n_labels and aux_dim it is q(z | x): the u it is called with is not looked at. (The
    encoder may see u without harm to identifiability, which rests on the decoder's not seeing it.)

    The diagonal of L stays within [1e-4, 1e4], smoothly; row i of L is that scale times
    (c_i1, ..., c_i(i-1), 1, 0, ...), with c free.

    Example:
        >>> import torch
        >>> encoder = MLPEncoder(10, 3, n_labels=40)
        >>> posterior = encoder(torch.randn(6, 10), torch.tensor([0, 1, 2, 3, 39, 0]))
        >>> posterior.mean.shape, posterior.scale_tril.shape
        (torch.Size([6, 3]), torch.Size([6, 3, 3]))

    Args:
        observed_dim: width of the input, a likelihood's `feature_dim`; d for all but categories.
        latent_dim: n.
        hidden: widths of the hidden layers.
        n_labels: number of labels, if u holds label codes (B,); they are embedded by a table.
        aux_dim: q, if u is continuous, (B, q). With n_labels too, u is (B, 1 + q), code first.
        covariance: "full", or "diagonal" for a mean-field posterior.
        activation: see `shared.networks.ACTIVATIONS`.

    Raises:
        ValueError: for an unknown covariance or activation; when called, for a missing u.
    """

    def __init__(
        self,
        observed_dim: int,
        latent_dim: int,
        *,
        hidden: Sequence[int] = (128, 128),
        n_labels: int | None = None,
        aux_dim: int | None = None,
        covariance: str = "full",
        activation: str = "silu",
    ) -> None:
        super().__init__()
        if covariance not in HEADS:
            raise ValueError(
                f"Expected covariance to be one of {sorted(HEADS)}; got {covariance!r}."
            )
        self.observed_dim, self.latent_dim = observed_dim, latent_dim
        self.auxiliary = AuxiliaryInput(n_labels, aux_dim) if n_labels or aux_dim else None
        extra = self.auxiliary.width if self.auxiliary is not None else 0
        self.head = HEADS[covariance](latent_dim)
        self.network = mlp(observed_dim + extra, hidden, self.head.n_inputs, activation)

    def forward(self, x: Tensor, u: Tensor | None = None) -> GaussianPosterior:
        """The posterior of each row of x (B, observed_dim)."""
        if self.auxiliary is not None:
            x = torch.cat([x, self.auxiliary(u, x.dtype)], dim=-1)
        return self.head(self.network(x))


class AuxiliaryInput(nn.Module):
    """u as inputs of a network: labels by an embedding table, continuous values as they are."""

    def __init__(self, n_labels: int | None, aux_dim: int | None) -> None:
        super().__init__()
        self.table = nn.Embedding(n_labels, LABEL_EMBEDDING_DIM) if n_labels else None
        self.aux_dim = aux_dim or 0
        self.width = self.aux_dim + (LABEL_EMBEDDING_DIM if n_labels else 0)

    def forward(self, u: Tensor | None, dtype: torch.dtype) -> Tensor:
        """(B, width)."""
        columns = (self.aux_dim + (self.table is not None),) if self.aux_dim else ()
        if u is None or u.shape[1:] != columns:
            expected = f"(B, {columns[0]})" if columns else "(B,)"
            got = "None" if u is None else f"shape {tuple(u.shape)}"
            raise ValueError(
                f"Expected u of shape {expected}, which this encoder of q(z | x, u) takes; got "
                f"{got}. Pass such a u, or build the encoder without n_labels and aux_dim."
            )
        if self.table is None:
            return u.to(dtype)
        if not self.aux_dim:
            return self.table(u)
        return torch.cat([self.table(u[:, 0].long()), u[:, 1:].to(dtype)], dim=-1)


class FullHead(nn.Module):
    """n means, n raw log-scales and n(n − 1)/2 entries below the diagonal → FullGaussian."""

    index: Tensor
    one_and_zero: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        below = latent_dim * (latent_dim - 1) // 2
        self.n_inputs = 2 * latent_dim + below
        # Where each entry of a unit lower-triangular matrix is found in [entries below, 1, 0].
        # A gather has a cheap backward and works under vmap, unlike assignment to tril_indices.
        index = torch.full((latent_dim, latent_dim), below + 1)
        index.fill_diagonal_(below)
        rows, columns = torch.tril_indices(latent_dim, latent_dim, offset=-1)
        index[rows, columns] = torch.arange(below)
        self.register_buffer("index", index.flatten(), persistent=False)
        self.register_buffer("one_and_zero", torch.tensor([1.0, 0.0]), persistent=False)

    def forward(self, raw: Tensor) -> FullGaussian:
        n = self.latent_dim
        scale = bounded_exp(raw[..., n : 2 * n], LOG_SCALE_BOUND)
        constants = self.one_and_zero.expand(raw.shape[0], 2)
        entries = torch.cat([raw[..., 2 * n :], constants], dim=-1)
        unit = entries.index_select(-1, self.index).unflatten(-1, (n, n))
        return FullGaussian(raw[..., :n], scale.unsqueeze(-1) * unit)


class DiagonalHead(nn.Module):
    """n means and n raw log-scales → DiagonalGaussian."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.n_inputs = 2 * latent_dim

    def forward(self, raw: Tensor) -> DiagonalGaussian:
        loc, raw_scale = raw.chunk(2, dim=-1)
        return DiagonalGaussian(loc, bounded_exp(raw_scale, LOG_SCALE_BOUND))


HEADS: dict[str, type[FullHead] | type[DiagonalHead]] = {"full": FullHead, "diagonal": DiagonalHead}
