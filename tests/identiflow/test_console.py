"""Whatever happens in a command, it ends with one line, or with none."""

from __future__ import annotations

import errno
import json

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from identiflow.console import OneLineErrors, show
from identiflow.shared.training import DivergedError


def result_of(error: Exception, *arguments: str) -> Result:
    """What a command with one option ends with that raises this error."""

    @click.group(cls=OneLineErrors)
    @click.option("--size", type=click.Choice(["small", "large"]))
    def app(size: str | None) -> None: ...

    @app.command()
    @click.option("--colour", required=True)
    def draw(colour: str) -> None:
        raise error

    return CliRunner().invoke(app, list(arguments or ["draw", "--colour", "red"]))


ERRORS: dict[str, tuple[Exception, str]] = {
    "ours": (ValueError("Expected\ntwo lines."), "error: Expected two lines."),
    "of training": (DivergedError("Expected finite loss."), "error: Expected finite loss."),
    "numpy's memory": (MemoryError(), "error: Expected enough memory; got too little"),
    "torch's memory": (RuntimeError("can't allocate memory: 9 GB"), "error: Expected enough mem"),
    "of the disk": (OSError(errno.ENOSPC, "No space left"), "error: [Errno 28] No space left"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_is_one_line(case: str) -> None:
    error, message = ERRORS[case]
    result = result_of(error)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"identiflow: {message}")


def test_a_fault_of_the_program_is_not_hidden() -> None:
    assert isinstance(result_of(RuntimeError("a fault")).exception, RuntimeError)


USAGE = {
    "a missing option": (["draw"], "Missing option '--colour'. Try app draw --help."),
    "an unknown option": (["draw", "-x"], "No such option:? '?-x'?.* Try app draw --help."),
    "an unknown command": (["paint"], "No such command 'paint'. Try app --help."),
    "before the command": (["--size", "huge", "draw"], "'huge' is not one of .* Try app --help."),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_one_line(case: str) -> None:
    arguments, message = USAGE[case]
    result = result_of(ValueError(), *arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    with pytest.raises(ValueError, match=f"^identiflow: error: .*{message}$"):
        raise ValueError(result.stderr.rstrip())


def test_help_is_as_before() -> None:
    result = result_of(ValueError(), "draw", "--help")
    assert result.exit_code == 0 and result.stdout.count("\n") > 3 and result.stderr == ""


def test_a_closed_pipe_is_no_error() -> None:
    result = result_of(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert (result.exit_code, result.output) == (1, "")


def test_json_has_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    show({"a": [1.5, np.inf, (np.nan, 2)], "b": {"c": -np.inf}, "d": np.float64(0.5)}, True)
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": [1.5, None, [None, 2]], "b": {"c": None}, "d": 0.5}
    assert "Infinity" not in text and "NaN" not in text
