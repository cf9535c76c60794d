"""`identiflow COMMAND`: fit, transform, invert, score, sample, check, report, experiment, data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from identiflow import fitted, models
from identiflow.arguments import (
    PATH,
    header_option,
    json_option,
    model_argument,
    output_option,
    seed_option,
    several,
    table_argument,
)
from identiflow.columns import check_header
from identiflow.console import NO, OneLineErrors, say, show
from identiflow.data import data
from identiflow.endings import check_no_table, is_text
from identiflow.experiment import experiment
from identiflow.labels import are_floats, labels_of
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

    from identiflow.shared.auxiliary import Auxiliary
    from identiflow.shared.estimators import IdentifiableEstimator
    from identiflow.shared.inputs.arrays import Array


@click.group(cls=OneLineErrors)
@click.version_option(package_name="identiflow")
def app() -> None:
    """Latent variables that can be trusted to be sources: identifiable flows and VAEs."""


app.add_command(data)
app.add_command(experiment)


@app.command()
@table_argument
@click.option("-o", "--output", type=PATH, required=True, help="The model's file to write.")
@several("--aux", metavar="COLUMN", help="A column of u: text and integers are labels.")
@several(
    "--labels", metavar="COLUMN", help="A column of u whose numbers are labels, with a point too."
)
@several("--continuous", metavar="COLUMN", help="A column of u whose integers are no labels.")
@several("--columns", metavar="NAMES", help="The columns of x: a,b or gene* or gene1:gene9.")
@several("--drop", "--ignore", "drop", metavar="NAMES", help="Columns to leave out, likewise.")
@header_option
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
    labels: tuple[str, ...],
    continuous: tuple[str, ...],
    columns: tuple[str, ...],
    drop: tuple[str, ...],
    header: bool | None,
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

    Columns that only count or name the rows are refused, or remarked on where they may be
    measurements: --drop leaves them out, --columns names those of x. Cells between ; or tabs,
    decimal commas, other encodings than UTF-8 and packed files (.csv.gz) are recognised.

    Example: identiflow fit cells.csv --aux condition --drop id -o cells.model
    """
    check_place(output, table)
    check_no_table(output, ".model")
    if checkpoint is not None:
        check_place(checkpoint, table, output)
    models.check_named(aux, labels, continuous, columns, drop)
    check_table(table, header)
    options = {
        "latent_dim": latent_dim,
        "likelihood": likelihood,
        "prior": prior,
        "n_restarts": seeds,
        "seed": seed,
    }
    estimator = models.build(model, models.parameters(options, settings))
    chosen = models.Chosen(aux, labels, continuous, columns, drop)
    rows = read_table(table, [*aux, *labels], unless_floats=True, header=header)
    if header is None and is_text(table):
        check_header(rows, chosen.asked)
    x, columns_of_u = models.split(rows, chosen, constants=not estimator.standardizes)
    u = models.read_as(columns_of_u, chosen)
    _say_dialect(table, rows)
    estimator.fit(x, u, checkpoint=checkpoint)
    estimator.save(output)
    report = estimator.check_identifiability(u)
    found = {
        "model": str(output),
        "rows": len(x),
        **models.ends_of(columns_of_u, x),
        "u": models.described(estimator.auxiliary_),
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
@header_option
@output_option
def transform(model: Path, table: Path, header: bool | None, output: Path) -> None:
    """Write the latents z of the rows of TABLE.

    Example: identiflow transform cells.model cells.csv -o latents.csv
    """
    check_output(output, model, table)
    estimator, rows = _opened(model, table, header)
    u = fitted.u_of(rows, estimator) if estimator.latents_need_u else None
    x = fitted.x_of(rows, estimator)
    _say_dialect(table, rows)
    latents = estimator.set_output(transform="pandas").transform(x, u)
    write_table(latents, output)


@app.command()
@model_argument
@click.argument("latents", type=PATH)
@header_option
@output_option
def invert(model: Path, latents: Path, header: bool | None, output: Path) -> None:
    """Write the rows x = f(z) of a table of LATENTS, as `transform` writes it.

    Example: identiflow invert cells.model latents.csv -o again.csv
    """
    check_output(output, model, latents)
    check_table(latents, header)
    estimator = models.load(model)
    rows = read_table(latents, header=header)
    z = fitted.latents_of(rows, estimator, has_names(latents, header))
    _say_dialect(latents, rows)
    x = estimator.inverse_transform(z.to_numpy())
    _write_rows(x, estimator, output)


@app.command()
@model_argument
@table_argument
@click.option("-o", "--output", type=PATH, help="A file to write the nats of each row to.")
@header_option
@json_option
def score(
    model: Path, table: Path, output: Path | None, header: bool | None, as_json: bool
) -> None:
    """Print the mean of log p(x | u) over TABLE, in nats a row; of a VAE, a bound on it.

    Example: identiflow score cells.model new_cells.csv
    """
    if output is not None:
        check_output(output, model, table)
    estimator, x, u = _x_and_u(model, table, header)
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
    x = estimator.sample(fitted.u_of_values(aux, rows, estimator), seed=seed or 0)
    if len(aux) > 1:  # labels come first, whatever their order at the fit
        pairs = zip(fitted.names_of_u(estimator), aux, strict=True)
        say(f"note: drawn for {', '.join(f'{name} = {value}' for name, value in pairs)}.")
    _write_rows(x, estimator, output)


@app.command()
@model_argument
@table_argument
@header_option
@json_option
def check(model: Path, table: Path, header: bool | None, as_json: bool) -> None:
    """Check the theorem's conditions for this model and the u of TABLE; 1 if they do not hold.

    Example: identiflow check cells.model cells.csv
    """
    estimator, x, u = _x_and_u(model, table, header)
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
@header_option
def report(model: Path, table: Path, output: Path, title: str, header: bool | None) -> None:
    """Write a page about a model and the rows of TABLE: best rows that it was not fitted to.

    Example: identiflow report cells.model new_cells.csv -o report.html
    """
    check_no_table(output, ".html")
    check_place(output, model, table)
    check_table(table, header)
    from identiflow.report import write_report

    estimator, x, u = _x_and_u(model, table, header)
    write_report(estimator, x, u, output, title=title)


def _x_and_u(
    model: Path, table: Path, header: bool | None
) -> tuple[IdentifiableEstimator, DataFrame, Auxiliary | None]:
    estimator, rows = _opened(model, table, header)
    u, x = fitted.u_of(rows, estimator), fitted.x_of(rows, estimator)
    _say_dialect(table, rows)
    return estimator, x, u


def _opened(
    model: Path, table: Path, header: bool | None
) -> tuple[IdentifiableEstimator, DataFrame]:
    """A model, and a table whose labels are read as they stand; as numbers, if they were floats."""
    check_table(table, header)
    estimator = models.load(model)
    words = {name: part for name, part in labels_of(estimator).items() if not are_floats(part)}
    rows = read_table(table, words, header=header)
    fitted.remark_places(rows, estimator)
    return estimator, rows


def _say_dialect(path: Path, table: DataFrame) -> None:
    """Say how a file was read if it is not as its name promises, once nothing is wrong with it."""
    for doubt in table.attrs.get("doubts", []):
        say(f"warning: {doubt}")
    if table.attrs.get("note"):
        say(f"note: read {path} as {table.attrs['note']}.")


def _write_rows(x: Array, estimator: IdentifiableEstimator, output: Path) -> None:
    """Write x under the names its columns had in fit."""
    import pandas as pd

    names = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(x.shape[1])])
    write_table(pd.DataFrame(x, columns=list(names)), output)
