"""Where each option stands: the file that declares it, those that name it, those that read it.

A name is an identifier, whatever it stands for: `device` is also a tensor's, `prior` a model's. So
what reads an option is watched while estimators do what they do. Code that reads all options alike,
to check, copy or save them, names none of them and does not count.
"""

from __future__ import annotations

import inspect
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from experiments.checks import structure
from identiflow.iflow import IFlow
from identiflow.ivae import IVAE, from_flow
from identiflow.shared.compute.compilation import finds_compiler
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.training import fit_ensemble
from identiflow.shared.training.stage import Recipe

DATA = nonstationary_sources(2, n_segments=5, samples_per_segment=20, seed=1)
SMALL: dict[str, Any] = {"hidden": (8,), "max_steps": 4, "compile": False, "progress": False}
OPTIONS = sorted({*inspect.signature(IFlow).parameters, *inspect.signature(IVAE).parameters})


def uses(folder: Path, compiled: bool) -> Iterator[Callable[[], object]]:
    """What estimators do: fits of each kind, seeds side by side, files, and all that is read off.

    One fit is compiled, if that is asked for and can be.
    """
    x, u = DATA.x, DATA.u
    flow = IFlow(n_layers=2, n_restarts=2, **SMALL)
    square, narrow = IVAE(2, **SMALL), IVAE(1, encoder_sees_u=True, covariance="diagonal", **SMALL)
    yield lambda: flow.fit(x, u, checkpoint=folder / "run")
    yield lambda: IFlow(n_layers=2, prior="auto", **SMALL).fit(x, u)
    yield lambda: IVAE(2, likelihood="bernoulli", **SMALL).fit(x > 0, u)
    yield lambda: fit_ensemble(IFlow(n_layers=1, **SMALL), x, u, seeds=[0, 1])
    if compiled and finds_compiler():
        yield lambda: IFlow(n_layers=1, **SMALL | {"compile": True}).fit(x, u)
    yield lambda: square.fit(x, u)
    yield lambda: narrow.fit(x, u)
    yield lambda: from_flow(flow, 0.1).score(x, u)
    for model in (flow, square, narrow):
        yield partial(model.save, folder / "model")
        yield partial(type(model).load, folder / "model")
        yield partial(model.transform, x, u)
        yield partial(model.score, x, u)
        yield partial(model.transport, x, u, int(u[0]))
        yield partial(model.quantiles, x, u)
        yield partial(model.sample, u)
        yield partial(model.check_identifiability, u)


def readers(compiled: bool = True) -> dict[str, set[str]]:
    """The files in which an estimator or a stage is asked for each option, in any of `uses`."""
    names = {str(path): structure.names_in(path) for path in structure.files_of().values()}
    found: dict[str, set[str]] = {option: set() for option in OPTIONS}

    def read(option: str, file: str) -> None:
        if option in found and file in names and option in names[file].attributes:
            found[option].add(structure.short(Path(file)))

    with tempfile.TemporaryDirectory() as folder, _watched(read), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for use in uses(Path(folder), compiled):
            use()
    return found


@contextmanager
def _watched(read: Callable[[str, str], None]) -> Iterator[None]:
    """Report each attribute of estimators and stages that is read, and the file that reads it."""

    def report(made: Recipe, name: str) -> Any:
        read(name, sys._getframe(1).f_code.co_filename)
        return object.__getattribute__(made, name)

    Recipe.__getattribute__ = report  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del Recipe.__getattribute__


def declared_and_named(option: str) -> tuple[list[str], list[str]]:
    """The installed files that declare an option, and those that name it."""
    declared, named = [], []
    for path in structure.files_of().values():
        names = structure.names_in(path)
        declared += [structure.short(path)] * (option in names.options)
        named += [structure.short(path)] * (option in names.identifiers)
    return declared, named
