"""Fitted maps as programs that run without this library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from identiflow.shared.compute.compilation import without_validation
from identiflow.shared.estimators.fitted import Fitted
from identiflow.shared.estimators.identifiable import IdentifiableEstimator
from identiflow.shared.inputs.rows import Scale

if TYPE_CHECKING:
    from torch.export import ExportedProgram

WAYS = ("transform", "inverse_transform")
MOST_ROWS = 2**62  # the bound that torch 2.6 sets itself lies beyond what it can guard


def export_program(estimator: IdentifiableEstimator, method: str = "transform") -> ExportedProgram:
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
    fitted = estimator.fitted_
    if method not in WAYS:
        raise ValueError(f"Expected method to be one of {WAYS}; got {method!r}.")
    if estimator.latents_need_u and method == "transform":
        raise ValueError(
            "Expected latents that are a function of x alone; got an encoder that sees u. Fit with "
            "encoder_sees_u=False, or export inverse_transform."
        )
    program = (_Transform if method == "transform" else _Inverse)(fitted)
    columns = fitted.n_features if method == "transform" else fitted.model.latent_dim
    rows = torch.zeros(2, columns, dtype=torch.float64)
    dynamic = ({0: torch.export.Dim("rows", min=2, max=MOST_ROWS)},)
    with without_validation(), torch.no_grad():
        return torch.export.export(program, (rows,), dynamic_shapes=dynamic)


class _Map(nn.Module):
    """A model's map between x as it was given and latents."""

    mean: Tensor
    std: Tensor

    def __init__(self, fitted: Fitted) -> None:
        super().__init__()
        self.model: Any = fitted.model
        self.register_buffer("mean", fitted.scale.as_tensors.mean)
        self.register_buffer("std", fitted.scale.as_tensors.std)

    @property
    def scale(self) -> Scale[Tensor]:
        return Scale(self.mean, self.std)


class _Transform(_Map):
    def forward(self, x: Tensor) -> Tensor:
        return self.model.encode(self.scale.apply(x))


class _Inverse(_Map):
    def forward(self, z: Tensor) -> Tensor:
        return self.scale.undo(self.model.decode(z))
