"""Times beside those of nflows, zuko and normflows, as ratios measured in one run.

Every row is measured in one run on one machine, ours and the peer's in turn, so that whatever else
the machine does falls on both. Seconds move from machine to machine, ratios hardly do.
"""

from __future__ import annotations

from typing import Any


def main(**options: Any) -> None:
    """`run.main`, imported when it is called: the processes whose memory is measured need less."""
    from experiments.benchmarks.run import main as run_all

    run_all(**options)
