"""The benchmarks by name, and the run of all or some of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from experiments.benchmarks.compiling import compilation, shortest_compiled_fit
from experiments.benchmarks.ensembles import ensemble
from experiments.benchmarks.imports import import_time
from experiments.benchmarks.ivae import ivae_step
from experiments.benchmarks.passes import inversion, log_density
from experiments.benchmarks.peak import peak
from experiments.benchmarks.peers import missing_peers
from experiments.benchmarks.plan import FULL, SEED, SMOKE, Plan
from experiments.benchmarks.rows import (
    Comparison,
    print_footer,
    print_header,
    print_row,
    write_json,
)
from experiments.benchmarks.scaling import labels, scaling
from experiments.benchmarks.scores import mcc
from experiments.benchmarks.time_to_mcc import time_to_mcc
from experiments.benchmarks.training import eager_step, training_step
from identiflow.shared.compute.random import seeded
from identiflow.shared.training import check_folder

# To add a benchmark: a function from a Plan to rows, and its name here.
BENCHMARKS: dict[str, Callable[[Plan], Iterable[Comparison]]] = {
    "training_step": training_step,
    "eager_step": eager_step,
    "compilation": compilation,
    "compiled_fit": shortest_compiled_fit,
    "ensemble": ensemble,
    "log_density": log_density,
    "inversion": inversion,
    "ivae_step": ivae_step,
    "time_to_mcc": time_to_mcc,
    "labels": labels,
    "mcc": mcc,
    "import": import_time,
    "scaling": scaling,
    "peak": peak,
}


def main(
    smoke: bool = False,
    jobs: int = 1,
    only: Sequence[str] | None = None,
    json: str | os.PathLike[str] | None = None,
) -> list[Comparison]:
    """Run the benchmarks, or those named by `only`; print a row as soon as it is there.

    `jobs` is not looked at: one benchmark runs at a time, because a second would be in its times.

    Raises:
        ValueError: for an unknown name, or a `json` in a folder that does not exist.
    """
    names = chosen(only)
    if json is not None:
        check_folder(json, "json")
    for peer in missing_peers():
        print(f"{peer}: not installed, its rows are left out; `pip install {peer}` brings it")
    rows = []
    print_header()
    for name in names:
        with seeded(SEED):
            for row in BENCHMARKS[name](SMOKE if smoke else FULL):
                print_row(row)
                rows.append(row)
    print_footer()
    if json is not None:
        write_json(Path(json), rows, smoke)
    return rows


def chosen(only: Sequence[str] | None) -> list[str]:
    """The names to run, in the order of BENCHMARKS; all of them for None."""
    unknown = [name for name in only or () if name not in BENCHMARKS]
    if unknown:
        raise ValueError(
            f"Expected only to hold names among {', '.join(BENCHMARKS)}; got "
            f"{', '.join(unknown)}. Name some of these, or leave it out to run all of them."
        )
    return [name for name in BENCHMARKS if only is None or name in only]
