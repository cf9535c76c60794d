"""Laws of the command line: it does what Python does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest

from identiflow.iflow import IFlow
from identiflow.ivae import IVAE
from identiflow.main import app
from identiflow.shared.datasets import Dataset
from identiflow.tables import read_table, write_table


def test_a_model_is_the_one_that_python_fits(data: Dataset, folder: Path, flow: IFlow) -> None:
    same = IFlow.load(folder / "cells.model")
    np.testing.assert_array_equal(same.transform(data.x), flow.transform(data.x))
    assert list(same.feature_names_in_) == ["left", "right"]
    assert same.held_out_nats_ == pytest.approx(flow.held_out_nats_, rel=1e-12)


@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_commands_do_what_python_does(
    data: Dataset,
    letters: np.ndarray,
    table: pd.DataFrame,
    done: Callable,
    ending: str,
    folder: Path,
    flow: IFlow,
    tmp_path: Path,
) -> None:
    model, path, out = folder / "cells.model", tmp_path / f"x.{ending}", tmp_path / f"o.{ending}"
    write_table(table[["age", "right", "condition", "left"]], path)  # columns go by their names
    assert done("transform", model, path, "-o", out) == ""
    z = read_table(out)
    assert list(z.columns) == ["z0", "z1"]
    np.testing.assert_allclose(z, flow.transform(data.x), rtol=1e-12)
    again = out.with_name(f"again.{ending}")
    done("invert", model, out, "-o", again)
    np.testing.assert_allclose(read_table(again)[["left", "right"]], data.x, atol=1e-9)
    nats = flow.log_prob(data.x, letters)
    scored = json.loads(done("score", model, path, "-o", out, "--json"))
    assert scored == {"rows": 240, "nats": pytest.approx(nats.mean())}
    np.testing.assert_allclose(read_table(out)["nats"], nats)
    done("sample", model, "--aux", "b", "-n", 7, "--seed", 3, "-o", out)
    np.testing.assert_allclose(read_table(out), flow.sample(["b"] * 7, seed=3))


def test_check_says_what_python_says(
    letters: np.ndarray, done: Callable, folder: Path, flow: IFlow
) -> None:
    report = flow.check_identifiability(letters)
    command = ["check", folder / "cells.model", folder / "cells.csv"]
    assert done(*command) == f"{report}\n"
    assert json.loads(done(*command, "--json")) == json.loads(json.dumps(report.to_dict()))


def test_conditions_that_do_not_hold_are_exit_code_1(
    table: pd.DataFrame, run: Callable, folder: Path, tmp_path: Path
) -> None:
    write_table(table[table.condition < "c"], tmp_path / "two.csv")
    result = run("check", folder / "cells.model", tmp_path / "two.csv")
    assert result.exit_code == 1 and "do not hold" in result.stdout


def test_what_was_fitted_is_printed(
    flow_options: list[str], done: Callable, folder: Path, tmp_path: Path
) -> None:
    command = ["fit", folder / "cells.csv", *flow_options, "-o", tmp_path / "model", "--seeds", 2]
    text = done(*command, "--prior", "auto")
    assert "latents: 2" in text and "prior: " in text and "theorem 1" in text
    found = json.loads(done(*command, "--json"))
    assert found["rows"] == 240 and found["latents"] == 2 and found["held_out_nats"] < 0
    table = read_table(folder / "cells.csv")
    for place, row in (("first_row", table.iloc[0]), ("last_row", table.iloc[-1])):
        assert found[place] == ", ".join(f"{n} = {row[n]}" for n in ("condition", "left", "right"))


def test_a_vae_of_mixed_u_goes_through_files(
    data: Dataset,
    table: pd.DataFrame,
    small: list[str],
    done: Callable,
    run: Callable,
    tmp_path: Path,
) -> None:
    write_table(table.assign(day=data.u % 3), tmp_path / "x.parquet")
    options = ["--model", "ivae", "--latent-dim", 1, "--set", "encoder_sees_u=True", *small]
    aux = ["--aux", "condition", "--continuous", "day", "--aux", "age"]
    done("fit", tmp_path / "x.parquet", *aux, *options, "-o", tmp_path / "m")
    vae = IVAE.load(tmp_path / "m")
    assert vae.auxiliary_.names == [["condition"], ["age", "day"]]
    done("transform", tmp_path / "m", tmp_path / "x.parquet", "-o", tmp_path / "z.npy")
    u = table[["condition", "age"]].assign(day=data.u % 3 * 1.0)
    np.testing.assert_allclose(np.load(tmp_path / "z.npy"), vae.transform(data.x, u))
    row = [part for value in ("c", 1.5, 2) for part in ("--aux", value)]
    said = run("sample", tmp_path / "m", *row, "-n", 3, "-o", tmp_path / "s.csv").stderr
    assert said == "identiflow: note: drawn for condition = c, age = 1.5, day = 2.\n"
    frame = pd.DataFrame({"condition": ["c"] * 3, "age": 1.5, "day": 2.0})
    np.testing.assert_allclose(read_table(tmp_path / "s.csv"), vae.sample(frame))


def test_a_vae_takes_its_latents_as_a_setting(
    small: list[str], done: Callable, folder: Path, tmp_path: Path
) -> None:
    options = ["--model", "ivae", "--set", "latent_dim=1", "--aux", "condition", *small]
    options += ["--drop", "age"]
    found = json.loads(done("fit", folder / "cells.csv", *options, "-o", tmp_path / "m", "--json"))
    assert found["latents"] == 1


def test_latents_go_by_their_names(
    data: Dataset, done: Callable, refused: Callable, folder: Path, flow: IFlow, tmp_path: Path
) -> None:
    model, path, out = folder / "cells.model", tmp_path / "z.csv", tmp_path / "x.csv"
    z = pd.DataFrame(flow.transform(data.x), columns=["z0", "z1"])
    write_table(z[["z1", "z0"]].assign(note="text"), path)
    done("invert", model, path, "-o", out)
    np.testing.assert_allclose(read_table(out), data.x, atol=1e-9)
    np.save(tmp_path / "z.npy", z)  # which has no names
    done("invert", model, tmp_path / "z.npy", "-o", out)
    np.testing.assert_allclose(read_table(out), data.x, atol=1e-9)
    np.save(tmp_path / "z.npy", z[["z0"]])
    refused("z with 2 columns, as in fit; got 1", "invert", model, tmp_path / "z.npy", "-o", out)


def test_cells_of_columns_to_ignore_may_be_missing(
    table: pd.DataFrame, flow_options: list[str], done: Callable, folder: Path, tmp_path: Path
) -> None:
    write_table(table.assign(age=table.age.where(table.index != 4)), tmp_path / "t.csv")
    done("fit", tmp_path / "t.csv", *flow_options, "-o", tmp_path / "m")
    path = folder / "cells.csv"
    assert done("score", tmp_path / "m", path) == done("score", folder / "cells.model", path)


def test_a_model_is_written_to_where_a_link_leads(
    flow_options: list[str], done: Callable, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "m").symlink_to(tmp_path / "v1.model")
    done("fit", folder / "cells.csv", *flow_options, "-o", tmp_path / "m")
    assert (tmp_path / "m").is_symlink() and IFlow.load(tmp_path / "v1.model")


def test_a_model_without_u_needs_none(
    flow_options: list[str], done: Callable, folder: Path, tmp_path: Path
) -> None:
    model, path = tmp_path / "m", folder / "cells.csv"
    done("fit", path, *flow_options, "--prior", "unconditional", "-o", model)
    done("score", model, path)
    done("sample", model, "-n", 4, "-o", tmp_path / "s.csv")
    assert len(read_table(tmp_path / "s.csv")) == 4


def commands(group: click.Group) -> list[click.Command]:
    every = group.commands.values()
    return [c for sub in every for c in (commands(sub) if isinstance(sub, click.Group) else [sub])]


@pytest.mark.parametrize("command", commands(app), ids=lambda command: command.name)
def test_every_command_has_an_example(command: click.Command) -> None:
    assert "Example: identiflow " in command.help
    missing = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert missing == []


def test_experiments_run_by_their_names(done: Callable, monkeypatch) -> None:
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


def test_experiments_are_those_of_the_current_folder(
    done: Callable, refused: Callable, checkout: Path, monkeypatch
) -> None:
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


def test_data_sets_are_listed(
    done: Callable, refused: Callable, monkeypatch, tmp_path: Path
) -> None:
    assert "sachs" in done("data", "list")
    monkeypatch.setenv("IDENTIFLOW_DATA", str(tmp_path))
    refused("Expected the file .* found none", "data", "fetch", "sachs")
