"""IFlow: fit, score and invert an identifiable flow on arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from identiflow.iflow.architectures import ARCHITECTURES
from identiflow.iflow.density import FlowGivenU
from identiflow.iflow.model import IdentifiableFlow
from identiflow.iflow.unmixing import start_from_linear
from identiflow.shared.compute.nflows_adapter import Transform
from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.compute.random import seeded
from identiflow.shared.estimators.base import Array, Estimator, rows_of
from identiflow.shared.inputs.options import WIDTHS, Kind, count
from identiflow.shared.inputs.rows import Rows
from identiflow.shared.inputs.validation import check_varying
from identiflow.shared.priors import ConditionalPrior
from identiflow.shared.training import Plan

Architecture: TypeAlias = str | Transform | Callable[[int], Transform]


class IFlow(Estimator):
    """Identifiable flow: exact log p(x | u), exact latents z = g(x), exact inverse x = f(z).

    x is standardised inside, and the Jacobian of that is part of every log-density. After fit all
    arithmetic is in float64.

    Args:
        architecture: "spline", "affine", "volume_preserving" or "autoregressive" (see
            `iflow.architectures`), or an nflows Transform of your own, or a function d → Transform.
            Parameters of yours that require no gradient, as those of a fitted flow, stay as they
            are.
        prior: "mean_and_scale" (Gaussian), "scale", "mean", "laplace", "exponential_family",
            "mixture", "unconditional", a ConditionalPrior, or "auto": "scale", "mean_and_scale"
            and "laplace" are fitted, and the one with the best held-out score is kept.
        informative: m, if only m latents are to depend on u; all d by default.
        baseline: the value of u that changes no latent, if each other value changes one latent of
            its own, as experiments do that intervene on one source each. Without it every value may
            change every latent.
        n_layers: layers of the architecture; beyond ten columns more of them may pay.
        hidden: widths of each layer's network.
        max_steps: gradient steps at most.
        batch_size: rows in a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of the hidden layers (see `shared.training.optimizer.Optimizer`).
        validation_fraction: share of the rows held out for choosing weights and stopping.
        patience: held-out evaluations (60 in all) without improvement after which to stop.
        n_restarts: fits with seeds seed, seed + 1, ..., all at once, of which the one with the best
            held-out score is kept.
        compile: whether steps are compiled: True, False, or "auto", where a fit is long enough to
            pay for it, which takes up to a minute the first time. It changes no result beyond
            rounding.
        device: "cpu", "cuda" or "auto"; results are always on the CPU.
        progress: show a bar; by default only on a terminal.
        seed: the same seed, rows and options give the same fit, bit for bit, on the same machine,
            versions and number of threads (docs/reliability.md).

    Attributes:
        round_trip_error_: largest |x − f(g(x))| over the data of fit, in standard deviations.
        history_: losses in nats, on standardised x.
        chosen_prior_: with prior="auto", the name of the family that was chosen.

    Reference: Khemakhem, Kingma, Monti & Hyvärinen 2020; Li, Hooi & Lee 2020 ("iFlow").

    Example:
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(latent_dim=2, n_segments=5, samples_per_segment=50, seed=1)
        >>> flow = IFlow(n_layers=2, hidden=(16,), max_steps=50, seed=0).fit(data.x, data.u)
        >>> flow.transform(data.x).shape, flow.log_prob(data.x, data.u).shape
        ((250, 2), (250,))
        >>> flow.round_trip_error_ < 1e-6
        True
    """

    model_: IdentifiableFlow
    measured: ClassVar[tuple[str, ...]] = (
        *Estimator.measured,
        "round_trip_error_",
    )

    options: ClassVar[dict[str, Kind]] = {
        **Estimator.options,
        "n_layers": count(),
        "hidden": WIDTHS,
    }

    def __init__(
        self,
        *,
        architecture: Architecture = "spline",
        prior: str | ConditionalPrior = "mean_and_scale",
        informative: int | None = None,
        baseline: Any = None,
        n_layers: int = 8,
        hidden: Sequence[int] = (128, 128),
        max_steps: int = 5000,
        batch_size: int = 256,
        learning_rate: float = 2e-2,
        weight_decay: float = 0.2,
        validation_fraction: float = 0.1,
        patience: int = 20,
        n_restarts: int = 1,
        compile: bool | str = "auto",
        device: str = "cpu",
        progress: bool | None = None,
        seed: int = 0,
    ) -> None:
        self.architecture = architecture
        self.prior = prior
        self.informative = informative
        self.baseline = baseline
        self.n_layers = n_layers
        self.hidden = hidden
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.n_restarts = n_restarts
        self.compile = compile
        self.device = device
        self.progress = progress
        self.seed = seed

    def transform(self, x: Any, u: Any = None) -> Any:
        """z = g(x), (N, d). u is not needed: g does not see it."""
        return super().transform(x, u)

    def inverse_transform(self, z: Any) -> Array:
        """x = f(z), (N, d), exactly the inverse of `transform`."""
        return super().inverse_transform(z)

    def log_prob(self, x: Any, u: Any = None) -> Array:
        """log p(x | u) of every row, exactly, in nats, (N,).

        Without u, if that is labels: log p(x) = log Σ_u p(u) p(x | u), with a label's share of the
        rows of fit as its p(u).
        """
        return self._log_prob(x, u)

    def sample(
        self, u: Any, *, return_latents: bool = False, seed: int = 0
    ) -> Array | tuple[Array, Array]:
        """One row x ~ p(x | u) for each row of u, (len(u), d); with its z if asked for."""
        self._require_fitted()
        codes = self._encode(u, rows_of(u))
        with seeded(seed), torch.no_grad():
            z = self.prior_(codes).sample().numpy()
        x = self.inverse_transform(z)
        return (x, z) if return_latents else x

    def __call__(self, u: Any) -> FlowGivenU:
        """p(x | u) as a torch distribution, batch shape (len(u),), event shape (d,), float64."""
        self._require_fitted()
        codes = self._encode(u, rows_of(u))
        scaling = torch.from_numpy(self.x_mean_), torch.from_numpy(self.x_scale_)
        return FlowGivenU(self.model_, codes, *scaling)

    def _latents(self, data: Array, u: Any) -> Array:
        return in_chunks(self.model_.encode, self._rows(data))

    def _log_density(self, rows: Rows, codes: Tensor, **options: Any) -> Array:
        return in_chunks(self.model_.log_prob, rows, codes)

    def _log_density_of_labels(self, rows: Rows, n_labels: int, **options: Any) -> Array:
        # Only the prior sees u, so one pass through g is enough.
        z = torch.from_numpy(in_chunks(self.model_.encode, rows))
        codes = torch.arange(n_labels)[:, None].expand(-1, len(z))
        priors = np.stack([in_chunks(self.prior_.log_prob, z, code) for code in codes], axis=1)
        return priors + (self._log_density(rows, codes[0]) - priors[:, 0])[:, None]

    def _build(self, n_features: int) -> IdentifiableFlow:
        return IdentifiableFlow(self._bijection(n_features), self._make_prior(n_features))

    def _bijection(self, n_features: int) -> Transform:
        if isinstance(self.architecture, Transform):
            return self.architecture
        if callable(self.architecture):
            return _expect_transform(self.architecture(n_features))
        if not isinstance(self.architecture, str) or self.architecture not in ARCHITECTURES:
            raise ValueError(
                f"Expected architecture to be an nflows Transform, a function d → Transform, or "
                f"one of {sorted(ARCHITECTURES)}; got {self.architecture!r}."
            )
        return ARCHITECTURES[self.architecture](
            n_features, n_layers=self.n_layers, hidden=self.hidden
        )

    def _check_data(self, x: Array) -> None:
        check_varying(x)

    def _before_training(
        self,
        model: IdentifiableFlow,
        x: Rows,
        u: Tensor,
        checkpoint: str | os.PathLike[str] | None,
    ) -> Plan[dict[str, Any]]:
        start_from_linear(model, x, u, int(self.seed))
        yield from ()
        return {}

    def _after_training(self, x: Rows, u: Tensor) -> None:
        errors = in_chunks(lambda rows: self._round_trip_error(rows), x)
        self.round_trip_error_ = float(errors.max())

    def _round_trip_error(self, x: Tensor) -> Tensor:
        """The largest |x − f(g(x))| of each row, (B,)."""
        return (self.model_.decode(self.model_.encode(x)) - x).abs().amax(1)


def _expect_transform(built: Any) -> Transform:
    if not isinstance(built, Transform):
        raise ValueError(
            "Expected architecture to be a function d → nflows Transform; got one that returns "
            f"{type(built).__name__}."
        )
    return built
