"""Arguments and options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

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
header_option = click.option(
    "--header/--no-header",
    "header",
    default=None,
    help="Whether the first line has names. Columns without names are x0, x1, …",
)
seed_option = click.option("--seed", type=int, help="Makes what is random reproducible.")


def several(*names: str, metavar: str, help: str) -> Decorator:
    """An option that may be given many times."""
    return click.option(*names, multiple=True, metavar=metavar, help=f"{help} Repeatable.")
