"""Many seeds at once: whether latents are identified is seen in how far seeds agree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from shared.metrics import agreement
from shared.rows import Rows
from shared.streams import on_disk
from shared.training.checkpoint import check_folder
from shared.training.fit import Plan, run_plans
from shared.training.history import History

Array = NDArray[np.float64]


class Trainable(Protocol):
    """What is needed of an estimator."""

    history_: History

    def get_params(self, deep: bool = True) -> dict[str, Any]: ...

    def plan(
        self, x: Any, u: Any, checkpoint: str | os.PathLike[str] | None = None
    ) -> Plan[HeldOut]: ...

    def latents_of(self, held_out: HeldOut) -> Array: ...


E = TypeVar("E", bound=Trainable)
HeldOut = tuple[Rows, Tensor]


@dataclass(frozen=True)
class Ensemble(Generic[E]):
    """Fits of one estimator that differ in their seed, on the same rows.

    Attributes:
        members_: the fitted estimators, in the order of the seeds.
        seeds: theirs.
        held_out_scores_: minus the held-out loss of each, nats per row of standardised x.
        consistency_: MCC between the latents of each two members on held-out rows, (S, S).
    """

    members_: list[E]
    seeds: tuple[int, ...]
    held_out_scores_: Array
    consistency_: Array

    @property
    def best_(self) -> E:
        """The member with the highest likelihood, or bound on it, of the held-out rows."""
        return self.members_[int(np.argmax(self.held_out_scores_))]

    @property
    def best_seed_(self) -> int:
        """Its seed."""
        return self.seeds[int(np.argmax(self.held_out_scores_))]


def fit_ensemble(
    estimator: E,
    x: Any,
    u: Any,
    *,
    seeds: Sequence[int],
    checkpoint: str | os.PathLike[str] | None = None,
) -> Ensemble[E]:
    """Fit an estimator once for each seed, all of them in the same steps.

    Every member equals `estimator.set_params(seed=seed).fit(x, u)` up to rounding; its parameters
    are stacked with those of others, up to four in all, and differentiated together, which is what
    makes it fast. All seeds hold out the same rows, so that scores can be compared, and latents on
    rows that no member was trained on.

    Args:
        estimator: an IFlow or IVAE; it stays as it is.
        x: rows (N, d), in any form that `fit` takes.
        u: auxiliary variable of each row.
        seeds: one for each member, all different.
        checkpoint: prefix of files, one for each seed, from which the same call resumes.

    Raises:
        ValueError: for no seeds or the same one twice, and whatever `fit` refuses.

    Example:
        >>> from iflow import IFlow
        >>> from shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(latent_dim=2, n_segments=5, samples_per_segment=50, seed=1)
        >>> flow = IFlow(n_layers=2, hidden=(16,), max_steps=50)
        >>> ensemble = fit_ensemble(flow, data.x, data.u, seeds=[0, 1, 2])
        >>> ensemble.consistency_.shape, ensemble.best_ in ensemble.members_
        ((3, 3), True)
    """
    seeds = tuple(int(seed) for seed in seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"Expected seeds that are all different, one at least; got {seeds}.")
    if checkpoint is not None:
        check_folder(checkpoint, "checkpoint")
    changes = {"n_restarts": 1}
    members = [type(estimator)(**estimator.get_params() | changes | {"seed": s}) for s in seeds]
    files = [None if checkpoint is None else f"{os.fspath(checkpoint)}.{s}" for s in seeds]
    with on_disk(x, u) as (rows, codes):
        plans = [m.plan(rows, codes, file) for m, file in zip(members, files, strict=True)]
        held_out = run_plans(plans)
        latents = [m.latents_of(rows) for m, rows in zip(members, held_out, strict=True)]
    scores = np.array([-member.history_.best_loss for member in members])
    return Ensemble(members, seeds, scores, _consistency(latents))


def _consistency(latents: list[Array]) -> Array:
    return np.ones((1, 1)) if len(latents) == 1 else agreement(latents).pairwise
