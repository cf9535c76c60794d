"""`ensemble`: several seeds by one call of `fit_ensemble`, beside their fits one after another.

Whole calls, from arrays to fitted estimators. What long fits compile is on disk before.
"""

from __future__ import annotations

from collections.abc import Iterator

from experiments.benchmarks.plan import SEED, Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.timing import compare
from identiflow.iflow import IFlow
from identiflow.shared.compute.compilation import FEWEST_CALLS, finds_compiler
from identiflow.shared.datasets import SourceData, nonstationary_sources
from identiflow.shared.training import fit_ensemble


def ensemble(plan: Plan) -> Iterator[Comparison]:
    """A row for each size of ensemble."""
    features, n_labels = plan.flow.features, plan.flow.n_labels
    data = nonstationary_sources(features, n_labels, plan.rows_of_a_segment, seed=SEED)
    if finds_compiler() and any(steps >= FEWEST_CALLS for _, steps in plan.ensembles):
        compile_before(plan, data)
    for n_seeds, max_steps in plan.ensembles:
        flow, seeds = flow_of(plan, max_steps=max_steps), range(n_seeds)

        def together(flow: IFlow = flow, seeds: range = seeds) -> None:
            fit_ensemble(flow, data.x, data.u, seeds=seeds)

        def one_by_one(flow: IFlow = flow, seeds: range = seeds) -> None:
            for seed in seeds:
                IFlow(**flow.get_params() | {"seed": seed}).fit(data.x, data.u)

        peer = "one after another"
        sizes = {"seeds": n_seeds, "steps": max_steps}
        yield compare("ensemble", peer, together, one_by_one, plan.ensemble_rounds, **sizes)


def compile_before(plan: Plan, data: SourceData) -> None:
    """Fill the cache on disk, for the threads of one fit and for those of each process."""
    flow = flow_of(plan, max_steps=1, compile=True)
    flow.fit(data.x, data.u)
    fit_ensemble(flow, data.x, data.u, seeds=[0, 1], n_jobs=2)


def flow_of(plan: Plan, **options: object) -> IFlow:
    """The flow of the plan, which takes all its steps, so that all seeds do the same."""
    shape = plan.flow
    return IFlow(
        n_layers=shape.n_layers,
        hidden=shape.hidden,
        batch_size=plan.flow_batch,
        patience=10**6,
        progress=False,
        **options,
    )
