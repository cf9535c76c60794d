"""The one file that knows nflows' conventions.

What is particular about nflows 0.14, and answered here:

- importing any part of it imports matplotlib.pyplot, which only its MADE demo uses, and which need
  not be installed here (tensorboard, which it requires too, it never imports);
- a base distribution samples as `[context, samples, ...]`, but its batched `sample` concatenates
  along the context axis;
- its `Flow` hands the context to the bijection as well as to the base. An identifiable flow must
  not (the bijection never sees u), so `refuse_conditional` looks for parts that expect one.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

# What parts that expect a context keep, in nflows and here.
CONTEXT_ATTRIBUTES = (
    "context_features",
    "context_channels",
    "context_layer",
    "aux_dim",
    "n_labels",
)


class _LazyPyplot(ModuleType):
    """Stands in for matplotlib.pyplot inside nflows, importing it at the first real use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module("matplotlib.pyplot"), name)


def _import_nflows() -> None:
    """Import nflows without importing matplotlib, unless it is imported already."""
    if "matplotlib" in sys.modules or "nflows.flows" in sys.modules:
        importlib.import_module("nflows.flows")
        return
    stand_in = ModuleType("matplotlib")
    stand_in.pyplot = _LazyPyplot("matplotlib.pyplot")  # type: ignore[attr-defined]
    sys.modules["matplotlib"] = stand_in
    try:
        importlib.import_module("nflows.flows")
    finally:
        del sys.modules["matplotlib"]


_import_nflows()

from nflows.distributions import Distribution  # noqa: E402
from nflows.flows import Flow  # noqa: E402
from nflows.transforms import CompositeTransform, InverseTransform, Transform  # noqa: E402

__all__ = [
    "CompositeTransform",
    "Distribution",
    "Flow",
    "InverseTransform",
    "PriorAsBase",
    "Transform",
    "refuse_conditional",
]


class Prior(Protocol):
    """A prior p(z | u) as a base distribution asks for it, such as a `ConditionalPrior`."""

    informative: int

    def __call__(self, u: Tensor) -> torch.distributions.Distribution:
        """p(z | u), batch shape (B,), event shape (n,)."""

    def log_prob(self, z: Tensor, u: Tensor) -> Tensor:
        """log p(z | u) in nats, (B,)."""


class PriorAsBase(Distribution):
    """A conditional prior p(z | u) as an nflows base distribution, with u as its context."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.prior = prior

    def _log_prob(self, inputs: Tensor, context: Tensor | None) -> Tensor:
        return self.prior.log_prob(inputs, self._context(context, len(inputs)))

    def _sample(self, num_samples: int, context: Tensor | None) -> Tensor:
        if context is None:
            return self.prior(self._context(None, num_samples)).sample()
        return self.prior(context).sample((num_samples,)).transpose(0, 1)

    def _mean(self, context: Tensor | None) -> Tensor:
        return self.prior(self._context(context, 1)).mean

    def sample(
        self, num_samples: int, context: Tensor | None = None, batch_size: int | None = None
    ) -> Tensor:
        """Samples, (num_samples, n) without context and (B, num_samples, n) with it."""
        sizes = [num_samples]
        if batch_size is not None:
            full, rest = divmod(num_samples, batch_size)
            sizes = [batch_size] * full + [rest] * (rest > 0)
        parts = [super(PriorAsBase, self).sample(size, context) for size in sizes]
        return torch.cat(parts, dim=0 if context is None else 1)

    def _context(self, context: Tensor | None, n_rows: int) -> Tensor:
        if context is not None:
            return context
        if self.prior.informative:
            raise ValueError(
                "Expected context to hold u, one row for each row of inputs; got None. "
                "This base distribution is p(z | u): pass context=u."
            )
        return torch.zeros(n_rows, dtype=torch.long)


def refuse_conditional(module: nn.Module, role: str) -> None:
    """Raise if any part of `module` was built to receive a context.

    Raises:
        ValueError: naming the part. Only the prior may see u, otherwise z is not identified.
    """
    for name, part in module.named_modules():
        for attribute in CONTEXT_ATTRIBUTES:
            if getattr(part, attribute, None):
                raise ValueError(
                    f"Expected a {role} that does not see u; got one whose part "
                    f"{name or type(part).__name__!r} takes a context ({attribute}). "
                    "Condition the prior only: with u in the "
                    f"{role} the latents are not identified."
                )
