"""`labels` and `scaling`: our training step against its own cost in other settings.

`labels` as a fit runs it by default, `scaling` without compilation, which would take a quarter of
an hour for all its settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from experiments.benchmarks.flows import our_flow, random_rows
from experiments.benchmarks.plan import Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.steps import our_step, stacked_step
from experiments.benchmarks.timing import Action, compare


def labels(plan: Plan) -> Iterator[Comparison]:
    """Many labels against few, on as many rows."""
    yield against(plan, "labels", "n_labels", plan.many_labels, plan.few_labels, "auto")


def scaling(plan: Plan) -> Iterator[Comparison]:
    """Each setting against the smallest of its kind: seconds are what to read."""
    settings = {"features": plan.features, "data_rows": plan.rows, "n_labels": plan.segments}
    for setting, (smallest, *values) in settings.items():
        for value in values:
            yield against(plan, "scaling", setting, value, smallest, False)
    for seeds in plan.seeds:
        yield seeds_against_one(plan, seeds)


def seeds_against_one(plan: Plan, seeds: int) -> Comparison:
    """A step of so many flows in one process, against as many steps of one flow."""
    x, u = random_rows(plan.data_rows, plan.flow.features, plan.flow.n_labels)
    flows = [our_flow(plan.flow) for _ in range(seeds + 1)]
    together = stacked_step(flows[1:], x, u, plan.flow_batch, compile=False)
    one = our_step(flows[0], x, u, plan.flow_batch, compile=False)

    def one_by_one() -> None:
        for _ in range(seeds):
            one()

    return compare("scaling", "ours, one by one", together, one_by_one, plan.few, seeds=seeds)


def against(
    plan: Plan, name: str, setting: str, value: int, peer_value: int, compile: bool | str
) -> Comparison:
    """Our step with one setting changed, against our step with it at `peer_value`."""
    ours, theirs = (step_with(plan, setting, v, compile) for v in (value, peer_value))
    peer = f"ours, {setting} {peer_value}"
    return compare(name, peer, ours, theirs, plan.steps, **{setting: value})


def step_with(plan: Plan, setting: str, value: int, compile: bool | str) -> Action:
    """Our training step with one setting of the data or of the flow changed."""
    if setting == "data_rows":
        plan = replace(plan, data_rows=value)
    else:
        changed: dict[str, Any] = {setting: value}
        plan = replace(plan, flow=replace(plan.flow, **changed))
    x, u = random_rows(plan.data_rows, plan.flow.features, plan.flow.n_labels)
    return our_step(our_flow(plan.flow), x, u, plan.flow_batch, compile=compile)
