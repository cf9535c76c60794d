"""A table, a model fitted to it, and the ways to run a command that a test expects to end so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from identiflow.iflow import IFlow
from identiflow.main import app
from identiflow.shared.auxiliary import Auxiliary
from identiflow.shared.datasets import Dataset, nonstationary_sources
from identiflow.tables import write_table


def _run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def _done(*arguments: object) -> str:
    result = _run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def _refused(message: str, *arguments: object) -> None:
    result = _run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("identiflow: error: ")
    pytest.raises(ValueError, _raise, result.stderr).match(message)


def _raise(text: str) -> None:
    raise ValueError(text)


@pytest.fixture(scope="module", autouse=True)
def _no_start_is_looked_for_to_the_end(
    few_iterations: Callable[[], AbstractContextManager[None]],
) -> Iterator[None]:
    with few_iterations():
        yield


@pytest.fixture(scope="session")
def run() -> Callable[..., Result]:
    """The command's result, an unexpected exception included."""
    return _run


@pytest.fixture(scope="session")
def done() -> Callable[..., str]:
    """What a command prints that ends well."""
    return _done


@pytest.fixture(scope="session")
def refused() -> Callable[..., None]:
    """Asserts exit code 2 and one line on stderr that says this."""
    return _refused


class Taken(NamedTuple):
    """The x and u that a fit was given; the lines on stderr, of an error if it was given none."""

    x: pd.DataFrame | None
    u: pd.DataFrame | None
    said: list[str]


@pytest.fixture(scope="module")
def taken() -> Iterator[Callable[..., Taken]]:
    """What `identiflow fit` with these arguments hands to the flow, which is not trained."""
    given: list[pd.DataFrame] = []

    def stop(_: IFlow, x: pd.DataFrame, u: Auxiliary, **__: object) -> None:
        parts = [getattr(u, part, None) for part in ("labels", "continuous", "values")]
        given.extend([x, pd.concat([part for part in parts if part is not None], axis=1)])
        raise ValueError("Taken.")

    def take(path: Path, *arguments: object) -> Taken:
        given.clear()
        model = path.with_name("none.model")
        result = _run("fit", path, *arguments, "-o", model)
        lines = result.stderr.splitlines()
        assert result.exit_code == 2 and not model.exists()
        assert all(line.startswith("identiflow: ") for line in lines)
        if given:
            return Taken(*given, said=lines[:-1])
        assert len(lines) == 1 and lines[0].startswith("identiflow: error: Expected ")
        return Taken(None, None, lines)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IFlow, "fit", stop)
        yield take


@pytest.fixture(scope="session")
def data() -> Dataset:
    return nonstationary_sources(2, n_segments=6, samples_per_segment=40, seed=1)


@pytest.fixture(scope="session")
def letters(data: Dataset) -> np.ndarray:
    """The labels of the table."""
    return np.array(list("abcdef"))[data.u]


@pytest.fixture(scope="session")
def table(data: Dataset, letters: np.ndarray) -> pd.DataFrame:
    """Two columns of x, then two of u."""
    x = pd.DataFrame(data.x, columns=["left", "right"])
    return x.assign(condition=letters, age=data.u * 1.5)


@pytest.fixture(scope="session")
def small() -> list[str]:
    """The settings of a fit that takes no time."""
    return ["--set", "max_steps=6", "--set", "hidden=(8,)"]


@pytest.fixture(scope="session")
def flow_options(small: list[str]) -> list[str]:
    """The options that fit a small flow to the table."""
    return ["--aux", "condition", "--ignore", "age", "--set", "n_layers=1", *small]


@pytest.fixture(scope="session")
def flow(
    data: Dataset, letters: np.ndarray, few_iterations: Callable[[], AbstractContextManager[None]]
) -> IFlow:
    """The flow that Python fits to the same."""
    with few_iterations():
        return IFlow(n_layers=1, max_steps=6, hidden=(8,)).fit(data.x, letters)


@pytest.fixture(scope="session")
def folder(
    table: pd.DataFrame,
    flow_options: list[str],
    tmp_path_factory: pytest.TempPathFactory,
    few_iterations: Callable[[], AbstractContextManager[None]],
) -> Path:
    """A table and a model that was fitted to it."""
    place = tmp_path_factory.mktemp("commands")
    write_table(table, place / "cells.csv")
    with few_iterations():
        _done("fit", place / "cells.csv", *flow_options, "-o", place / "cells.model")
    (place / "model.csv").write_bytes((place / "cells.model").read_bytes())
    return place
