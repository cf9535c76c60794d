"""What commands print, and how they end: 0 done, 1 the answer is no, 2 something is wrong."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import click

from shared.training import DivergedError

NO, WRONG = 1, 2


class OneLineErrors(click.Group):
    """Commands whose errors and warnings are a line each on stderr, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
            try:
                return super().invoke(ctx)
            except (ValueError, TypeError, OSError, DivergedError) as error:
                say(f"error: {error}")
                ctx.exit(WRONG)


def say(text: str) -> None:
    """One line on stderr."""
    click.echo(f"identiflow: {' '.join(text.split())}", err=True)


def show(values: Mapping[str, Any], as_json: bool) -> None:
    """Names and values on stdout: a line each, or as JSON."""
    if as_json:
        click.echo(json.dumps(values))
        return
    for name, value in values.items():
        number = f"{value:.4f}" if isinstance(value, float) else value
        click.echo(f"{name.replace('_', ' ')}: {number}")
