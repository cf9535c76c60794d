"""`python -m experiments NAME [--smoke]`."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

EXPERIMENTS = {
    "demo": "every kind of data in a few minutes: one table, figures of sources",
    "recovery": "the defaults on the benchmark, data seeds 1-3: MCC and nats beside the oracle's",
    "special_case": "the gap between an iVAE's ELBO and the flow's likelihood against σ",
    "light_tunnel": "real measurements with known sources, beside baselines and the ceiling",
}
# Of these single rows can be named (--only) and kept (--json).
TIMINGS = {"benchmarks": "times beside peers', as ratios measured in one run"}


def main() -> None:
    """Run the named experiment."""
    scripts = EXPERIMENTS | TIMINGS
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:13} {text}" for name, text in scripts.items()),
    )
    parser.add_argument("name", choices=scripts, metavar="NAME")
    parser.add_argument("--smoke", action="store_true", help="a tiny run, to see that it works")
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time (default: 2)")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="benchmarks: these and no others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="benchmarks: write rows here too")
    arguments = parser.parse_args()
    given = {key: getattr(arguments, key) for key in ("only", "json") if getattr(arguments, key)}
    if given and arguments.name not in TIMINGS:
        parser.error(
            f"Expected --only and --json with {', '.join(TIMINGS)}; got them with "
            f"{arguments.name}. Leave them out."
        )
    module = importlib.import_module(f"experiments.{arguments.name}")
    module.main(smoke=arguments.smoke, jobs=arguments.jobs, **given)


if __name__ == "__main__":
    main()
