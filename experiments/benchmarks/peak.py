"""`peak`: how much of what the machine can multiply our training step uses."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from experiments.benchmarks.flows import our_flow, random_rows
from experiments.benchmarks.plan import Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.steps import our_step
from experiments.benchmarks.timing import Action, interleave
from identiflow.iflow import LULinear


def peak(plan: Plan) -> Iterator[Comparison]:
    """Our step against its multiply-adds at the rate of one large product: the ratio is the share.

    The rate is that of a float32 matrix product in the same run with the same threads.
    """
    model = our_flow(plan.flow)
    x, u = random_rows(plan.data_rows, plan.flow.features, plan.flow.n_labels)
    step = our_step(model, x, u, plan.flow_batch)
    timings = interleave(step, matmul(plan.matmul_width), plan.steps)
    work = step_multiply_adds(model, plan.flow_batch)
    product = plan.matmul_width**3
    at_peak = [seconds * work / product for seconds in timings.peer]
    details = {"multiply_adds": work, "matmul_gflops": 2 * product / min(timings.peer) / 1e9}
    name = f"matmul, n = {plan.matmul_width}"
    yield Comparison.of("peak", name, timings.ours, at_peak, details)


def matmul(n: int) -> Action:
    """The product of two (n, n) matrices in float32."""
    a, b, out = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
    return lambda: torch.mm(a, b, out=out)


def step_multiply_adds(model: nn.Module, batch_size: int) -> int:
    """Multiply-adds of all linear layers in one step.

    Backward takes one product for the gradient of the inputs and one for that of the weights, so
    a step counts 3 times forward. All else, the splines above all, counts as no work.
    """
    linear = sum(part.weight.numel() for part in model.modules() if isinstance(part, nn.Linear))
    lu = sum(part.features**2 for part in model.modules() if isinstance(part, LULinear))
    return 3 * batch_size * (linear + lu)
