"""`python -m experiments NAME [--smoke]`."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

EXPERIMENTS = {
    "demo": "every kind of data in a few minutes: one table, figures of sources",
    "round_trips": "how exactly flows invert themselves, beside nflows, zuko and normflows",
    "mutations": "faults planted in the code: does the test suite notice them",
    "statistical_truth": "calibration, bounds, shuffled u and chance beside what they should be",
    "faults": "fits that are killed, stopped or given a damaged checkpoint: what is lost",
}
# Over data seeds (--seeds), each kept as it is done, so that a run that was killed goes on.
STUDIES = {
    "recovery_2d": "the paper's figure: true and recovered sources of iVAE, VAE and flow",
    "iflow_benchmark": "uncentered sources, every method, beside the published scores",
    "tcl_benchmark": "centered sources, every method, over dimensions, segments and noise",
    "model_selection": "whether held-out nats choose the model with the best MCC",
    "noise_and_dimension": "where the flow stops being right and the iVAE takes over",
    "temporal": "sources with a memory, the past as u, beside permutation-contrastive learning",
    "discrete": "binary, categorical and count observations",
    "special_case": "the gap between an iVAE's ELBO and the flow's likelihood against σ",
    "gin_spectrum": "which latents of images of digits the digit changes, and what they do",
    "light_tunnel": "real measurements with known sources, beside baselines and the ceiling",
    "what_works": "what each part of the defaults is worth, by fits that differ in it alone",
    "sachs": "cells under nine conditions: seeds, nats, and cells carried to another condition",
    "causal_discovery": "which of two variables is the cause, on three real data sets",
}
# Of these single rows can be named (--only) and kept (--json).
TIMINGS = {"benchmarks": "times beside peers', as ratios measured in one run"}
# Options, and the scripts that take them.
OPTIONS = {"only": TIMINGS, "json": TIMINGS, "seeds": STUDIES}


def main() -> None:
    """Run the named experiment."""
    scripts = EXPERIMENTS | STUDIES | TIMINGS
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:20} {text}" for name, text in scripts.items()),
    )
    parser.add_argument("name", choices=scripts, metavar="NAME")
    parser.add_argument("--smoke", action="store_true", help="a tiny run, to see that it works")
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time (default: 2)")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="benchmarks: these and no others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="benchmarks: write rows here too")
    parser.add_argument("--seeds", type=int, metavar="N", help="studies: how many data seeds")
    arguments = parser.parse_args()
    given = {key: getattr(arguments, key) for key in OPTIONS if getattr(arguments, key)}
    for option in given:
        if arguments.name not in OPTIONS[option]:
            parser.error(
                f"Expected --{option} with {', '.join(OPTIONS[option])}; got it with "
                f"{arguments.name}. Leave it out."
            )
    run(arguments.name, smoke=arguments.smoke, jobs=arguments.jobs, **given)


def run(name: str, **options: Any) -> None:
    """Run the experiment of that name."""
    scripts = EXPERIMENTS | STUDIES | TIMINGS
    if name not in scripts:
        raise ValueError(f"Expected one of {', '.join(scripts)}; got {name}.")
    importlib.import_module(f"experiments.{name}").main(**options)


if __name__ == "__main__":
    main()
