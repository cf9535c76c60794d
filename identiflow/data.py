"""`identiflow data`: the real data sets, listed and fetched."""

from __future__ import annotations

import click


@click.group()
def data() -> None:
    """Real data sets: list them, fetch their files."""


@data.command(name="list")
def list_data() -> None:
    """Print the real data sets: name, u, licence.

    Example: identiflow data list
    """
    from identiflow.shared.datasets.real import ABOUT

    for name, about in ABOUT.items():
        click.echo(f"{name:18} {about['aux_name']:11} {about['licence']}")


@data.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Fetch the files of a data set, check them against their SHA-256, and print where they are.

    Example: identiflow data fetch sachs
    """
    from identiflow.shared.datasets.files import data_files, registry

    files = [key.partition("/")[2] for key in registry() if key.startswith(f"{name}/")]
    if not files:
        known = sorted({key.partition("/")[0] for key in registry()})
        raise ValueError(f"Expected one of {', '.join(known)}; got {name}.")
    for path in data_files(name, files).values():
        click.echo(str(path))
