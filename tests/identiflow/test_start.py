"""The command starts fast: help and errors of usage come before any large import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from identiflow import __main__ as command
from identiflow.shared.inputs.extras import needed_by

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"jinja2", "matplotlib", "numpy", "pandas", "scipy", "sklearn", "torch"}
SCRIPT = """
import sys
from identiflow.__main__ import main
try:
    main()
finally:
    print(*sys.modules, file=open("modules", "w"))
"""

LIGHT: dict[str, tuple[str, int, str]] = {
    "nothing": ("", 2, "Usage: identiflow"),
    "help": ("--help", 0, "Usage: identiflow"),
    "the version": ("--version", 0, "version 0."),
    "help for a command": ("fit --help", 0, "Usage: identiflow fit"),
    "help for a data set": ("data fetch --help", 0, "Usage: identiflow data fetch"),
    "no such command": ("fitt", 2, "No such command"),
    "no table": ("fit", 2, "Missing argument 'TABLE'"),
    "no such table": ("fit none.csv --aux u -o m", 2, "found no such file"),
    "no u": ("fit none.csv -o m", 2, "Expected --aux COLUMN"),
    "an ending": ("transform m none.csv -o z.xls", 2, "ends in .csv, .tsv"),
    "no such folder": ("report m none.csv -o a/page.html", 2, "the folder"),
}


@pytest.mark.parametrize("case", LIGHT)
def test_help_and_errors_of_usage_import_nothing_large(case: str, tmp_path: Path) -> None:
    words, code, message = LIGHT[case]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words.split()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == code and message in result.stdout + result.stderr
    assert HEAVY & set((tmp_path / "modules").read_text().split()) == set()


def test_importing_identiflow_imports_nothing_large() -> None:
    script = "import sys, identiflow; dir(identiflow); identiflow.__version__; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def test_without_its_extra_the_command_says_what_to_install(monkeypatch, capsys) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: name != "jinja2" or None)
    with pytest.raises(SystemExit) as end:
        command.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "identiflow: error: Expected jinja2 for the command line; found none. "
        'Run pip install "identiflow[cli]".\n'
    )


def test_a_missing_package_is_named_with_its_extra() -> None:
    message = r'the package no_such_thing, .* Run pip install "identiflow\[plot\]".'
    with pytest.raises(ModuleNotFoundError, match=message) as caught, needed_by("plot"):
        import no_such_thing.figure  # noqa: F401
    assert caught.value.name == "no_such_thing"
