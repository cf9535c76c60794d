"""The data of the iVAE paper: sources whose scale alone changes with u, in several dimensions.

Means are 0 and standard deviations ~ U[0.5, 3] in each segment of 1000 rows; three mixing layers
with tanh x + 0.1 x. `dimensions` has 40 segments, `segments` 5 sources, `noisy` 5 in 10-D with
noise of 0.1.
"""

from __future__ import annotations

from experiments.protocol.figures import strips
from experiments.protocol.sources import CHANCE, SQUARED, SUPERVISED, compared, tasks
from experiments.protocol.study import run_study

MAIN = {"centered, d = 5": {"latent_dim": 5}}
NOISY = {"5 in 10-D, noise 0.1": {"latent_dim": 5, "observed_dim": 10, "noise_std": 0.1}}
DIMENSIONS = {f"centered, d = {n}": {"latent_dim": n} for n in (2, 10, 20)}
SEGMENTS = {f"{s} segments": {"latent_dim": 5, "n_segments": s} for s in (10, 20, 60)}
SQUARE = ["IFlow", "IFlow, shuffled u", "unconditional flow"]
METHODS = ["IVAE", "VAE", "β-VAE", "β-TC-VAE", "TCL", SQUARED, "linear FastICA", CHANCE]
PUBLISHED = {"iVAE, the authors' code, worst that ran": 0.416, "the same, best of 5": 0.922}


def main(smoke: bool = False, jobs: int = 2, seeds: int = 20) -> None:
    """Fit all methods; fewer seeds for other dimensions and segments."""
    some, few = max(1, seeds // 4), max(1, seeds // 10)
    rows = run_study(
        "tcl_benchmark",
        [
            *compared(MAIN, [*SQUARE, *METHODS], seeds, smoke),
            *compared(NOISY, [*METHODS, SUPERVISED], seeds, smoke),
            *tasks(DIMENSIONS, ["IFlow"], some, smoke),
            *tasks(SEGMENTS, ["IFlow"], few, smoke),
            *tasks(DIMENSIONS | SEGMENTS, ["IVAE", "TCL", "linear FastICA"], few, smoke),
        ],
        jobs,
    )
    strips("tcl_benchmark", rows, PUBLISHED)
