"""`identiflow COMMAND`: fit, transform, invert, score, sample, check, report, experiment, data."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from identiflow import models
from identiflow.console import NO, OneLineErrors, show
from identiflow.data import data
from identiflow.labels import columns_of
from identiflow.tables import (
    check_output,
    check_place,
    check_table,
    has_names,
    read_table,
    write_table,
)

if TYPE_CHECKING:
    from pandas import DataFrame

    from identiflow.shared.estimators import IdentifiableEstimator
    from identiflow.shared.inputs.arrays import Array

PATH = click.Path(path_type=Path)
Decorator = Callable[[Any], Any]

model_argument = click.argument("model", type=PATH)
table_argument = click.argument("table", type=PATH)
output_option = click.option(
    "-o",
    "--output",
    type=PATH,
    required=True,
    help="The file to write: CSV, TSV, Parquet, NPZ, NPY.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
seed_option = click.option("--seed", type=int, help="Makes what is random reproducible.")


def several(*names: str, metavar: str, help: str) -> Decorator:
    """An option that may be given many times."""
    return click.option(*names, multiple=True, metavar=metavar, help=f"{help} Repeatable.")


@click.group(cls=OneLineErrors)
@click.version_option(package_name="identiflow")
def app() -> None:
    """Latent variables that can be trusted to be sources: identifiable flows and VAEs."""


app.add_command(data)


@app.command()
@table_argument
@click.option("-o", "--output", type=PATH, required=True, help="The model's file to write.")
@several("--aux", metavar="COLUMN", help="A column of u: text and integers are labels.")
@several("--continuous", metavar="COLUMN", help="A column of u whose integers are no labels.")
@several("--ignore", metavar="COLUMN", help="A column to leave out.")
@click.option(
    "--model", type=click.Choice(list(models.ESTIMATORS)), default="iflow", help="A flow, or a VAE."
)
@click.option("--latent-dim", type=int, help="How many latents a VAE has.")
@click.option("--likelihood", help="What x is, to a VAE: gaussian, bernoulli, poisson, …")
@click.option("--prior", help="The family p(z | u): mean_and_scale, scale, laplace, auto, …")
@click.option("--seeds", type=int, help="So many fits, of which the best is kept.")
@seed_option
@several("--set", "settings", metavar="NAME=VALUE", help="Another parameter of the estimator.")
@click.option("--checkpoint", type=PATH, help="A file to write on the way, to go on from.")
@json_option
def fit(
    table: Path,
    output: Path,
    aux: tuple[str, ...],
    continuous: tuple[str, ...],
    ignore: tuple[str, ...],
    model: str,
    latent_dim: int | None,
    likelihood: str | None,
    prior: str | None,
    seeds: int | None,
    seed: int | None,
    settings: tuple[str, ...],
    checkpoint: Path | None,
    as_json: bool,
) -> None:
    """Fit a model to TABLE: u are the columns named, x all others.

    Example: identiflow fit cells.csv --aux condition -o cells.model
    """
    check_place(output, table)
    if checkpoint is not None:
        check_place(checkpoint, table, output)
    models.check_named(aux, continuous, ignore)
    check_table(table)
    options = {
        "latent_dim": latent_dim,
        "likelihood": likelihood,
        "prior": prior,
        "n_restarts": seeds,
        "seed": seed,
    }
    estimator = models.build(model, models.parameters(options, settings))
    x, u = models.split(read_table(table, aux, unless_floats=True), aux, continuous, ignore)
    estimator.fit(x, u, checkpoint=checkpoint)
    estimator.save(output)
    report = estimator.check_identifiability(u)
    found = {
        "model": str(output),
        "rows": len(x),
        "latents": estimator.prior_.latent_dim,
        "held_out_nats": estimator.held_out_nats_,
        "conditions_hold": report.satisfied,
    }
    if estimator.chosen_prior_:
        found["prior"] = estimator.chosen_prior_
    show(found, as_json)
    if not as_json:
        click.echo(str(report))


@app.command()
@model_argument
@table_argument
@output_option
def transform(model: Path, table: Path, output: Path) -> None:
    """Write the latents z of the rows of TABLE.

    Example: identiflow transform cells.model cells.csv -o latents.csv
    """
    check_output(output, model, table)
    estimator, rows = _opened(model, table)
    u = models.u_of(rows, estimator) if estimator.latents_need_u else None
    latents = estimator.set_output(transform="pandas").transform(models.x_of(rows, estimator), u)
    write_table(latents, output)


@app.command()
@model_argument
@click.argument("latents", type=PATH)
@output_option
def invert(model: Path, latents: Path, output: Path) -> None:
    """Write the rows x = f(z) of a table of LATENTS, as `transform` writes it.

    Example: identiflow invert cells.model latents.csv -o again.csv
    """
    check_output(output, model)
    estimator = models.load(model)
    z = models.latents_of(read_table(latents), estimator, has_names(latents))
    x = estimator.inverse_transform(z.to_numpy())
    _write_rows(x, estimator, output)


@app.command()
@model_argument
@table_argument
@click.option("-o", "--output", type=PATH, help="A file to write the nats of each row to.")
@json_option
def score(model: Path, table: Path, output: Path | None, as_json: bool) -> None:
    """Print the mean of log p(x | u) over TABLE, in nats a row; of a VAE, a bound on it.

    Example: identiflow score cells.model new_cells.csv
    """
    if output is not None:
        check_output(output, model, table)
    estimator, rows = _opened(model, table)
    u, x = models.u_of(rows, estimator), models.x_of(rows, estimator)
    nats = estimator.log_prob(x, u)
    if output is not None:
        import pandas as pd

        write_table(pd.DataFrame({"nats": nats}), output)
    show({"rows": len(nats), "nats": float(nats.mean())}, as_json)


@app.command()
@model_argument
@several("--aux", metavar="VALUE", help="A value of u; one for each of its columns.")
@click.option("-n", "--rows", type=click.IntRange(min=1), default=100, help="How many rows.")
@seed_option
@output_option
def sample(model: Path, aux: tuple[str, ...], rows: int, seed: int | None, output: Path) -> None:
    """Write rows x drawn from p(x | u).

    Example: identiflow sample cells.model --aux control -n 1000 -o drawn.csv
    """
    check_output(output, model)
    estimator = models.load(model)
    x = estimator.sample(models.u_of_values(aux, rows, estimator), seed=seed or 0)
    _write_rows(x, estimator, output)


@app.command()
@model_argument
@table_argument
@json_option
def check(model: Path, table: Path, as_json: bool) -> None:
    """Check the theorem's conditions for this model and the u of TABLE; 1 if they do not hold.

    Example: identiflow check cells.model cells.csv
    """
    estimator, rows = _opened(model, table)
    u, x = models.u_of(rows, estimator), models.x_of(rows, estimator)
    report = estimator.check_identifiability(u, x)
    if as_json:
        show(report.to_dict(), as_json)
    else:
        click.echo(str(report))
    if not report.satisfied:
        raise click.exceptions.Exit(NO)


@app.command()
@model_argument
@table_argument
@click.option("-o", "--output", type=PATH, required=True, help="The HTML file to write.")
@click.option("--title", default="", help="The page's title.")
def report(model: Path, table: Path, output: Path, title: str) -> None:
    """Write a page about a model and the rows of TABLE: best rows that it was not fitted to.

    Example: identiflow report cells.model new_cells.csv -o report.html
    """
    check_place(output, model, table)
    check_table(table)
    from identiflow.report import write_report

    estimator, rows = _opened(model, table)
    u, x = models.u_of(rows, estimator), models.x_of(rows, estimator)
    write_report(estimator, x, u, output, title=title)


@app.command()
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


def _opened(model: Path, table: Path) -> tuple[IdentifiableEstimator, DataFrame]:
    """A model, and a table whose labels are read as they stand."""
    check_table(table)
    estimator = models.load(model)
    return estimator, read_table(table, columns_of(estimator))


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """Imports look in the current folder, as those of `python -m` do and a console script's not."""
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _write_rows(x: Array, estimator: IdentifiableEstimator, output: Path) -> None:
    """Write x under the names its columns had in fit."""
    import pandas as pd

    names = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(x.shape[1])])
    write_table(pd.DataFrame(x, columns=list(names)), output)
