"""Rows in words count from 1 on the command line, whoever speaks of them, and from 0 in Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from identiflow.iflow import IFlow
from identiflow.shared.inputs.remarks import InputWarning
from identiflow.tables import write_table

N = 60
ROW = 6  # counted from 0: the seventh
MODEL = ["--set", "max_steps=3", "--set", "n_layers=1", "--set", "hidden=(8,)"]
VAE = ["--model", "ivae", "--latent-dim", 1, "--set", "max_steps=3", "--set", "hidden=(8,)"]


@pytest.fixture
def table() -> pd.DataFrame:
    x = np.random.default_rng(0).normal(size=(N, 3)) * (1 + np.arange(N) % 10)[:, None]
    letters = np.array(list("abcdefghij"))[np.arange(N) % 10]
    return pd.DataFrame(x, columns=["left", "right", "up"]).assign(u=letters)


def said(run: Callable, tmp_path: Path, table: pd.DataFrame, *options: object) -> str:
    write_table(table, tmp_path / "t.csv")
    path = tmp_path / "t.csv"
    return run("fit", path, "--aux", "u", *options, "-o", tmp_path / "m").stderr


@pytest.mark.parametrize("value", [-9999, 1e30, -7999])
def test_a_value_far_from_all_others(
    value: float, table: pd.DataFrame, run: Callable, tmp_path: Path
) -> None:
    table.loc[ROW, "right"] = value
    assert f"row {ROW + 1} has the value {value:g} in column 1" in said(
        run, tmp_path, table, *MODEL
    )
    with pytest.warns(InputWarning, match=re.escape(f"row {ROW} has the value {value:g} in col")):
        IFlow(n_layers=1, hidden=(8,), max_steps=3).fit(table[["left", "right", "up"]], table.u)


def test_a_value_that_is_too_large(table: pd.DataFrame, run: Callable, tmp_path: Path) -> None:
    table.loc[ROW, "right"] = -1.7e308
    assert f"the first at ({ROW + 1}, 1), in column 'right'" in said(run, tmp_path, table)


@pytest.mark.parametrize("likelihood", ["poisson", "bernoulli"])
def test_a_value_that_a_likelihood_has_none_for(
    likelihood: str, table: pd.DataFrame, run: Callable, tmp_path: Path
) -> None:
    counts = table.assign(
        **{name: np.arange(N) * k % 2 for k, name in ((1, "left"), (3, "right"), (1, "up"))}
    ).astype({"right": float})
    counts.loc[ROW, "right"] = 0.5
    words = said(run, tmp_path, counts, *VAE, "--likelihood", likelihood, "--columns", "left,right")
    assert f"got 0.5 in row {ROW + 1}, column 1 (columns count from 0)" in words


def test_a_label_that_fit_has_not_seen(table: pd.DataFrame, run: Callable, tmp_path: Path) -> None:
    said(run, tmp_path, table, *MODEL)
    table.loc[ROW, "u"] = "z"
    write_table(table, tmp_path / "new.csv")
    assert f"got 'z' in row {ROW + 1}." in run("score", tmp_path / "m", tmp_path / "new.csv").stderr


# New rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["score", "transform"])
@pytest.mark.parametrize("value", [-999, 9999, 1e30, 12345.6, -99])
def test_new_rows_far_from_those_of_fit_are_named(
    command: str, value: float, table: pd.DataFrame, run: Callable, tmp_path: Path
) -> None:
    said(run, tmp_path, table, *MODEL)
    write_table(table, tmp_path / "new.csv")
    output = ["-o", tmp_path / "z.csv"] if command == "transform" else []
    assert run(command, tmp_path / "m", tmp_path / "new.csv", *output).stderr == ""
    table.loc[ROW, "up"] = value
    write_table(table, tmp_path / "new.csv")
    words = run(command, tmp_path / "m", tmp_path / "new.csv", *output).stderr
    assert f"Far from all rows of fit: row {ROW + 1} has the value {value:g} in column 2" in words


def test_methods_warn_of_new_rows_far_from_those_of_fit(table: pd.DataFrame) -> None:
    x, u = table[["left", "right", "up"]].to_numpy(), table.u
    flow = IFlow(n_layers=1, hidden=(8,), max_steps=3).fit(x, u)
    far = x.copy()
    far[ROW, 2] = -999
    for call in (flow.transform, flow.log_prob, flow.score):
        call(x, u)
        with pytest.warns(InputWarning, match=f"row {ROW} has the value -999 in column 2 of x, "):
            call(far, u)
    assert len(flow.transform(x[:0])) == 0
    far[ROW, 2] = 20 * x[:, 2].std()  # far, but as people measure
    flow.transform(far)


# Marks of decimals --------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, ROW, N - 1])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".txt"])
@pytest.mark.parametrize("cell", ["1.5", "1.234", "-0.5"])
def test_a_point_among_decimal_commas_is_named_by_its_row(
    cell: str, ending: str, row: int, table: pd.DataFrame, taken: Callable, tmp_path: Path
) -> None:
    words = table.round(2).astype(str).replace(r"\.", ",", regex=True)
    words.loc[row, "right"] = cell
    path = tmp_path / f"t{ending}"
    words.to_csv(path, sep=";" if ending == ".csv" else "\t", index=False)
    (message,) = taken(path, "--aux", "u").said
    assert f"got '{cell}' in the column right, row {row + 1}. Write all numbers with a" in message
