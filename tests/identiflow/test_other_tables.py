"""A model and a table that is unlike that of fit: read as in fit, or refused with the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from identiflow.shared.datasets import Dataset
from identiflow.tables import write_table

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def models(
    folder: Path, table: pd.DataFrame, done: Callable, small: list[str]
) -> dict[str, tuple[Path, pd.DataFrame]]:
    """Models of labels and of continuous u, each with its table."""
    options = ["--set", "n_layers=1", *small, "-o", folder / "aged.model"]
    done("fit", folder / "cells.csv", "--continuous", "age", "--columns", "left,right", *options)
    return {"labels": (folder / "cells.model", table), "age": (folder / "aged.model", table)}


def with_cell(column: str, value: Any, row: int = 3) -> Change:
    return lambda table: table.assign(
        **{column: [value if i == row else cell for i, cell in enumerate(table[column])]}
    )


def named(*names: str) -> Change:
    return lambda table: table.set_axis(list(names), axis=1)


NOT_AS_IN_FIT: dict[str, tuple[str, Change, str]] = {
    "another case": (
        "labels",
        with_cell("condition", "C"),
        r"in the column condition that fit saw \('a', .*\); got 'C' in row 4. Is it 'c'\?",
    ),
    "a space": ("labels", with_cell("condition", "c "), "got 'c ' in row 4. Is it 'c'"),
    "an unknown label": (
        "labels",
        with_cell("condition", "zz"),
        "got 'zz' in row 4. Refit with those rows, or drop them",
    ),
    "no such column": ("labels", named("left", "right", "c", "age"), "condition; got .* c, age.$"),
    "accents stored otherwise": (
        "labels",
        named("left", "right", "Condition", "age"),
        "Is it Condition",
    ),
    "names that are data": (
        "labels",
        named("0.5", "1.5", "a", "0"),
        "write a first line with those of all its columns, left, right, condition among them, and",
    ),
    "units": ("labels", with_cell("condition", "-", row=0), "If that line is no data, delete it"),
    "a date of BigQuery": ("age", with_cell("age", "2024-01-31 00:00:00 UTC"), "numbers from 0"),
    "dates for numbers": (
        "age",
        lambda table: table.assign(age=pd.date_range("2024-01-31", periods=len(table))),
        "numbers from 0 to 7.5 in the column age, as in fit; got dates or times, such as '2024-01",
    ),
    "an infinite number": (
        "age",
        with_cell("age", np.inf),
        "finite numbers in u; got 1 infinite in the column age, in row 4",
    ),
    "a word for nothing": (
        "age",
        with_cell("age", "-"),
        "got '-' in row 4. If that says that nothing was measured, leave those rows out",
    ),
}


@pytest.mark.parametrize("case", NOT_AS_IN_FIT)
def test_what_is_not_as_in_fit_is_refused(
    case: str, models: dict[str, Any], refused: Callable, tmp_path: Path
) -> None:
    of, change, message = NOT_AS_IN_FIT[case]
    model, table = models[of]
    write_table(change(table), tmp_path / "t.csv")
    refused(message, "score", model, tmp_path / "t.csv")


def test_combinations_are_named_by_their_columns(
    table: pd.DataFrame, done: Callable, refused: Callable, small: list[str], tmp_path: Path
) -> None:
    table = table.assign(side=np.where(table.condition < "d", "l", "r"))
    write_table(table, tmp_path / "t.csv")
    options = ["--aux", "condition", "--aux", "side", "--drop", "age", "--set", "n_layers=1"]
    done("fit", tmp_path / "t.csv", *options, *small, "-o", tmp_path / "m")
    for cell, message in {"L": "column side .* 'L' in row 1. Is it 'l'", "r": "got 'a, r'"}.items():
        write_table(with_cell("side", cell, row=0)(table), tmp_path / "t.csv")
        refused(message, "score", tmp_path / "m", tmp_path / "t.csv")


def test_a_value_of_u_that_is_typed_has_no_row(
    folder: Path, refused: Callable, tmp_path: Path
) -> None:
    message = r"that fit saw \(.*\); got 'C'. Is it 'c'"
    refused(message, "sample", folder / "cells.model", "--aux", "C", "-o", tmp_path / "x.csv")


def test_what_several_values_of_u_are_taken_for_is_said(
    table: pd.DataFrame, done: Callable, run: Callable, small: list[str], tmp_path: Path
) -> None:
    write_table(table, tmp_path / "t.csv")
    options = ["--continuous", "age", "--aux", "condition", "--set", "n_layers=1", *small]
    done("fit", tmp_path / "t.csv", *options, "-o", tmp_path / "m")
    result = run("sample", tmp_path / "m", "--aux", "a", "--aux", 0.5, "-o", tmp_path / "x.csv")
    assert result.stderr == "identiflow: note: drawn for condition = a, age = 0.5.\n"


def test_latents_of_another_model_are_refused(
    folder: Path, refused: Callable, done: Callable, tmp_path: Path
) -> None:
    latents = pd.DataFrame(np.ones((3, 3)), columns=["z0", "z1", "z2"])
    write_table(latents, tmp_path / "z.csv")
    command = ["invert", folder / "cells.model", tmp_path / "z.csv", "-o", tmp_path / "x.csv"]
    refused("latents z0, z1 as columns, .*; got z0, z1, z2", *command)
    write_table(latents.rename(columns={"z2": "note"}), tmp_path / "z.csv")
    done(*command)


def test_a_name_that_a_model_takes_and_others_share_is_remarked_on(
    folder: Path, table: pd.DataFrame, run: Callable, tmp_path: Path
) -> None:
    write_table(table.set_axis(["left", "right", "condition", "left"], axis=1), tmp_path / "t.csv")
    result = run("score", folder / "cells.model", tmp_path / "t.csv")
    assert (
        result.exit_code == 0
        and result.stdout == run("score", folder / "cells.model", folder / "cells.csv").stdout
    )
    assert "2 columns are called left, here left, left.1; taken: left." in result.stderr


@pytest.mark.parametrize("ending", [".csv", ".npy"])
def test_columns_that_go_by_their_place_are_named_if_some_are_left_out(
    ending: str, data: Dataset, done: Callable, run: Callable, small: list[str], tmp_path: Path
) -> None:
    path, model = tmp_path / f"t{ending}", tmp_path / "m"
    header = ["--no-header"] if ending == ".csv" else []

    def write(values: np.ndarray) -> None:
        if ending == ".npy":
            np.save(path, values)
        else:
            pd.DataFrame(values).to_csv(path, index=False, header=False)

    rows = np.column_stack([data.u, data.x])
    write(rows)
    done("fit", path, "--labels", "x0", *header, "--set", "n_layers=1", *small, "-o", model)
    assert run("score", model, path, *header).stderr == ""
    write(np.insert(rows, 1, np.arange(len(rows)), axis=1))
    said = run("score", model, path, *header).stderr
    assert "the model takes x0, x1, x2, and leaves out x3. If the table of fit had oth" in said
