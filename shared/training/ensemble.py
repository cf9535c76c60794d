"""Many seeds at once: whether latents are identified is seen in how far seeds agree."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from torch import Tensor

from identiflow.shared.files import check_folder
from identiflow.shared.inputs.arrays import Array
from identiflow.shared.inputs.options import SEED, count
from identiflow.shared.inputs.remarks import remark
from identiflow.shared.inputs.rows import Rows
from identiflow.shared.metrics import agreement
from identiflow.shared.training.fit import Plan, outcomes_of
from identiflow.shared.training.parallel import in_processes, most_processes
from identiflow.shared.training.streams import on_disk
from identiflow.shared.training.training import DivergedError

# Steps of all seeds together from which more processes are started, which takes some seconds.
STEPS_FOR_PROCESSES = 5000


class Trainable(Protocol):
    """The parts of an estimator that an ensemble needs."""

    max_steps: int
    device: str
    progress: bool | None

    @property
    def held_out_loss_(self) -> float: ...

    def get_params(self, deep: bool = True) -> dict[str, Any]: ...

    def _expect_own(self, verb: str) -> None: ...

    def plan(
        self, x: Any, u: Any, checkpoint: str | os.PathLike[str] | None = None
    ) -> Plan[HeldOut]: ...

    def latents_of(self, held_out: HeldOut) -> Array: ...


E = TypeVar("E", bound=Trainable)
T = TypeVar("T")
HeldOut = tuple[Rows, Tensor]


@dataclass(frozen=True)
class Ensemble(Generic[E]):
    """Fits of one estimator that differ in their seed, on the same rows.

    Attributes:
        members_: the fitted estimators, in the order of the seeds, but those that diverged.
        seeds: theirs.
        held_out_scores_: minus `held_out_loss_` of each, nats per row of standardised x.
        consistency_: MCC between the latents of every two members on held-out rows, (S, S); of
            those that u reaches, if there are others.
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
    n_jobs: int | None = None,
) -> Ensemble[E]:
    """Fit an estimator once for each seed, many of them at a time.

    Every member equals `estimator.set_params(seed=seed).fit(x, u)` up to rounding. The seeds are
    shared out to processes that share the threads of this one; those of a process take their steps
    together, see `shared.training.fit.choose_steps`. All seeds hold out the same rows, so that
    scores can be compared, and latents on rows that no member was trained on.

    Args:
        estimator: an IFlow or IVAE; it stays as it is.
        x: rows (N, d), in any form that `fit` takes.
        u: auxiliary variable of each row.
        seeds: one for each member, all different.
        checkpoint: prefix of files, one for each seed, from which the same call resumes.
        n_jobs: processes; by default one for each of torch's threads, on a CPU, if the seeds take
            5,000 steps or more in all.

    Raises:
        ValueError: for no seeds or the same one twice, n_jobs below 1, and whatever `fit` refuses.
        DivergedError: if all seeds diverge; of some it warns.

    Example:
        >>> from identiflow.iflow import IFlow
        >>> from identiflow.shared.datasets import nonstationary_sources
        >>> data = nonstationary_sources(latent_dim=2, n_segments=5, samples_per_segment=50, seed=1)
        >>> flow = IFlow(n_layers=2, hidden=(16,), max_steps=50)
        >>> ensemble = fit_ensemble(flow, data.x, data.u, seeds=[0, 1, 2])
        >>> ensemble.consistency_.shape, ensemble.best_ in ensemble.members_
        ((3, 3), True)
    """
    if isinstance(estimator, type):
        raise ValueError(
            f"Expected an estimator, such as {estimator.__name__}(); got the class. Call it."
        )
    if not hasattr(estimator, "seed"):
        raise TypeError(f"Expected an IFlow or IVAE; got {estimator!r}. Pass one by itself.")
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        raise ValueError(f"Expected seeds as a list, such as range(3); got {seeds!r}.")
    for seed in (seeds := tuple(seeds)):
        SEED.check("each of seeds", seed)
    seeds = tuple(map(int, seeds))
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"Expected seeds that are all different, one at least; got {seeds}.")
    if checkpoint is not None:
        check_folder(checkpoint, "checkpoint")
    if n_jobs is None:
        n_jobs = jobs_that_pay(estimator, len(seeds))
    count().check("n_jobs", n_jobs)
    named = list(with_seeds(estimator, seeds).items())
    kept, members, latents = _fit_parts(_shares(named, n_jobs), x, u, checkpoint, n_jobs)
    return Ensemble(members, tuple(map(int, kept)), _scores(members), _consistency(latents))


def fit_best(
    groups: Mapping[str, Mapping[str, E]],
    x: Any,
    u: Any,
    checkpoint: str | os.PathLike[str] | None = None,
) -> tuple[E, Array]:
    """The one with the best held-out score of many estimators, fitted on the same rows.

    With it the MCC between the latents of every two seeds of its group, (S, S).

    Args:
        groups: estimators by the name of their group, in which they are alike but for their seeds,
            and by their seed.
        x: rows (N, d), in any form that `fit` takes.
        u: auxiliary variable of each row.
        checkpoint: prefix of files, one for each estimator.
    """
    if checkpoint is not None:
        check_folder(checkpoint, "checkpoint")
    named = {
        group: {f"{group}.{seed}".lstrip("."): member for seed, member in alike.items()}
        for group, alike in groups.items()
    }
    estimators = [member for alike in named.values() for member in alike.values()]
    n_jobs = jobs_that_pay(estimators[0], len(estimators))
    of_each = -(-n_jobs // len(named))
    parts = [part for alike in named.values() for part in _shares(list(alike.items()), of_each)]
    kept, members, latents = _fit_parts(parts, x, u, checkpoint, n_jobs)
    best = int(np.argmax(_scores(members)))
    alike = next(alike for alike in named.values() if kept[best] in alike)
    return members[best], _consistency(
        [z for name, z in zip(kept, latents, strict=True) if name in alike]
    )


def with_seeds(estimator: E, seeds: Iterable[int], **changed: Any) -> dict[str, E]:
    """The estimator, not fitted, by each seed and with other parameters changed if given."""
    estimator._expect_own("fit")
    parameters = estimator.get_params() | {"n_restarts": 1} | changed
    return {str(seed): type(estimator)(**parameters | {"seed": seed}) for seed in seeds}


def _fit_parts(
    parts: Sequence[Sequence[tuple[str, E]]],
    x: Any,
    u: Any,
    checkpoint: str | os.PathLike[str] | None,
    n_jobs: int,
) -> tuple[list[str], list[E], list[Array]]:
    """The names of members, they themselves, fitted, and their latents of the held-out rows.

    Each part is fitted in one process. Those that diverge are left out, with a warning.
    """
    with on_disk(x, u) as (rows, codes):
        tasks = []
        for number, part in enumerate(parts):
            files = [_file(checkpoint, name) for name, _ in part]
            tasks.append(([member for _, member in part], rows, codes, files, number == 0))
        done = in_processes(_fit_members, tasks, n_jobs)
    fitted = [outcome for outcomes in done for outcome in outcomes]
    names = [name for part in parts for name, _ in part]
    failed = {n: e for n, e in zip(names, fitted, strict=True) if isinstance(e, DivergedError)}
    first = next(iter(failed.values()), None)
    if first is not None and len(failed) == len(names):
        raise first
    if first is not None:
        remark(
            f"Diverged, and left out: {', '.join(failed)} of {len(names)} fits. The first: {first}"
        )
    kept = [(n, *o) for n, o in zip(names, fitted, strict=True) if not isinstance(o, DivergedError)]
    return [n for n, _, _ in kept], [m for _, m, _ in kept], [z for _, _, z in kept]


def jobs_that_pay(estimator: Trainable, n_seeds: int) -> int:
    """The number of processes that pays for so many seeds."""
    steps = n_seeds * estimator.max_steps
    if estimator.device != "cpu" or steps < STEPS_FOR_PROCESSES:
        return 1
    return most_processes()


def _shares(members: Sequence[T], n_jobs: int) -> list[Sequence[T]]:
    """The members in so many parts of about one size; fewer, if there are fewer members."""
    n_jobs = min(n_jobs, len(members))
    ends = [job * len(members) // n_jobs for job in range(n_jobs + 1)]
    return [members[first:last] for first, last in pairwise(ends)]


def _file(checkpoint: str | os.PathLike[str] | None, name: str) -> str | None:
    # A process that was started before may be in another folder.
    return None if checkpoint is None else f"{os.path.abspath(checkpoint)}.{name}"


def _fit_members(
    members: list[E], rows: Any, codes: Any, files: list[str | None], is_first: bool
) -> list[tuple[E, Array] | DivergedError]:
    """The members, fitted in this process, each with its latents of held-out rows, or why not."""
    progress = members[0].progress
    for member in members:  # one bar on the terminal is enough
        member.progress = progress if is_first else False
    plans = [m.plan(rows, codes, file) for m, file in zip(members, files, strict=True)]
    outcomes = outcomes_of(plans)
    for member in members:
        member.progress = progress
    return [
        outcome if isinstance(outcome, DivergedError) else (member, member.latents_of(outcome))
        for member, outcome in zip(members, outcomes, strict=True)
    ]


def _scores(members: Sequence[Trainable]) -> Array:
    """What members are compared by, (S,): the higher, the better."""
    return np.array([-member.held_out_loss_ for member in members])


def _consistency(latents: list[Array]) -> Array:
    return np.ones((1, 1)) if len(latents) == 1 else agreement(latents).pairwise
