"""Files on the way to the first step, places of an option, circles, lengths, beside floors.

A journey is the files of the project through which control passes, counted by a profile of calls.
It ends with the first step of the optimiser. That modules are imported on the way does not count.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from types import CodeType, FrameType
from typing import Any, NamedTuple

from experiments.checks import structure
from experiments.checks.options import OPTIONS, declared_and_named, readers
from identiflow.iflow import IFlow
from identiflow.shared.datasets import nonstationary_sources

DATA = nonstationary_sources(2, n_segments=5, samples_per_segment=20, seed=1)
# The function that moves the parameters: a part of its file's path, and its names.
STEP = ("shared/training/optimizer.py", ("take", "step"))
MOST_FILES = 30
FINDER = "identiflow/checkout.py"  # which Python asks at every import in a checkout


class ArrivedError(Exception):
    """Control is where the journey ends."""


@dataclass(frozen=True)
class Measure:
    """A number, the most that it may be, and what it is made of."""

    what: str
    number: float
    most: float
    details: str = ""

    @property
    def line(self) -> str:
        """A line of the table."""
        held = "yes" if self.number <= self.most else "**no**"
        return f"| {self.what} | {self.number:g} | ≤ {self.most:g} | {held} | {self.details} |"


def main(smoke: bool = False, jobs: int = 2) -> None:
    """Print what was counted beside the floors, then where each option stands.

    With smoke no fit is compiled, which takes a minute.
    """
    print("| what | counted | floor | held | |\n|---|---|---|---|---|", flush=True)
    held, places = [], places_of_options(compiled=not smoke)
    for measure in chain(journeys(smoke), of_structure(), of_options(places)):
        print(measure.line, flush=True)
        held.append(measure.number <= measure.most)
    print(f"\n{sum(held)} of {len(held)} floors are held.\n")
    print("| option | declared in | also read in | files that name it |\n|---|---|---|---|")
    for option, place in places.items():
        others = sorted(place.read - set(place.declared))
        print(f"| {option} | {', '.join(place.declared)} | {', '.join(others)} | {place.named} |")


def journeys(smoke: bool) -> Iterator[Measure]:
    """The files of a fit up to its first step, and those of `transform`."""
    ways: dict[str, dict[str, Any]] = {"compile=False": {"compile": False}}
    if not smoke:
        ways = {"default options": {}, **ways}
    for name, options in ways.items():
        flow = IFlow(progress=False, **options)
        files, functions = travelled(lambda flow=flow: flow.fit(DATA.x, DATA.u), STEP)
        what = f"files to the first step of IFlow.fit, {name}"
        yield Measure(what, len(files), MOST_FILES, f"{functions} functions: {', '.join(files)}")
    flow = IFlow(n_layers=2, hidden=(8,), max_steps=2, compile=False, progress=False)
    flow.fit(DATA.x, DATA.u)
    files, functions = travelled(lambda: flow.transform(DATA.x))
    details = f"{functions} functions: {', '.join(files)}"
    yield Measure("files of IFlow.transform", len(files), 12, details)


def of_structure() -> Iterator[Measure]:
    """Measures that are counted in the text of the installed files."""
    files = structure.files_of()
    graph = structure.import_graph(files)
    found = structure.circles(graph)
    yield Measure("circles of imports", len(found), 0, "; ".join(map(" → ".join, found)))
    upwards = structure.against_the_order(graph, "identiflow.shared", structure.ROOMS)
    yield Measure("imports against the order of rooms", len(upwards), 0, _pairs(upwards))
    loose = structure.loose_modules("shared")
    yield Measure("loose modules of shared/", len(loose), 4, ", ".join(loose))
    lengths = {structure.short(path): structure.lines_of(path) for path in files.values()}
    longest = max(lengths, key=lengths.__getitem__)
    yield Measure("lines of the largest file", lengths[longest], 300, longest)
    bodies = [n for path in files.values() for n in structure.function_lengths(path).values()]
    yield Measure("lines of a function, median", median(bodies), 6, f"{len(bodies)} functions")
    private = {structure.short(p): structure.private_imports(p, "torch") for p in files.values()}
    named = [name for names in private.values() for name in names]
    yield Measure("imports of private torch", len(named), 1, ", ".join(sorted(set(named))))


class Places(NamedTuple):
    """The files that declare an option and that read it, and how many name something like it."""

    declared: list[str]
    read: set[str]
    named: int


def places_of_options(compiled: bool = True) -> dict[str, Places]:
    """Where each option stands; see `experiments.checks.options`."""
    read = readers(compiled)
    places = {}
    for option in OPTIONS:
        declared, named = declared_and_named(option)
        places[option] = Places(declared, read[option], len(named))
    return places


def of_options(places: Mapping[str, Places]) -> Iterator[Measure]:
    """How many options are declared elsewhere than in one file, or stand in more than three."""
    files = {option: len({*place.declared, *place.read}) for option, place in places.items()}
    above = [f"{option} {count}" for option, count in files.items() if count > 3]
    yield Measure("options that more than 3 files declare or read", len(above), 0, ", ".join(above))
    wrong = [option for option, place in places.items() if len(place.declared) != 1]
    yield Measure("options not declared in one place", len(wrong), 0, ", ".join(wrong))


def travelled(
    action: Callable[[], object], until: tuple[str, tuple[str, ...]] | None = None
) -> tuple[list[str], int]:
    """The project's files through which control passes in an action, and how many functions.

    Args:
        action: what is done.
        until: a part of the path of a file and names of functions in it; the first call of one of
            them ends the journey, and is counted.

    Raises:
        RuntimeError: if the action ends without any of these being called.
    """
    passed: set[CodeType] = set()
    arrived = False

    def arrive(code: CodeType) -> bool:
        return until is not None and until[0] in code.co_filename and code.co_name in until[1]

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal arrived
        if event == "call" and not arrived and _is_ours(frame.f_code):
            passed.add(frame.f_code)
            arrived = arrive(frame.f_code)
            if arrived:
                raise ArrivedError

    with profiled(profile):
        try:
            action()
        except ArrivedError:
            pass
    if until is not None and not arrived:
        raise RuntimeError(
            f"Expected a call of {' or '.join(until[1])} in {until[0]}; got none. Say in STEP what "
            "moves the parameters."
        )
    return sorted({structure.short(Path(code.co_filename)) for code in passed}), len(passed)


@contextmanager
def profiled(profile: Callable[[FrameType, str, object], None]) -> Iterator[None]:
    """Have calls reported, those of threads too that begin inside."""
    before = sys.getprofile()
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
        threading.setprofile(before)


def _is_ours(code: CodeType) -> bool:
    """True for a function of the project, and not for the body of a module or a class."""
    file = code.co_filename
    inside = file.startswith(_FOLDERS) and not file.endswith(FINDER)
    return inside and bool(code.co_flags & inspect.CO_OPTIMIZED)


_FOLDERS = tuple(f"{structure.ROOT / folder}/" for folder in structure.INSTALLED)


def _pairs(imports: list[tuple[str, str]]) -> str:
    return ", ".join(f"{name} → {other}" for name, other in imports)
