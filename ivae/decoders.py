"""Decoders f: z → the parameters of p(x | z). A decoder never sees u."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from identiflow.shared.compute.networks import mlp


class MLPDecoder(nn.Module):
    """f(z) from a multilayer perceptron: the parameters of a likelihood, for each row of z.

    It takes z and nothing else: were f to depend on u, z would not be identified (the only path
    from u to x is the prior). `IdentifiableVAE` refuses decoders that take more.

    Example:
        >>> import torch
        >>> decoder = MLPDecoder(3, 10)
        >>> decoder(torch.randn(8, 6, 3)).shape
        torch.Size([8, 6, 10])

    Args:
        latent_dim: n.
        parameter_dim: number of outputs, a likelihood's `parameter_dim`.
        hidden: widths of the hidden layers.
        activation: see `shared.networks.ACTIVATIONS`.
    """

    def __init__(
        self,
        latent_dim: int,
        parameter_dim: int,
        *,
        hidden: Sequence[int] = (128, 128),
        activation: str = "silu",
    ) -> None:
        super().__init__()
        self.latent_dim, self.parameter_dim = latent_dim, parameter_dim
        self.network = mlp(latent_dim, hidden, parameter_dim, activation)

    def forward(self, z: Tensor) -> Tensor:
        """(..., n) → (..., parameter_dim)."""
        return self.network(z)
