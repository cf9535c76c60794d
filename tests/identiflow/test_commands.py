"""Laws of the command line: it does what Python does, or says in one line why not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.main import app
from identiflow.shared import files
from identiflow.shared.datasets import nonstationary_sources
from identiflow.tables import read_table, write_table

DATA = nonstationary_sources(2, n_segments=6, samples_per_segment=40, seed=1)
LETTERS = np.array(list("abcdef"))[DATA.u]
TABLE = pd.DataFrame(DATA.x, columns=["left", "right"]).assign(condition=LETTERS, age=DATA.u * 1.5)
SMALL = ["--set", "max_steps=6", "--set", "hidden=(8,)"]
FLOW = ["--aux", "condition", "--ignore", "age", "--set", "n_layers=1", *SMALL]


def run(*arguments: object) -> Result:
    """The command's result, an unexpected exception included."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def done(*arguments: object) -> str:
    """What a command prints that ends well."""
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table and a model that was fitted to it."""
    place = tmp_path_factory.mktemp("commands")
    write_table(TABLE, place / "cells.csv")
    done("fit", place / "cells.csv", *FLOW, "-o", place / "cells.model")
    (place / "model.csv").write_bytes((place / "cells.model").read_bytes())
    return place


@pytest.fixture(scope="module")
def flow() -> IFlow:
    """What Python fits to the same."""
    return IFlow(n_layers=1, max_steps=6, hidden=(8,)).fit(DATA.x, LETTERS)


def test_a_model_is_the_one_that_python_fits(folder: Path, flow: IFlow) -> None:
    same = IFlow.load(folder / "cells.model")
    np.testing.assert_array_equal(same.transform(DATA.x), flow.transform(DATA.x))
    assert list(same.feature_names_in_) == ["left", "right"]
    assert same.held_out_nats_ == pytest.approx(flow.held_out_nats_, rel=1e-12)


@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_commands_do_what_python_does(
    ending: str, folder: Path, flow: IFlow, tmp_path: Path
) -> None:
    model, table, out = folder / "cells.model", tmp_path / f"x.{ending}", tmp_path / f"o.{ending}"
    write_table(TABLE[["age", "right", "condition", "left"]], table)  # columns go by their names
    assert done("transform", model, table, "-o", out) == ""
    z = read_table(out)
    assert list(z.columns) == ["z0", "z1"]
    np.testing.assert_allclose(z, flow.transform(DATA.x), rtol=1e-12)
    done("invert", model, out, "-o", out)
    np.testing.assert_allclose(read_table(out)[["left", "right"]], DATA.x, atol=1e-9)
    nats = flow.log_prob(DATA.x, LETTERS)
    scored = json.loads(done("score", model, table, "-o", out, "--json"))
    assert scored == {"rows": 240, "nats": pytest.approx(nats.mean())}
    np.testing.assert_allclose(read_table(out)["nats"], nats)
    done("sample", model, "--aux", "b", "-n", 7, "--seed", 3, "-o", out)
    np.testing.assert_allclose(read_table(out), flow.sample(["b"] * 7, seed=3))


def test_check_says_what_python_says(folder: Path, flow: IFlow) -> None:
    report = flow.check_identifiability(LETTERS)
    command = ["check", folder / "cells.model", folder / "cells.csv"]
    assert done(*command) == f"{report}\n"
    assert json.loads(done(*command, "--json")) == json.loads(json.dumps(report.to_dict()))


def test_conditions_that_do_not_hold_are_exit_code_1(folder: Path, tmp_path: Path) -> None:
    write_table(TABLE[TABLE.condition < "c"], tmp_path / "two.csv")
    result = run("check", folder / "cells.model", tmp_path / "two.csv")
    assert result.exit_code == 1 and "do not hold" in result.stdout


def test_what_was_fitted_is_printed(folder: Path, tmp_path: Path) -> None:
    command = ["fit", folder / "cells.csv", *FLOW, "-o", tmp_path / "model", "--seeds", 2]
    text = done(*command, "--prior", "auto")
    assert "latents: 2" in text and "prior: " in text and "theorem 1" in text
    found = json.loads(done(*command, "--json"))
    assert found["rows"] == 240 and found["latents"] == 2 and found["held_out_nats"] < 0


def test_a_vae_of_mixed_u_goes_through_files(tmp_path: Path) -> None:
    write_table(TABLE.assign(day=DATA.u % 3), tmp_path / "x.parquet")
    options = ["--model", "ivae", "--latent-dim", 1, "--set", "encoder_sees_u=True", *SMALL]
    aux = ["--aux", "condition", "--continuous", "day", "--aux", "age"]
    done("fit", tmp_path / "x.parquet", *aux, *options, "-o", tmp_path / "m")
    vae = IVAE.load(tmp_path / "m")
    assert vae.auxiliary_.names == [["condition"], ["age", "day"]]
    done("transform", tmp_path / "m", tmp_path / "x.parquet", "-o", tmp_path / "z.npy")
    u = TABLE[["condition", "age"]].assign(day=DATA.u % 3 * 1.0)
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), vae.transform(DATA.x, u))
    row = [part for value in ("c", 1.5, 2) for part in ("--aux", value)]
    done("sample", tmp_path / "m", *row, "-n", 3, "-o", tmp_path / "s.csv")
    frame = pd.DataFrame({"condition": ["c"] * 3, "age": 1.5, "day": 2.0})
    np.testing.assert_allclose(read_table(tmp_path / "s.csv"), vae.sample(frame))


def test_a_vae_takes_its_latents_as_a_setting(folder: Path, tmp_path: Path) -> None:
    options = ["--model", "ivae", "--set", "latent_dim=1", "--aux", "condition", *SMALL]
    found = json.loads(done("fit", folder / "cells.csv", *options, "-o", tmp_path / "m", "--json"))
    assert found["latents"] == 1


def test_latents_go_by_their_names(folder: Path, flow: IFlow, tmp_path: Path) -> None:
    model, path, out = folder / "cells.model", tmp_path / "z.csv", tmp_path / "x.csv"
    z = pd.DataFrame(flow.transform(DATA.x), columns=["z0", "z1"])
    write_table(z[["z1", "z0"]].assign(note="text"), path)
    done("invert", model, path, "-o", out)
    np.testing.assert_allclose(read_table(out), DATA.x, atol=1e-9)
    np.save(tmp_path / "z.npy", z)  # which has no names
    done("invert", model, tmp_path / "z.npy", "-o", out)
    np.testing.assert_allclose(read_table(out), DATA.x, atol=1e-9)
    np.save(tmp_path / "z.npy", z[["z0"]])
    refused("z with 2 columns, as in fit; got 1", "invert", model, tmp_path / "z.npy", "-o", out)


def test_cells_of_columns_to_ignore_may_be_missing(folder: Path, tmp_path: Path) -> None:
    write_table(with_cell(4, "age", None), tmp_path / "t.csv")
    done("fit", tmp_path / "t.csv", *FLOW, "-o", tmp_path / "m")
    table = folder / "cells.csv"
    assert done("score", tmp_path / "m", table) == done("score", folder / "cells.model", table)


def test_a_model_is_written_to_where_a_link_leads(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "m").symlink_to(tmp_path / "v1.model")
    done("fit", folder / "cells.csv", *FLOW, "-o", tmp_path / "m")
    assert (tmp_path / "m").is_symlink() and IFlow.load(tmp_path / "v1.model")


def test_a_model_without_u_needs_none(folder: Path, tmp_path: Path) -> None:
    model, table = tmp_path / "m", folder / "cells.csv"
    done("fit", table, *FLOW, "--prior", "unconditional", "-o", model)
    done("score", model, table)
    done("sample", model, "-n", 4, "-o", tmp_path / "s.csv")
    assert len(read_table(tmp_path / "s.csv")) == 4


# What is wrong, and how it is said ---------------------------------------------------------------


def with_cell(row: int, column: str, value: Any) -> pd.DataFrame:
    table = TABLE.astype({column: object})
    table.loc[row, column] = value
    return table


BAD_TABLES: dict[str, tuple[pd.DataFrame, str]] = {
    "a missing cell": (
        with_cell(4, "left", None),
        "1 missing in the column left, the first in row 5",
    ),
    "a missing label": (with_cell(2, "condition", None), "missing in the column condition.* row 3"),
    "mixed types": (with_cell(0, "right", "n/k"), "numbers in every column of x; got 'n/k'"),
    "a constant u": (TABLE.assign(condition="a"), "u with at least 2 different values"),
    "no column of u": (TABLE.drop(columns="condition"), "among left, right, age; got condition"),
    "no rows": (TABLE[:0], "Expected rows in .*; got none"),
    "a word further down": (
        with_cell(7, "right", "n/k"),
        "got 'n/k' in the column right. Name it with --aux or --ignore",
    ),
    "a space before a name": (
        TABLE.rename(columns={"condition": " condition"}),
        "among left, right, ' condition', age; got condition",
    ),
    "row numbers": (
        TABLE.assign(**{"Unnamed: 0": range(len(TABLE))}),
        "numbers of the rows in 'Unnamed: 0'. Leave them out: --ignore \"Unnamed: 0\"",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_one_line_and_nothing_is_overwritten(case: str, tmp_path: Path) -> None:
    table, message = BAD_TABLES[case]
    write_table(table, tmp_path / "bad.csv")
    (tmp_path / "model").write_text("precious")
    refused(message, "fit", tmp_path / "bad.csv", *FLOW, "-o", tmp_path / "model")
    assert (tmp_path / "model").read_text() == "precious"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.csv", "model"]


BAD_COMMANDS: dict[str, tuple[list[str], str]] = {
    "no table": (["score", "cells.model", "none.csv"], "table in .*none.csv; found no such file"),
    "no model": (["score", "none.model", "cells.csv"], "written by save; found none"),
    "an ending": (["transform", "cells.model", "cells.csv", "-o", "z.xls"], "ends in .csv, .tsv"),
    "no folder": (["transform", "cells.model", "cells.csv", "-o", "a/z.csv"], "the folder .*a for"),
    "a table as a model": (["score", "cells.csv", "cells.csv"], "safetensors file written by save"),
    "a model as a table": (["score", "cells.model", "cells.model"], "ends in .csv, .tsv"),
    "no aux": (["fit", "cells.csv", "-o", "m"], "--aux COLUMN, the column of u; got none"),
    "a flow's latents": (["fit", "cells.csv", *FLOW, "--latent-dim", "1", "-o", "m"], "ivae alone"),
    "a VAE without": (["fit", "cells.csv", *FLOW, "--model", "ivae", "-o", "m"], "--latent-dim"),
    "a setting": (["fit", "cells.csv", *FLOW, "--set", "depth=3", "-o", "m"], "got depth"),
    "no setting": (["fit", "cells.csv", *FLOW, "--set", "depth", "-o", "m"], "NAME=VALUE; got 'de"),
    "an unknown prior": (
        ["fit", "cells.csv", *FLOW, "--prior", "cauchy", "-o", "m"],
        "got 'cauchy'",
    ),
    "an unseen label": (["sample", "cells.model", "--aux", "z", "-o", "s.csv"], "got 'z'"),
    "too many values": (
        ["sample", "cells.model", "--aux", "a", "--aux", "b", "-o", "s.csv"],
        r"once for each of \['condition'\]",
    ),
    "a column twice": (["fit", "cells.csv", *FLOW, "--aux", "age", "-o", "m"], "got age twice"),
    "a setting twice": (
        ["fit", "cells.csv", *FLOW, "--prior", "scale", "--set", "prior=laplace", "-o", "m"],
        "prior to be given once; got it twice, 'scale' and 'laplace'",
    ),
    "the seed twice": (
        ["fit", "cells.csv", *FLOW, "--seed", "0", "--set", "seed=1", "-o", "m"],
        "seed to be given once",
    ),
    "a setting called model": (
        ["fit", "cells.csv", *FLOW, "--set", "model=1", "-o", "m"],
        "got mod",
    ),
    "x as latents": (
        ["invert", "cells.model", "cells.csv", "-o", "x.csv"],
        "latents z0, z1 as columns, as `transform` writes them; got left, right, condition, age",
    ),
    "a checkpoint over the table": (
        ["fit", "cells.csv", *FLOW, "-o", "m", "--checkpoint", "cells.csv"],
        "another file to write than cells.csv",
    ),
    "a checkpoint over the model": (
        ["fit", "cells.csv", *FLOW, "-o", "m", "--checkpoint", "m"],
        "another file to write than m,",
    ),
    "a checkpoint in no folder": (
        ["fit", "cells.csv", *FLOW, "-o", "m", "--checkpoint", "a/b"],
        "the folder a for b; found none",
    ),
    "no output": (["fit", "cells.csv"], "Missing option '-o' / '--output'. Try .* fit --help."),
    "no such option": (["--quiet"], "No such option:? '?--quiet'?.* Try .* --help."),
    "no such command": (["fitt", "cells.csv"], "No such command 'fitt'"),
    "no number": (["fit", "cells.csv", "-o", "m", "--seeds", "two"], "'two' is not a valid int"),
    "an unknown data set": (["data", "fetch", "iris"], "one of causal_chamber_lt, .*; got iris"),
    "an unknown experiment": (["experiment", "iris"], "one of demo, .*; got iris"),
}


@pytest.mark.parametrize("case", BAD_COMMANDS)
def test_bad_commands_are_one_line(case: str, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    arguments, message = BAD_COMMANDS[case]
    refused(message, *arguments)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


OVER_INPUTS: dict[str, list[str]] = {
    "fit": ["fit", "cells.csv", *FLOW, "-o", "cells.csv"],
    "transform": ["transform", "cells.model", "cells.csv", "-o", "cells.csv"],
    "score": ["score", "cells.model", "cells.csv", "-o", "./cells.csv"],
    "report": ["report", "cells.model", "cells.csv", "-o", "cells.model"],
    "report over the table": ["report", "cells.model", "cells.csv", "-o", "cells.csv"],
    "invert": ["invert", "model.csv", "cells.csv", "-o", "model.csv"],
    "sample": ["sample", "model.csv", "--aux", "a", "-o", "model.csv"],
}


@pytest.mark.parametrize("case", OVER_INPUTS)
def test_what_a_command_reads_is_not_written_over(case: str, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    refused("another file to write than .*, which is in use here; got", *OVER_INPUTS[case])
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def refused(message: str, *arguments: object) -> None:
    """Assert exit code 2 and one line on stderr that says this."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("identiflow: error: ")
    pytest.raises(ValueError, _raise, result.stderr).match(message)


def _raise(text: str) -> None:
    raise ValueError(text)


def test_a_model_fitted_to_arrays_does_not_know_the_column_of_u(
    flow: IFlow, folder: Path, tmp_path: Path
) -> None:
    flow.save(tmp_path / "m")
    table = folder / "cells.csv"
    refused("u was columns of a table", "score", tmp_path / "m", table)
    refused("u was columns of a table", "sample", tmp_path / "m", "-o", tmp_path / "s.csv")


def test_a_model_of_a_newer_version_is_refused(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "VERSION", 0)
    refused("Upgrade identiflow", "score", folder / "cells.model", folder / "cells.csv")


def test_a_warning_is_a_line_on_stderr(tmp_path: Path) -> None:
    write_table(TABLE[TABLE.condition < "d"], tmp_path / "three.csv")
    result = run("fit", tmp_path / "three.csv", *FLOW, "-o", tmp_path / "m")
    assert result.exit_code == 0 and (tmp_path / "m").exists()
    assert result.stderr.startswith("identiflow: warning: u has 3 different values")
    assert result.stderr.count("\n") == 1


def test_advice_is_of_options_that_a_command_has(folder: Path, tmp_path: Path) -> None:
    write_table(with_cell(3, "right", "n/k"), tmp_path / "t.csv")
    message = "got 'n/k' in the column right. Remove what is no number.$"
    refused(message, "score", folder / "cells.model", tmp_path / "t.csv")


def commands(group: click.Group) -> list[click.Command]:
    every = group.commands.values()
    return [c for sub in every for c in (commands(sub) if isinstance(sub, click.Group) else [sub])]


@pytest.mark.parametrize("command", commands(app), ids=lambda command: command.name)
def test_every_command_has_an_example(command: click.Command) -> None:
    assert "Example: identiflow " in command.help
    missing = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert missing == []


def test_experiments_run_by_their_names(monkeypatch) -> None:
    import experiments.studies.special_case as study

    ran: dict[str, Any] = {}
    monkeypatch.setattr(study, "main", ran.update)
    done("experiment", "special_case", "--smoke", "--jobs", 1)
    assert ran == {"smoke": True, "jobs": 1}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> Path:
    """The current folder, whose experiments are none, and that imports do not look in."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "experiments"]:
        monkeypatch.delitem(sys.modules, name)
    elsewhere = [p for p in sys.path if p and not (Path(p) / "experiments").exists()]
    monkeypatch.setattr(sys, "path", elsewhere)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_experiments_are_those_of_the_current_folder(checkout: Path, monkeypatch) -> None:
    refused("found no experiments there", "experiment", "mine")
    scripts = checkout / "experiments" / "__main__.py"
    scripts.parent.mkdir()
    refused("found no experiments there", "experiment", "mine")
    scripts.write_text("import no_such_package")
    refused("the package no_such_package, which experiments import", "experiment", "mine")
    scripts.write_text("def run(*args, **options): print(args, options)  # longer")
    before = list(sys.path)
    assert done("experiment", "mine") == "('mine',) {'smoke': False, 'jobs': 2}\n"
    assert sys.path == before
    for name in ("experiments.__main__", "experiments"):
        monkeypatch.delitem(sys.modules, name)


def test_data_sets_are_listed(monkeypatch, tmp_path: Path) -> None:
    assert "sachs" in done("data", "list")
    monkeypatch.setenv("IDENTIFLOW_DATA", str(tmp_path))
    refused("Expected the file .* found none", "data", "fetch", "sachs")
