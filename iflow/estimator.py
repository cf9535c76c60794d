"""IFlow: fit, score and invert an identifiable flow on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

from torch import Tensor

from identiflow.iflow.architectures import ARCHITECTURES
from identiflow.iflow.density import FlowGivenU
from identiflow.iflow.linear import start_from_linear
from identiflow.iflow.model import IdentifiableFlow
from identiflow.shared.auxiliary import AuxiliaryEncoder
from identiflow.shared.compute.networks import kinks_of
from identiflow.shared.compute.nflows_adapter import Transform
from identiflow.shared.compute.passes import in_chunks
from identiflow.shared.compute.random import usual_modes
from identiflow.shared.estimators.base import Path
from identiflow.shared.estimators.identifiable import IdentifiableEstimator, rows_of
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.density import check_density
from identiflow.shared.inputs.options import count, option, with_options
from identiflow.shared.inputs.rows import Observed, Rows
from identiflow.shared.inputs.validation import check_varying
from identiflow.shared.training import Plan

Architecture: TypeAlias = str | Transform | Callable[[int], Transform]


@with_options
class IFlow(IdentifiableEstimator):
    """Identifiable flow: exact log p(x | u), exact latents z = g(x), exact inverse x = f(z).

    x is standardised inside, and the Jacobian of that is part of every log-density. After fit all
    arithmetic is in float64.

    Attributes:
        round_trip_error_: largest |x − f(g(x))| over the data of fit, in standard deviations.
        history_: losses in nats, on standardised x.
        prior_: the fitted p(z | u); auxiliary_: how u is encoded; model_: the torch module.
        chosen_prior_: with prior="auto", the name of the family that was chosen.
        agreement_: with n_restarts, the MCC between the held-out latents of every two seeds.

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

    architecture: Architecture = option(
        default="spline",
        about="'spline', 'affine', 'volume_preserving' or 'autoregressive' (see "
        "`identiflow.iflow.architectures`), or an nflows Transform of your own, or a function d → "
        "Transform. Parameters that require no gradient, as those of a fitted flow, stay as "
        "they are.",
    )
    n_layers: int = option(
        default=8,
        kind=count(),
        about="layers of the architecture; beyond ten columns more of them may pay.",
    )
    learning_rate: float = 2e-2
    weight_decay: float = 0.2

    measured: ClassVar[tuple[str, ...]] = (*IdentifiableEstimator.measured, "round_trip_error_")

    @property
    def model_(self) -> IdentifiableFlow:
        """The fitted flow, a torch module in float64, of standardised x."""
        return self.fitted_.model

    @property
    def round_trip_error_(self) -> float:
        """The largest |x − f(g(x))| over the data of fit, in standard deviations."""
        return self.fitted_.measured["round_trip_error_"]

    def log_prob(self, x: Any, u: Any = None) -> Array:
        """log p(x | u) of every row, exactly, in nats, (N,).

        Without u, if that is labels: log p(x) = log Σ_u p(u) p(x | u), with a label's share of the
        rows of fit as its p(u).
        """
        return self._log_prob(x, u)

    @usual_modes()
    def __call__(self, u: Any) -> FlowGivenU:
        """p(x | u) as a torch distribution, batch shape (len(u),), event shape (d,), float64.

        It can be differentiated with respect to x, and to a tensor u of continuous values.
        """
        codes = self._encode(u, rows_of(u))
        if isinstance(u, Tensor) and u.requires_grad and codes.is_floating_point():
            codes = self.auxiliary_.differentiable(u)
        return FlowGivenU(self.model_, codes, self.fitted_.scale.as_tensors)

    def _draws(self, data: Array, u: Any, seed: int) -> Array:
        return self._latents(data, u)

    def _of_the_map(self) -> dict[str, Any]:
        kinks = kinks_of(self.model_.bijection)
        return {"round_trip_error": self.round_trip_error_, "kinks": kinks}

    def _build(
        self, n_features: int, auxiliary: AuxiliaryEncoder, found: Mapping[str, Any]
    ) -> IdentifiableFlow:
        bijection = self._bijection(n_features)  # first: both draw their starting values
        return IdentifiableFlow(bijection, self._make_prior(n_features, auxiliary, found))

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

    def _look_at(self, x: Array) -> dict[str, Any]:
        check_varying(x)
        return {}

    def _check_density(self, model: IdentifiableFlow, table: Observed) -> None:
        check_density(
            table if model.prior.informative else replace(table, codes=None, continuous=None)
        )

    def _start(
        self, model: IdentifiableFlow, x: Rows, u: Tensor, checkpoint: Path | None
    ) -> Plan[dict[str, Any]]:
        start_from_linear(model, x, u, self.start_recipe["seed"])
        yield from ()
        return {}

    def _finish(self, model: IdentifiableFlow, x: Rows, u: Tensor) -> dict[str, Any]:
        def error_of(rows: Tensor) -> Tensor:
            return (model.decode(model.encode(rows)) - rows).abs().amax(1)

        return {"round_trip_error_": float(in_chunks(error_of, x).max())}


def _expect_transform(built: Any) -> Transform:
    if not isinstance(built, Transform):
        raise ValueError(
            "Expected architecture to be a function d → nflows Transform; got one that returns "
            f"{type(built).__name__}."
        )
    return built
