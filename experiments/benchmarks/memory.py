"""Peak memory of a statement, measured in a process of its own.

In the process of the benchmarks, memory that earlier rows have freed would hide what it needs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from experiments.benchmarks.plan import ROOT

STATUS = Path("/proc/self/status")
CODE = """
from experiments.benchmarks.memory import highest, resident
{setup}
before = resident()
{statement}
print(highest() - before)
"""


def peak_memory(setup: str, statement: str) -> int:
    """Bytes that `statement` takes at its height, above those that are there after `setup`."""
    code = CODE.format(setup=setup, statement=statement)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


def resident() -> int:
    """Bytes of this process that are in memory now (where unknown: its highest so far)."""
    return status_bytes("VmRSS") if STATUS.exists() else usage_bytes()


def highest() -> int:
    """The largest number of bytes of this process that were in memory."""
    # Linux's getrusage takes over the peak of the process that started this one; its status not.
    return status_bytes("VmHWM") if STATUS.exists() else usage_bytes()


def status_bytes(name: str) -> int:
    """A field of /proc/self/status, which is in KiB."""
    found = re.search(rf"^{name}:\s*(\d+) kB", STATUS.read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None, f"{STATUS} has no field {name}"
    return int(found[1]) * 1024


def usage_bytes() -> int:
    """The peak as getrusage has it, in bytes on macOS and in KiB elsewhere."""
    import resource  # Windows has none

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
