"""`identiflow experiment`: what a checkout of this project can run."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click


@click.command()
@click.argument("name")
@click.option("--smoke", is_flag=True, help="A tiny run, to see that it works.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, help="Fits at a time.")
def experiment(name: str, smoke: bool, jobs: int) -> None:
    """Run an experiment of this project; the current folder is a checkout of it.

    Example: identiflow experiment special_case --smoke
    """
    with _current_folder_first():
        try:
            scripts = importlib.import_module("experiments.__main__")
        except ModuleNotFoundError as error:
            if error.name not in ("experiments", "experiments.__main__"):
                raise ValueError(
                    f"Expected the package {error.name}, which experiments import; found none. "
                    "Install it."
                ) from None
            raise ValueError(
                "Expected a checkout of identiflow as the current folder; found no experiments "
                "there. They are not installed."
            ) from None
        scripts.run(name, smoke=smoke, jobs=jobs)


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """Imports look in the current folder, as those of `python -m` do and a console script's not."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
