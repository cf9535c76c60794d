"""Laws of the command line: what it cannot do it says in one line, and nothing is overwritten."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from identiflow.iflow import IFlow
from identiflow.shared import files
from identiflow.tables import write_table

Change = Callable[[pd.DataFrame], pd.DataFrame]
Refused = Callable[..., None]


def with_cell(row: int, column: str, value: Any) -> Change:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        changed = table.astype({column: object})
        changed.loc[row, column] = value
        return changed

    return change


BAD_TABLES: dict[str, tuple[Change, str]] = {
    "a missing cell": (
        with_cell(4, "left", None),
        "1 missing in the column left, in row 5. Fill those cells, .* with --drop",
    ),
    "a missing label": (with_cell(2, "condition", None), "missing in the column condition.* row 3"),
    "a last line of one cell": (
        lambda table: with_cell(len(table) - 1, "condition", None)(table),
        "in row 240. Fill those cells, or drop the rows. If that line is no data, delete it.",
    ),
    "mixed types": (with_cell(1, "right", "n/k"), "numbers in every column of x; got 'n/k'"),
    "a constant u": (
        lambda table: table.assign(condition="a"),
        "u with at least 2 different values",
    ),
    "no column of u": (
        lambda table: table.drop(columns="condition"),
        "the column condition; got a table with the columns left, right, age",
    ),
    "no rows": (lambda table: table[:0], "Expected rows in .*; got none"),
    "a word further down": (
        with_cell(7, "right", "n/k"),
        "got 'n/k' in the column right, row 8. Leave the column out with --drop, or name",
    ),
    "units below the names": (
        with_cell(0, "right", "mV"),
        "got 'mV' in the column right, row 1. If that line is units below the names, delete it",
    ),
    "ids of more digits than numbers have": (
        lambda table: table.assign(right=[str(10**19 * 9 + i) for i in range(len(table))]),
        "got '9000.*' in the column right, row 1. Leave the column out with --drop",
    ),
    "formats below the names, as NWIS writes them": (
        with_cell(0, "right", "14n"),
        "got '14n' in the column right, row 1. If that line is units below the names, delete it",
    ),
    **{
        f"{word!r} for nothing": (
            with_cell(7, "right", word),
            "in the column right, row 8. If that says that nothing was measured, leave those rows",
        )
        for word in ("--", "na", "ND", "BDL", "OVER", "Undetermined")
    },
    "a word for nothing": (
        with_cell(7, "right", "#DIV/0!"),
        "got '#DIV/0!' in the column right, row 8. If that says that nothing was measured, leave",
    ),
    "lines of words below the names": (
        lambda table: with_cell(0, "right", "How?")(with_cell(1, "right", "{id}")(table)),
        "got 'How.' in the column right, row 1. If the first 2 lines are no data, delete them",
    ),
    "a total": (
        lambda table: with_cell(len(table) - 1, "right", "n = 240")(table),
        "row 240. If that line is a total or a comment below the rows, delete it",
    ),
    "an empty line": (
        lambda table: table.reindex(range(len(table) + 1)),
        "a value in every row; got 1 empty, in row 241. Delete",
    ),
    "a space before a name": (
        lambda table: table.rename(columns={"condition": " condition"}),
        "condition; got .* left, right, ' condition', age. Is it ' condition'",
    ),
    "row numbers": (
        lambda table: table.assign(**{"Unnamed: 0": range(len(table))}),
        r'got row numbers.* \(Unnamed: 0\). Leave out: --drop "Unnamed: 0"',
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_one_line_and_nothing_is_overwritten(
    case: str, table: pd.DataFrame, flow_options: list[str], refused: Refused, tmp_path: Path
) -> None:
    change, message = BAD_TABLES[case]
    write_table(change(table), tmp_path / "bad.csv")
    (tmp_path / "model").write_text("precious")
    refused(message, "fit", tmp_path / "bad.csv", *flow_options, "-o", tmp_path / "model")
    assert (tmp_path / "model").read_text() == "precious"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.csv", "model"]


BAD_COMMANDS: dict[str, tuple[str, str]] = {
    "no table": ("score cells.model none.csv", "table in .*none.csv; found no such file"),
    "no model": ("score none.model cells.csv", "written by save; found none"),
    "an ending": ("transform cells.model cells.csv -o z.xls", "ends in .csv, .tsv"),
    "no folder": ("transform cells.model cells.csv -o a/z.csv", "the folder .*a for"),
    "a table as a model": ("score cells.csv cells.csv", "safetensors file written by save"),
    "a model as a table": ("score cells.model cells.model", "ends in .csv, .tsv"),
    "no aux": ("fit cells.csv -o m", "--aux COLUMN, the column of u; got none"),
    "a flow's latents": ("fit cells.csv {flow} --latent-dim 1 -o m", "ivae alone"),
    "a VAE without": ("fit cells.csv {flow} --model ivae -o m", "--latent-dim"),
    "a setting": ("fit cells.csv {flow} --set depth=3 -o m", "got depth"),
    "no setting": ("fit cells.csv {flow} --set depth -o m", "NAME=VALUE; got 'de"),
    "an unknown prior": ("fit cells.csv {flow} --prior cauchy -o m", "got 'cauchy'"),
    "an unseen label": ("sample cells.model --aux z -o s.csv", "got 'z'"),
    "too many values": (
        "sample cells.model --aux a --aux b -o s.csv",
        r"once for each of \['condition'\]",
    ),
    "a column twice": ("fit cells.csv {flow} --aux age -o m", "got age twice"),
    "a setting twice": (
        "fit cells.csv {flow} --prior scale --set prior=laplace -o m",
        "prior to be given once; got it twice, 'scale' and 'laplace'",
    ),
    "one setting twice": (
        "fit cells.csv {flow} --set n_layers=2 -o m",
        "--set n_layers once; got 1 and 2. Leave out one",
    ),
    "the seed twice": ("fit cells.csv {flow} --seed 0 --set seed=1 -o m", "seed to be given once"),
    "a setting called model": ("fit cells.csv {flow} --set model=1 -o m", "got mod"),
    "x as latents": (
        "invert cells.model cells.csv -o x.csv",
        "latents z0, z1 as columns, as `transform` writes them; got left, right, condition, age",
    ),
    "a checkpoint over the table": (
        "fit cells.csv {flow} -o m --checkpoint cells.csv",
        "another file to write than cells.csv",
    ),
    "a checkpoint over the model": (
        "fit cells.csv {flow} -o m --checkpoint m",
        "another file to write than m,",
    ),
    "a checkpoint in no folder": (
        "fit cells.csv {flow} -o m --checkpoint a/b",
        "the folder a for b; found none",
    ),
    "a page as a table": ("report cells.model cells.csv -o r.csv", "ends in .html; got r.csv"),
    "a model over a table": ("fit cells.csv {flow} -o test.csv", "ends in .model; got test.csv"),
    "values in another order": (
        "sample cells.model --aux 3 -o s.csv",
        "got '3'. Give one of those",
    ),
    "no output": ("fit cells.csv", "Missing option '-o' / '--output'. Try .* fit --help."),
    "no such option": ("--quiet", "No such option:? '?--quiet'?.* Try .* --help."),
    "no such command": ("fitt cells.csv", "No such command 'fitt'"),
    "no number": ("fit cells.csv -o m --seeds two", "'two' is not a valid int"),
    "an unknown data set": ("data fetch iris", "one of causal_chamber_lt, .*; got iris"),
    "an unknown experiment": ("experiment iris", "one of demo, .*; got iris"),
}


@pytest.fixture
def typed(flow_options: list[str]) -> Callable[[str], list[str]]:
    """The arguments of a command as it is typed, where {flow} stands for the options of a fit."""
    return lambda command: shlex.split(command.format(flow=shlex.join(flow_options)))


@pytest.mark.parametrize("case", BAD_COMMANDS)
def test_bad_commands_are_one_line(
    case: str, folder: Path, typed: Callable, refused: Refused, monkeypatch
) -> None:
    monkeypatch.chdir(folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    command, message = BAD_COMMANDS[case]
    refused(message, *typed(command))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


OVER_INPUTS: dict[str, str] = {
    "fit": "fit cells.csv {flow} -o cells.csv",
    "transform": "transform cells.model cells.csv -o cells.csv",
    "score": "score cells.model cells.csv -o ./cells.csv",
    "report": "report cells.model cells.csv -o cells.model",
    "invert": "invert model.csv cells.csv -o model.csv",
    "invert over the latents": "invert cells.model cells.csv -o cells.csv",
    "sample": "sample model.csv --aux a -o model.csv",
}


@pytest.mark.parametrize("case", OVER_INPUTS)
def test_what_a_command_reads_is_not_written_over(
    case: str, folder: Path, typed: Callable, refused: Refused, monkeypatch
) -> None:
    monkeypatch.chdir(folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    refused("another file to write than .*, which is in use here; got", *typed(OVER_INPUTS[case]))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_model_fitted_to_arrays_does_not_know_the_column_of_u(
    flow: IFlow, folder: Path, refused: Refused, tmp_path: Path
) -> None:
    flow.save(tmp_path / "m")
    table = folder / "cells.csv"
    refused("u was columns of a table", "score", tmp_path / "m", table)
    refused("u was columns of a table", "sample", tmp_path / "m", "-o", tmp_path / "s.csv")


def test_a_model_of_a_newer_version_is_refused(folder: Path, refused: Refused, monkeypatch) -> None:
    monkeypatch.setattr(files, "VERSION", 0)
    refused("Upgrade identiflow", "score", folder / "cells.model", folder / "cells.csv")


def test_a_warning_is_a_line_on_stderr(
    table: pd.DataFrame, flow_options: list[str], run: Callable, tmp_path: Path
) -> None:
    write_table(table[table.condition < "d"], tmp_path / "three.csv")
    result = run("fit", tmp_path / "three.csv", *flow_options, "-o", tmp_path / "m")
    assert result.exit_code == 0 and (tmp_path / "m").exists()
    assert result.stderr.startswith("identiflow: warning: u has 3 different values")
    assert result.stderr.count("\n") == 1


def test_advice_is_of_options_that_a_command_has(
    table: pd.DataFrame, folder: Path, refused: Refused, tmp_path: Path
) -> None:
    write_table(with_cell(3, "right", "n/k")(table), tmp_path / "t.csv")
    message = "got 'n/k' in the column right, row 4. Remove what is no number.$"
    refused(message, "score", folder / "cells.model", tmp_path / "t.csv")
