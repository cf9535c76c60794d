"""`log_density` and `inversion`: one pass of the flow over many rows, float32, in chunks.

As estimators make it; peers' models in the same chunks, one after another, since only those of our
own parts are known to be safe side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from numpy.typing import NDArray
from torch import Tensor

from experiments.benchmarks.flows import FlowModel, our_flow, random_rows
from experiments.benchmarks.memory import peak_memory
from experiments.benchmarks.peers import build_peers
from experiments.benchmarks.plan import Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.timing import Action, compare
from identiflow.shared.compute.passes import in_chunks

MIB = 2**20
WARM_UP_ROWS = 8


def log_density(plan: Plan) -> Iterator[Comparison]:
    """log p(x | u) of every row."""
    return pass_rows("log_density", plan)


def inversion(plan: Plan) -> Iterator[Comparison]:
    """x = f(z) of every row."""
    return pass_rows("inversion", plan)


def pass_rows(name: str, plan: Plan) -> Iterator[Comparison]:
    """A row for each peer, with the peak memory that our pass takes above the data."""
    details = {"peak_above_data_mib": our_peak(name, plan) / MIB}
    ours = warm_pass(name, plan, our_flow(plan.flow))
    for peer, model in build_peers(plan.flow):
        theirs = warm_pass(name, plan, model)
        yield compare(name, peer, ours, theirs, plan.passes, **details)


def our_peak(name: str, plan: Plan) -> int:
    """Bytes that our pass takes at its height: the result, and what a chunk needs."""
    setup = (
        "from experiments.benchmarks.flows import our_flow\n"
        "from experiments.benchmarks.passes import warm_pass\n"
        "from experiments.benchmarks.plan import FlowShape, Plan, Rounds\n"
        f"plan = {plan!r}\n"
        f"run = warm_pass({name!r}, plan, our_flow(plan.flow))"
    )
    return peak_memory(setup, "run()")


def warm_pass(name: str, plan: Plan, model: FlowModel) -> Action:
    """One of PASSES on a model and rows of its own, after a first run of few rows."""
    run = PASSES[name]
    x, u = random_rows(plan.pass_rows, plan.flow.features, plan.flow.n_labels)
    run(model, x[:WARM_UP_ROWS], u[:WARM_UP_ROWS])
    return partial(run, model, x, u)


def density_pass(model: FlowModel, x: Tensor, u: Tensor) -> NDArray:
    """log p(x | u), (N,), in the chunks of our estimators."""
    return in_chunks(model.log_prob, x, u)


def inversion_pass(model: FlowModel, z: Tensor, u: Tensor) -> NDArray:
    """f(z), (N, d), in the same chunks; f does not see u."""
    return in_chunks(model.decode, z)


PASSES: dict[str, Callable[..., NDArray]] = {
    "log_density": density_pass,
    "inversion": inversion_pass,
}
