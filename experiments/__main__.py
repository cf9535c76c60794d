"""`python -m experiments NAME [--smoke]`."""

from __future__ import annotations

import argparse
import ast
import importlib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def scripts_of(folder: str) -> dict[str, str]:
    """The scripts of a folder, files that have a main: name → module."""
    return {
        path.stem: f"experiments.{folder}.{path.stem}"
        for path in sorted((HERE / folder).glob("*.py"))
        if "\ndef main(" in path.read_text(encoding="utf-8")
    }


DEMO = {"demo": "experiments.demo"}
# Over data seeds (--seeds), each row kept as it is done, so that a run that was killed goes on.
STUDIES = scripts_of("studies")
CHECKS = scripts_of("checks")
# Of these single rows can be named (--only) and kept (--json).
TIMINGS = {"benchmarks": "experiments.benchmarks"}
SCRIPTS = DEMO | STUDIES | CHECKS | TIMINGS
# Options, and the scripts that take them.
OPTIONS = {"full": DEMO, "only": TIMINGS, "json": TIMINGS, "seeds": STUDIES}


def main() -> None:
    """Run the named experiment."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:20} {about(name)}" for name in SCRIPTS),
    )
    parser.add_argument("name", choices=SCRIPTS, metavar="NAME")
    parser.add_argument("--smoke", action="store_true", help="a tiny run, to see that it works")
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time (default: 2)")
    parser.add_argument("--full", action="store_true", help="demo: more steps, and more data")
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


def about(name: str) -> str:
    """The first line of a script's docstring; it is not imported."""
    path = HERE.parent / SCRIPTS[name].replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def run(name: str, **options: Any) -> None:
    """Run the experiment of that name."""
    if name not in SCRIPTS:
        raise ValueError(f"Expected one of {', '.join(SCRIPTS)}; got {name}.")
    importlib.import_module(SCRIPTS[name]).main(**options)


if __name__ == "__main__":
    main()
