"""What `fit` takes columns of u for is said, declared by options, and the same afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from identiflow.tables import write_table

N = 60
X = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 2)), columns=["left", "right"])
DAYS = pd.date_range("2024-01-31", periods=N, freq="D")
LABELS = np.array(list("abcdef"))[np.arange(N) % 6]
MOMENTS: dict[str, Any] = {
    "days": DAYS.strftime("%Y-%m-%d"),
    "times": DAYS.strftime("%Y-%m-%d %H:%M:%S"),
    "of BigQuery": DAYS.strftime("%Y-%m-%d %H:%M:%S UTC"),
    "in UTC": DAYS.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "in a zone": DAYS.tz_localize("UTC").tz_convert("Asia/Tokyo").astype(str),
}


@pytest.fixture
def fitted(done: Callable, small: list[str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What `fit` prints of a table with these columns of u."""

    def fit(columns: dict[str, Any], *options: str) -> dict[str, Any]:
        write_table(X.assign(**columns), tmp_path / "t.csv")
        model = tmp_path / "t.model"
        return json.loads(done("fit", tmp_path / "t.csv", *options, *small, "--json", "-o", model))

    return fit


def test_what_u_was_taken_for_is_printed(fitted: Callable) -> None:
    columns = {"c": LABELS, "side": np.repeat(["l", "r"], N // 2), "dose": np.linspace(0, 5, N)}
    said = fitted(columns, "--aux", "c", "--aux", "side", "--aux", "dose")
    assert said["u"] == "c and side (12 labels), dose (continuous, 0 to 5)"
    said = fitted({"c": np.arange(N) % 6}, "--continuous", "c")
    assert said["u"] == "c (continuous, 0 to 5)"


@pytest.mark.parametrize("form", MOMENTS)
def test_dates_are_continuous_if_they_are_said_to_be(
    form: str, fitted: Callable, done: Callable, tmp_path: Path
) -> None:
    said = fitted({"day": MOMENTS[form]}, "--continuous", "day")
    first, last = (int(day.value) for day in DAYS[[0, -1]])
    assert said["u"] == f"day (continuous, {first:g} to {last:g})"
    expected = done("score", tmp_path / "t.model", tmp_path / "t.csv")
    write_table(X.assign(day=MOMENTS["days"]), tmp_path / "again.csv")
    assert done("score", tmp_path / "t.model", tmp_path / "again.csv") == expected


def test_floats_that_may_be_labels_are_remarked_on(
    run: Callable, small: list[str], tmp_path: Path
) -> None:
    write_table(X.assign(c=np.arange(N) % 6 + 0.0), tmp_path / "t.csv")
    arguments = ["fit", tmp_path / "t.csv", *small, "-o", tmp_path / "t.model"]
    result = run(*arguments, "--aux", "c")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("\n") == 1
    assert "column 'c', has 6 different values" in result.stderr and "--labels" in result.stderr
    assert run(*arguments, "--labels", "c").stderr == run(*arguments, "--continuous", "c").stderr


@pytest.mark.parametrize("missing", ["nan", "NaT"])
def test_no_date_is_no_value_of_u(
    missing: str, fitted: Callable, refused: Callable, tmp_path: Path
) -> None:
    fitted({"day": np.linspace(0, 1, N)}, "--continuous", "day")
    out = tmp_path / "s.csv"
    model = tmp_path / "t.model"
    refused("missing in the column day", "sample", model, "--aux", missing, "-n", 1, "-o", out)
    assert not out.exists()


# From here on fits are stopped by `taken`, which stays for the whole module.


def test_dates_in_another_order_are_refused_with_the_way(taken: Callable, tmp_path: Path) -> None:
    write_table(X.assign(day=DAYS.strftime("%d/%m/%Y")), tmp_path / "t.csv")
    (said,) = taken(tmp_path / "t.csv", "--continuous", "day").said
    assert (
        "or dates as 2024-01-31, in the column day of continuous u; got the date '31/01/20" in said
    )


@pytest.mark.parametrize(
    "cell", ["2024-02-30", "0000-00-00", "12.03.2024", "unknown", "2024-13-01"]
)
@pytest.mark.parametrize("time", ["", "T06:30:00+02:00"])
def test_a_cell_that_is_no_date_is_named_among_dates(
    cell: str, time: str, taken: Callable, tmp_path: Path
) -> None:
    days = DAYS.strftime("%Y-%m-%d") + time
    table = X.assign(day=days.where(np.arange(N) != 41, cell))
    write_table(table, tmp_path / "t.csv")
    (said,) = taken(tmp_path / "t.csv", "--continuous", "day").said
    assert "dates as 2024-01-31, in the column day of continuous u; got " in said
    assert f"'{cell}' in row 42" in said


NO_DATA = {0: "units below the names", N - 1: "a total or a comment"}


@pytest.mark.parametrize("row", NO_DATA)
@pytest.mark.parametrize("kind", ["numbers", "days"])
def test_a_line_that_is_no_data_is_named_as_such(
    kind: str, row: int, taken: Callable, tmp_path: Path
) -> None:
    values = MOMENTS["days"] if kind == "days" else np.linspace(0, 1, N).astype(str)
    table = X.assign(time=np.where(np.arange(N) == row, "second", values))
    write_table(table, tmp_path / "t.csv")
    said = taken(tmp_path / "t.csv", "--continuous", "time").said[-1]
    assert f"got 'second' in row {row + 1}. If that line is {NO_DATA[row]}" in said


def test_an_infinite_number_is_named_by_its_line(taken: Callable, tmp_path: Path) -> None:
    table = X.assign(u=LABELS)
    table.loc[4, "right"] = -np.inf
    write_table(table, tmp_path / "t.csv")
    for options in ("--aux u", "--aux right", "--continuous right", "--labels right"):
        (said,) = taken(tmp_path / "t.csv", *options.split()).said
        part = "x" if options == "--aux u" else "u"
        assert f"finite numbers in {part}; got 1 infinite in the column right, in row 5" in said


@pytest.mark.parametrize("ending", [".parquet", ".npz"])
def test_numbers_stored_as_text_are_named_as_such(
    ending: str, taken: Callable, tmp_path: Path
) -> None:
    for decimals in (3, 5):  # three may follow a separator of thousands
        table = X.assign(u=LABELS, right=X["right"].map(f"{{:.{decimals}f}}".format))
        write_table(table, tmp_path / f"t{ending}")
        (said,) = taken(tmp_path / f"t{ending}", "--aux", "u").said
        assert "in the column right, row 1. All of its cells are numbers that are stored as" in said


@pytest.mark.parametrize("span", ["left:right", "right:left"])
def test_columns_from_one_to_another_in_either_direction(
    span: str, taken: Callable, tmp_path: Path
) -> None:
    write_table(X.assign(u=LABELS), tmp_path / "t.csv")
    x, _, said = taken(tmp_path / "t.csv", "--aux", "u", "--columns", span)
    assert list(x.columns) == ["left", "right"] and said == []


SPELT = {
    "codes": (
        ["250.1", "250.10", "250.2"],
        "250.1 and 250.10. If they are two, write them as words",
    ),
    "wells": (["1E3", "1000", "1E4"], "1E3 and 1000. If they are two"),
    "doses": (["0.1", "0.5", "1.5"], ""),
}


@pytest.mark.parametrize("case", SPELT)
def test_two_ways_to_write_a_number_are_remarked_on_where_it_is_a_label(
    case: str, taken: Callable, tmp_path: Path
) -> None:
    cells, message = SPELT[case]
    X.assign(u=np.array(cells)[np.arange(N) % 3]).to_csv(tmp_path / "t.csv", index=False)
    said = taken(tmp_path / "t.csv", "--labels", "u").said
    assert [message in line for line in said] == [True] * bool(message)


def test_days_as_whole_numbers_are_remarked_on_where_they_are_continuous(
    taken: Callable, tmp_path: Path
) -> None:
    X.assign(day=DAYS.strftime("%Y%m%d")).to_csv(tmp_path / "t.csv", index=False)
    (said,) = taken(tmp_path / "t.csv", "--continuous", "day").said
    assert "The column day of u may be days" in said and "Write days as 2024-01-31" in said
