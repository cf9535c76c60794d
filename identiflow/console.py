"""The words and the exit codes of commands: 0 done, 1 the answer is no, 2 something is wrong."""

from __future__ import annotations

import errno
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

import identiflow
from identiflow.shared.inputs.remarks import rows_from

NO, WRONG = 1, 2
SHORT_OF_MEMORY = "Expected enough memory; got too little for this. Take fewer rows at a time."
# What `identiflow` alone prints, which newer releases of click call an error.
HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())


class OneLineErrors(click.Group):
    """Commands whose errors and warnings are a line each on stderr, without a traceback."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the options that come before the command."""
        with _one_line():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
            with _one_line(), rows_from(1):  # as in the table, the header apart
                return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    """Errors as one line; the reader of a closed pipe has gone, and click ends in silence."""
    try:
        yield
    except click.exceptions.Exit:  # the end of --help, a RuntimeError to Python
        raise
    except click.UsageError as error:
        if isinstance(error, HELP):
            raise
        say(f"error: {error.format_message()}{_hint(error.ctx)}")
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise
        say(f"error: {error}")
    except (MemoryError, RuntimeError) as error:
        if _is_of_memory(error):
            error = MemoryError(SHORT_OF_MEMORY)
        elif not isinstance(error, identiflow.DivergedError):
            raise
        say(f"error: {error}")
    else:
        return
    raise click.exceptions.Exit(WRONG)


def _is_of_memory(error: Exception) -> bool:
    """True if memory ran out; torch says so in the words of an error of another kind."""
    words = str(error).lower()
    told = "allocate memory" in words or "out of memory" in words
    return isinstance(error, MemoryError) or told


def _hint(ctx: click.Context | None) -> str:
    return f" Try {ctx.command_path} --help." if ctx is not None else ""


def say(text: str) -> None:
    """One line on stderr."""
    click.echo(f"identiflow: {' '.join(map(str.strip, text.splitlines()))}", err=True)


def show(values: Mapping[str, Any], as_json: bool) -> None:
    """Names and values on stdout: a line each, or as JSON."""
    if as_json:
        click.echo(json.dumps(_without_infinity(values), allow_nan=False))
        return
    for name, value in values.items():
        number = f"{value:.4f}" if isinstance(value, float) else value
        click.echo(f"{name.replace('_', ' ')}: {number}")


def _without_infinity(value: Any) -> Any:
    """None for NaN and infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _without_infinity(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinity(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
