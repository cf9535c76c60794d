"""`python -m experiments NAME [--smoke]`."""

from __future__ import annotations

import argparse
import importlib

EXPERIMENTS = {
    "demo": "every kind of data in a few minutes: one table, figures of sources",
    "recovery": "the defaults on the benchmark, data seeds 1-3: MCC and nats beside the oracle's",
    "special_case": "the gap between an iVAE's ELBO and the flow's likelihood against σ",
    "light_tunnel": "real measurements with known sources, beside baselines and the ceiling",
}


def main() -> None:
    """Run the named experiment."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:13} {text}" for name, text in EXPERIMENTS.items()),
    )
    parser.add_argument("name", choices=EXPERIMENTS, metavar="NAME")
    parser.add_argument("--smoke", action="store_true", help="a tiny run, to see that it works")
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time (default: 2)")
    arguments = parser.parse_args()
    module = importlib.import_module(f"experiments.{arguments.name}")
    module.main(smoke=arguments.smoke, jobs=arguments.jobs)


if __name__ == "__main__":
    main()
