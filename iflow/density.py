"""A fitted flow as a torch distribution of x, given u."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from identiflow.iflow.model import IdentifiableFlow
from identiflow.shared.compute.random import usual_modes
from identiflow.shared.inputs.rows import Scale


class FlowGivenU(Distribution):
    """p(x | u) for a batch of u: batch shape (B,), event shape (d,), x as it was given to fit.

    Args:
        model: a flow on standardised x.
        codes: u as the prior takes it, B rows.
        scale: how x is standardised.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support = constraints.real_vector

    def __init__(self, model: IdentifiableFlow, codes: Tensor, scale: Scale[Tensor]) -> None:
        self.model, self.codes, self.scale = model, codes, scale
        self.latents = model.prior(codes)
        super().__init__(codes.shape[:1], scale.mean.shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """True if draws can be differentiated, as those of the prior then can."""
        return self.latents.has_rsample

    @usual_modes()
    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x | u) in nats, (..., B) for x (..., B, d); one x or one u goes with many.

        Raises:
            ValueError: for x that has neither as many rows as u nor one, where u has several.
        """
        x = self.scale.apply(value)
        x = x.expand(*self._batch_of(value), -1)
        z, logabsdet = self.model.bijection(x.reshape(-1, *self.event_shape))
        log_p = self.latents.log_prob(z.view(x.shape))
        return log_p + logabsdet.view(log_p.shape) + self.scale.log_jacobian

    def _batch_of(self, value: Tensor) -> torch.Size:
        """The shape of the densities of these x."""
        try:
            return torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        except RuntimeError:
            raise ValueError(
                f"Expected x of shape (..., {len(self.codes)}, {len(self.scale.mean)}), a row for "
                f"each of u; got {tuple(value.shape)}. Pass x[:, None] for each x under each u."
            ) from None

    @usual_modes()
    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with torch.no_grad():
            return self._decode(self.latents.sample(torch.Size(sample_shape)))

    @usual_modes()
    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._decode(self.latents.rsample(torch.Size(sample_shape)))

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Distribution:
        raise NotImplementedError("Expected as many rows of u as the batch is to have; pass those.")

    def _decode(self, z: Tensor) -> Tensor:
        x = self.model.decode(z.reshape(-1, z.shape[-1])).view(z.shape)
        return self.scale.undo(x)
