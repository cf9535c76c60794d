"""`import`: what `import iflow` takes in a fresh process, beside torch alone, which it imports."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from experiments.benchmarks.plan import ROOT, Plan
from experiments.benchmarks.rows import Comparison
from experiments.benchmarks.timing import compare


def import_time(plan: Plan) -> Iterator[Comparison]:
    """Both with the start of Python in them; the ratio is below 1 by what we add."""
    package, peer = plan.imports
    ours, theirs = partial(fresh_import, package), partial(fresh_import, peer)
    yield compare("import", f"import {peer}", ours, theirs, plan.processes)


def fresh_import(package: str) -> None:
    """Start Python, import the package, end."""
    subprocess.run([sys.executable, "-c", f"import {package}"], cwd=ROOT, check=True)
