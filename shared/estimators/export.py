"""Fitted maps as programs that run without this library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from identiflow.shared.estimators.base import Estimator

WAYS = ("transform", "inverse_transform")


def export_program(estimator: Estimator, method: str = "transform") -> ExportedProgram:
    """`estimator.transform` or `inverse_transform` as a program of torch's operations alone.

    It takes one float64 tensor of any number of rows, and standardises as the estimator does.
    `torch.export.save` writes it to a file, which runs where torch is, from Python or C++.

    Args:
        estimator: fitted, with latents that are a function of x alone.
        method: "transform" or "inverse_transform".

    Raises:
        ValueError: for another method, or an encoder that sees u.

    Example:
        >>> from identiflow.iflow import IFlow
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(latent_dim=2, n_segments=5, samples_per_segment=50, seed=1)
        >>> flow = IFlow(n_layers=1, hidden=(8,), max_steps=10).fit(data.x, data.u)
        >>> program = export_program(flow, "transform").module()
        >>> z = program(torch.from_numpy(data.x)).numpy()
        >>> bool(abs(z - flow.transform(data.x)).max() < 1e-12)
        True
    """
    estimator._require_fitted()
    if method not in WAYS:
        raise ValueError(f"Expected method to be one of {WAYS}; got {method!r}.")
    if getattr(estimator, "encoder_sees_u", False) and method == "transform":
        raise ValueError(
            "Expected latents that are a function of x alone; got an encoder that sees u. Fit with "
            "encoder_sees_u=False, or export inverse_transform."
        )
    program = (_Transform if method == "transform" else _Inverse)(estimator)
    columns = estimator.n_features_in_
    if method == "inverse_transform":
        columns = estimator.prior_.latent_dim
    rows = torch.zeros(2, columns, dtype=torch.float64)
    dynamic = ({0: torch.export.Dim("rows", min=2)},)
    with torch.no_grad():
        return torch.export.export(program, (rows,), dynamic_shapes=dynamic)


class _Map(nn.Module):
    """A model's map between x as it was given and latents."""

    mean: Tensor
    scale: Tensor

    def __init__(self, estimator: Estimator) -> None:
        super().__init__()
        self.model: Any = estimator.model_
        self.register_buffer("mean", torch.from_numpy(estimator.x_mean_))
        self.register_buffer("scale", torch.from_numpy(estimator.x_scale_))


class _Transform(_Map):
    def forward(self, x: Tensor) -> Tensor:
        return self.model.encode((x - self.mean) / self.scale)


class _Inverse(_Map):
    def forward(self, z: Tensor) -> Tensor:
        return self.model.decode(z) * self.scale + self.mean
