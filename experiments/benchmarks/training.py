"""One gradient step of the default flow, beside the same flow made of peers' parts."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.benchmarks.flows import count, our_flow, random_rows
from experiments.benchmarks.peers import build_peers
from experiments.benchmarks.plan import Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.steps import our_step, plain_step
from experiments.benchmarks.timing import compare


def training_step(plan: Plan) -> Iterator[Comparison]:
    """As `fit` takes it by default, compiled in a fit of some length."""
    return step_rows("training_step", plan, "auto")


def eager_step(plan: Plan) -> Iterator[Comparison]:
    """The same without compilation."""
    return step_rows("eager_step", plan, False)


def step_rows(name: str, plan: Plan, compile: bool | str) -> Iterator[Comparison]:
    """A row for each peer, with the number of parameters of both."""
    x, u = random_rows(plan.data_rows, plan.flow.features, plan.flow.n_labels)
    for peer, theirs in build_peers(plan.flow):
        ours = our_flow(plan.flow)
        yield compare(
            name,
            peer,
            our_step(ours, x, u, plan.flow_batch, compile=compile),
            plain_step(theirs, x, u, plan.flow_batch),
            plan.steps,
            parameters=count(ours.parameters()),
            peer_parameters=count(theirs.parameters()),
        )
