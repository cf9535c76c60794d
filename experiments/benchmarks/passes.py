"""`log_density` and `inversion`: one pass of the flow over many rows, float32, in chunks.

As estimators make it by default at this size, and as they make it with compile=True (`compiled_…`),
where what is compiled is there before the clock starts; it takes about as long as such a pass to
find it in the cache of an earlier process, and some times as long to compile it.
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
from experiments.benchmarks.rows import Row
from experiments.benchmarks.timing import Action, compare
from shared.passes import in_chunks

MIB = 2**20
WARM_UP_ROWS = 8


def log_density(plan: Plan) -> Iterator[Row]:
    """log p(x | u) of every row."""
    return pass_rows("log_density", plan, compile=False)


def compiled_log_density(plan: Plan) -> Iterator[Row]:
    """The same, compiled."""
    return pass_rows("log_density", plan, compile=True)


def inversion(plan: Plan) -> Iterator[Row]:
    """x = f(z) of every row."""
    return pass_rows("inversion", plan, compile=False)


def compiled_inversion(plan: Plan) -> Iterator[Row]:
    """The same, compiled."""
    return pass_rows("inversion", plan, compile=True)


def pass_rows(name: str, plan: Plan, compile: bool) -> Iterator[Row]:
    """A row for each peer; eager ones with the peak memory that our pass takes above the data."""
    details = {} if compile else {"peak_above_data_mib": our_peak(name, plan) / MIB}
    ours = warm_pass(name, plan, our_flow(plan.flow), compile)
    row = f"compiled_{name}" if compile else name
    for peer, model in build_peers(plan.flow):
        theirs = warm_pass(name, plan, model)
        yield compare(row, peer, ours, theirs, plan.passes, **details)


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


def warm_pass(name: str, plan: Plan, model: FlowModel, compile: bool = False) -> Action:
    """One of PASSES on a model and rows of its own, after a first run (of few rows, if eager)."""
    run = partial(PASSES[name], compile=compile)
    x, u = random_rows(plan.pass_rows, plan.flow.features, plan.flow.n_labels)
    first = len(x) if compile else WARM_UP_ROWS
    run(model, x[:first], u[:first])
    return partial(run, model, x, u)


def density_pass(model: FlowModel, x: Tensor, u: Tensor, compile: bool) -> NDArray:
    """log p(x | u), (N,), in the chunks of our estimators."""
    return in_chunks(model.log_prob, x, u, compile=compile)


def inversion_pass(model: FlowModel, z: Tensor, u: Tensor, compile: bool) -> NDArray:
    """f(z), (N, d), in the same chunks; f does not see u."""
    return in_chunks(model.decode, z, compile=compile)


PASSES: dict[str, Callable[..., NDArray]] = {
    "log_density": density_pass,
    "inversion": inversion_pass,
}
