"""The cost of compilation, and its gain in the shortest fit that is compiled.

Both in processes of their own, whose cache on disk is empty at first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from tempfile import TemporaryDirectory

from experiments.benchmarks.flows import our_flow, random_rows
from experiments.benchmarks.plan import ROOT, Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.steps import our_step
from identiflow.shared.compute.compilation import finds_compiler
from identiflow.shared.training import fit

CODE = """
from experiments.benchmarks.compiling import seconds_of_first_step, seconds_of_fit
from experiments.benchmarks.plan import FlowShape, Plan, Rounds
print({call})
"""


def compilation(plan: Plan) -> Iterator[Comparison]:
    """The first step in a later process, beside that in the first one."""
    if not finds_compiler():
        return
    later, first = [], []
    for _ in range(plan.compilations):
        with TemporaryDirectory() as cache:
            first.append(measure("seconds_of_first_step", plan, cache))
            later.append(measure("seconds_of_first_step", plan, cache))
    yield Comparison.of("compilation", "the first process", later, first, {})


def shortest_compiled_fit(plan: Plan) -> Iterator[Comparison]:
    """A whole fit with compile="auto", nothing cached, beside one with compile=False."""
    ours, eager = [], []
    for _ in range(plan.compilations):
        with TemporaryDirectory() as cache:
            ours.append(measure("seconds_of_fit", plan, cache))
            eager.append(measure("seconds_of_fit", plan, cache, "compile=False"))
    yield Comparison.of("compiled_fit", "the same, eager", ours, eager, {"steps": plan.fit_steps})


def measure(function: str, plan: Plan, cache: str, *arguments: str) -> float:
    """Seconds by one of the two functions below, in a new process with this cache."""
    call = f"{function}({', '.join([repr(plan), *arguments])})"
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
    command = [sys.executable, "-c", CODE.format(call=call)]
    done = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return float(done.stdout)


def seconds_of_first_step(plan: Plan) -> float:
    """A step that has to be compiled."""
    x, u = random_rows(plan.data_rows, plan.flow.features, plan.flow.n_labels)
    flow, started = our_flow(plan.flow), time.perf_counter()
    our_step(flow, x, u, plan.flow_batch, compile=True)()
    return time.perf_counter() - started


def seconds_of_fit(plan: Plan, compile: bool | str = "auto") -> float:
    """A fit of as many steps as are just enough to be compiled."""
    x, u = random_rows(plan.data_rows, plan.flow.features, plan.flow.n_labels)
    held_out = {"x_held_out": x[:100], "u_held_out": u[:100]}
    options = {"max_steps": plan.fit_steps, "batch_size": plan.flow_batch, "patience": 60}
    started = time.perf_counter()
    fit(our_flow(plan.flow), x, u, **held_out, **options, compile=compile, progress=False)
    return time.perf_counter() - started
