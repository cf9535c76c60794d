"""Binary, categorical and count observations: sources behind data that have no density.

Three sources in thirty columns; the likelihood is that of the data. Thirty values of so few levels
leave much of a source unsaid. A network that is shown the sources stands beside: it is no ceiling,
as the iVAE, which knows how such data are made, is ahead of it on all three.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.protocol.figures import strips
from experiments.protocol.sources import CHANCE, SUPERVISED, tasks
from experiments.protocol.study import run_study

SIZE = {"latent_dim": 3, "observed_dim": 30}
KINDS = ("bernoulli", "categorical", "poisson")


def main(smoke: bool = False, jobs: int = 2, seeds: int = 5) -> None:
    """Fit the iVAE, its unconditional form, linear FastICA and the network to each kind."""
    found = []
    for kind in KINDS:
        setting = {kind: {**SIZE, "observation": kind}}
        found += tasks(setting, ["IVAE", "VAE"], seeds, smoke, likelihood=kind)
        found += tasks(setting, ["linear FastICA", SUPERVISED, CHANCE], seeds, smoke)
    rows = run_study("discrete", found, jobs)
    strips("discrete", [replace(row, method=row.method.partition(",")[0]) for row in rows], {})
