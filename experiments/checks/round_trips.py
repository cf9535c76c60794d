"""Round-trip errors of flows with large weights, beside nflows, zuko and normflows.

One rational-quadratic coupling and one LU layer of each, with all parameters multiplied by 1, 3 and
10, and far from the data. The largest |x − f(g(x))| over batches of standard normal rows in units
of the rows; or what was raised instead, and in how many of the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from experiments.benchmarks.flows import our_flow
from experiments.benchmarks.peers import build_peers, missing_peers
from experiments.benchmarks.plan import FlowShape
from identiflow.shared.compute.random import seeded

SHAPE = FlowShape(features=6, n_layers=1, hidden=(64, 64))
# What the parameters are multiplied by, and the rows.
CASES: dict[str, tuple[float, float]] = {
    "× 1": (1.0, 1.0),
    "× 3": (3.0, 1.0),
    "× 10": (10.0, 1.0),
    "rows × 1e4": (1.0, 1e4),
}
ROWS = 256


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Print the table; of peers that are installed."""
    batches = 5 if smoke else 200
    print(f"| library | numbers | {' | '.join(CASES)} |\n|---|---|{'---|' * len(CASES)}")
    for dtype in (torch.float32, torch.float64):
        for name, flow in flows(dtype):
            cells = [worst(*flow, *CASES[case], dtype, batches) for case in CASES]
            print(f"| {name} | {str(dtype).removeprefix('torch.')} | {' | '.join(cells)} |")
    if missing_peers():
        print(f"\nNot installed: {', '.join(missing_peers())}.")


Flow = tuple[nn.Module, Callable[[Tensor], Tensor]]


def flows(dtype: torch.dtype) -> Iterator[tuple[str, Flow]]:
    """Each library's flow, and x → f(g(x)) by it."""
    with seeded(0):
        ours = our_flow(SHAPE).to(dtype)
        peers = {name: flow.to(dtype) for name, flow in build_peers(SHAPE)}  # type: ignore[attr-defined]
    yield "identiflow", (ours, lambda x: ours.decode(ours.encode(x)))
    for name, flow in peers.items():
        yield name, (flow, lambda x, flow=flow: flow.decode(flow.encode(x)[0]))


@torch.no_grad()
def worst(
    flow: nn.Module,
    there_and_back: Callable[[Tensor], Tensor],
    factor: float,
    size: float,
    dtype: torch.dtype,
    batches: int,
) -> str:
    """The largest error, or what was raised; the parameters are as before when it is done."""
    generator, error, raised = torch.Generator().manual_seed(0), 0.0, []
    before = {name: tensor.clone() for name, tensor in flow.state_dict().items()}
    try:
        for _ in range(batches):
            for name, parameter in flow.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=dtype)
                start = before[name] + 0.1 * noise  # another flow in each batch
                parameter.copy_(factor * start)
            x = size * torch.randn(ROWS, SHAPE.features, generator=generator, dtype=dtype)
            try:
                error = max(error, float((there_and_back(x) - x).abs().max() / size))
            except (AssertionError, RuntimeError) as failure:
                raised.append(type(failure).__name__)
    finally:
        flow.load_state_dict(before)
    return f"{error:.0e}" + (f", {raised[0]} in {len(raised)} of {batches}" if raised else "")
