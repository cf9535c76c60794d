"""Rows that may be no data are remarked on, by every command that reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identiflow.no_data import doubts_of_rows, doubts_of_totals
from identiflow.tables import read_table, write_table

N = 40
X = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 2)), columns=["left", "right"])
TABLE = X.assign(u=np.array(["a", "b"])[np.arange(N) % 2], who=[f"s{i}" for i in range(N)])
TOTALS = [
    "Total",
    "Totals:",
    "Grand Total",
    "Sum",
    "Summe",
    "Average",
    "Mean",
    "Mittelwert",
    "CV (%)",
    "n = 40",
    "Average (n=60)",
    "% CV",
    "Gesamtergebnis",
    "Totale complessivo",
    "总计",
    "Std. Dev.",
    "Std Error",
    "Geometric Mean",
    "Mean ± SD",
    "Mean+SD",
    "avg.",
    "Totaal",
    "Stabw",
    "T: Mean",
    "Column Total",
    "Total wash",
    "Mean of all",
    "Total Result",
    "Total général",
    "Standardabweichung",
    "",
    " ",
]
SEVERAL = [
    ["Mean", "SD"],
    ["", "Mean", "SD"],
    ["AVERAGE", "STDEV", "SEM", "n=40"],
    ["count", "mean", "std", "min", "25%", "50%", "75%", "max"],
]


def with_last(word: str, column: str = "who") -> pd.DataFrame:
    last = pd.concat([TABLE, TABLE.mean(numeric_only=True).to_frame().T], ignore_index=True)
    last.loc[N, ["u", "who"]] = ["a", "s40"]
    last.loc[N, column] = word
    return last


@pytest.mark.parametrize("word", TOTALS)
def test_a_total_is_remarked_on(word: str, taken: Callable, tmp_path: Path) -> None:
    write_table(with_last(word), tmp_path / "t.csv")
    (said,) = taken(tmp_path / "t.csv", "--aux", "u", "--drop", "who").said
    assert "Row 41, the last, has " in said and "in the column who. If it is a total" in said
    assert (repr(word) if word.strip() else "no cell") in said


@pytest.mark.parametrize("words", SEVERAL, ids=" ".join)
@pytest.mark.parametrize("end", ["first", "last"])
def test_several_are_remarked_on(
    words: list[str], end: str, taken: Callable, tmp_path: Path
) -> None:
    rows = pd.DataFrame({"left": 0.5, "right": 1.5, "u": "a", "who": words})
    both = [rows, TABLE] if end == "first" else [TABLE, rows]
    write_table(pd.concat(both), tmp_path / "t.csv")
    said = taken(tmp_path / "t.csv", "--aux", "u", "--drop", "who").said
    first = 1 if end == "first" else N + 1
    rows = ", ".join(str(first + i) for i in range(len(words)))
    assert said[0].startswith(f"identiflow: warning: Rows {rows} have ")
    assert repr(words[-1]) in said[0] and len(said) == 1


def test_means_of_groups_are_remarked_on_between_names_of_rows(tmp_path: Path) -> None:
    who = [f"s{i}" if i % 5 else "Mean" for i in range(N)]
    write_table(TABLE.assign(who=who), tmp_path / "t.csv")
    (said,) = read_table(tmp_path / "t.csv").attrs["doubts"]
    assert said.startswith("Rows 1, 6, 11, 16, 21, 26, 31, 36 have 'Mean' in the column who. If")


BETWEEN = {
    "of groups": [f"s{i % 4}" if i % 5 else "Total" for i in range(N)],
    "beside empty cells": ["" if i % 8 else "Total" for i in range(N)],
    "means beside empty cells": ["" if i % 8 else "mean" for i in range(N)],
    "beside one word": ["obs" if i % 8 else "Sum" for i in range(N)],
    "of two sizes": ["obs" if i % 4 else ["Total", "Grand total"][i == 32] for i in range(N)],
    "beside their group": [f"{'abcd'[i // 10]}{' Total' * (i % 10 == 9)}" for i in range(N)],
    "before their group": [f"{'Sum of ' * (i % 10 == 9)}{'abcd'[i // 10]}" for i in range(N)],
    "averages of groups": [f"{'abcd'[i // 10]}{' Average' * (i % 10 == 9)}" for i in range(N)],
    "of what is nowhere else": ["Total 2024" if i in (3, 20) else "abcd"[i % 4] for i in range(N)],
    "means with spread": ["Mean ± SD" if i in (3, 20) else "abcd"[i % 4] for i in range(N)],
    "at the end, too": [["", "Gesamt"][i in (7, 20, N - 1)] for i in range(N)],
}


@pytest.mark.parametrize("case", BETWEEN)
def test_totals_between_rows_are_remarked_on(case: str, taken: Callable, tmp_path: Path) -> None:
    """As those of groups, in the column of notes that CDC WONDER leaves nearly empty."""
    words = pd.Series(BETWEEN[case])
    write_table(TABLE.assign(who=words), tmp_path / "t.csv")
    (said,) = taken(tmp_path / "t.csv", "--aux", "u", "--drop", "who").said
    rows = [i + 1 for i, word in enumerate(words) if re.search("[tT]otal|[mM]ean|Sum|Ges|Av", word)]
    assert f"Rows {', '.join(map(str, rows))} have " in said
    assert "in the column who. If they are totals" in said


def test_rows_behind_a_comment_sign_are_remarked_on(taken: Callable, tmp_path: Path) -> None:
    who = [f"{'#' * (i in (3, 7))}s{i}" for i in range(N)]
    write_table(TABLE.assign(who=who)[["who", "left", "right", "u"]], tmp_path / "t.csv")
    (said,) = taken(tmp_path / "t.csv", "--aux", "u", "--drop", "who").said
    assert "2 rows begin with #, the first row 4 with '#s3', and are taken as all" in said
    write_table(TABLE.assign(who=[f"#{i}" for i in range(N)])[["who", "left"]], tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").attrs["doubts"] == []


def test_many_words_are_labels(tmp_path: Path) -> None:
    words = ["s1"] * 20 + ["mean"] * 20
    write_table(TABLE.assign(who=words), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").attrs["doubts"] == []


def test_a_total_of_a_group_in_another_column_is_one(tmp_path: Path) -> None:
    who = [f"s{i}" if i % 10 < 9 else f"{'ab'[i % 2]} Max" for i in range(N)]
    write_table(TABLE.assign(who=who), tmp_path / "t.csv")
    (said,) = read_table(tmp_path / "t.csv").attrs["doubts"]
    assert said.startswith("Rows 10, 20, 30, 40 have 'b Max' in the column who. If they are")


@pytest.mark.parametrize("words", ["total protein, albumin", "T4 total, T4 free", "max, normal"])
def test_labels_with_such_words_in_them_are_labels(words: str, tmp_path: Path) -> None:
    labels = words.split(", ")
    write_table(TABLE.assign(u=[labels[i % 2] for i in range(N)]), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").attrs["doubts"] == []


@pytest.mark.parametrize("word", ["s40", "totally", "summary", "x", "7"])
def test_other_words_are_none(word: str, tmp_path: Path) -> None:
    table = with_last(word)
    table.loc[N, ["left", "right"]] = [0.7, -0.3]
    write_table(table, tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").attrs["doubts"] == []


@pytest.mark.parametrize("of", ["sum", "mean"])
@pytest.mark.parametrize("digits", [2, 9])
@pytest.mark.parametrize("word", ["Alles", "计", "s40"])
def test_sums_and_means_are_remarked_on_whatever_they_are_called(
    word: str, digits: int, of: str, taken: Callable, tmp_path: Path
) -> None:
    shifted = TABLE.assign(left=X.left + 3, right=X.right * 40 - 99)
    last = getattr(shifted[["left", "right"]], of)().round(digits).to_frame().T
    write_table(pd.concat([shifted, last.assign(u="a", who=word)]), tmp_path / "t.csv")
    (said,) = taken(tmp_path / "t.csv", "--aux", "u", "--drop", "who").said
    assert f"Row 41, the last, has the {of} of the rows above in 2 columns. If it is no" in said


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(6, 60))
def test_a_row_of_the_data_is_no_sum(seed: int, columns: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.normal(size=columns) * 3, 1, size=(rows, columns)).round(3)
    assert doubts_of_rows(pd.DataFrame(values)) == []


def test_a_word_that_others_have_is_none(tmp_path: Path) -> None:
    write_table(TABLE.assign(u=np.array(["max", "min"])[np.arange(N) % 2]), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").attrs["doubts"] == []
    assert doubts_of_totals(pd.DataFrame({"u": ["a", "Total"]})) == []
    assert doubts_of_totals(pd.DataFrame({"u": [], "x": []}, dtype=str)) == []


UNITS = {
    "dates": ("UTC", [f"2024-01-{i % 28 + 1:02}" for i in range(N)]),
    "times": ("s", [f"{i % 24}:{i:02}" for i in range(N)]),
    "numbers": ("count", [str(i) for i in range(N)]),
}


@pytest.mark.parametrize("case", UNITS)
def test_a_line_of_units_is_seen_in_columns_that_are_not_read(
    case: str, taken: Callable, tmp_path: Path
) -> None:
    unit, cells = UNITS[case]
    first = pd.DataFrame({"left": [1.0], "right": [0.001], "u": ["a"], "who": [unit]})
    write_table(pd.concat([first, TABLE.assign(who=cells)]), tmp_path / "t.csv")
    said = " ".join(taken(tmp_path / "t.csv", "--aux", "u", "--drop", "who").said)
    assert f"Row 1 has '{unit}' in the column who, where others have numbers or dates. If" in said
    write_table(TABLE.assign(who=cells), tmp_path / "t.csv")
    assert not any("Row 1" in line for line in taken(tmp_path / "t.csv", "--aux", "u").said)


def test_a_first_row_without_a_label_is_remarked_on_as_a_last_one_is(tmp_path: Path) -> None:
    first = pd.DataFrame({"left": [1.0], "right": [0.001], "u": [""], "who": ["s0"]})
    write_table(pd.concat([first, TABLE]), tmp_path / "t.csv")
    (said,) = read_table(tmp_path / "t.csv").attrs["doubts"]
    assert said.startswith(
        "Row 1 has no cell in the column u. If it is a line of units, or a total"
    )


def test_numbers_of_columns_below_their_names_are_remarked_on(tmp_path: Path) -> None:
    table = X.assign(u=1.5)
    write_table(
        pd.concat([pd.DataFrame([[1, 2, 3]], columns=table.columns), table]), tmp_path / "t.csv"
    )
    (said,) = read_table(tmp_path / "t.csv").attrs["doubts"]
    assert said == "Row 1 has the numbers 1 to 3. If they number columns, delete it."
    write_table(table, tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").attrs["doubts"] == []


@pytest.mark.parametrize("row", [0, N])
@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_a_row_that_alone_misses_a_cell_is_named(
    row: int, ending: str, taken: Callable, tmp_path: Path
) -> None:
    """As counts that Biopac writes below the names, where time has none."""
    time = np.arange(N) / 100
    counts = pd.DataFrame({"time": [np.nan], "left": 120.0, "right": 120.0, "u": "a"})
    table = TABLE.assign(time=time).drop(columns="who")
    parts = [table[:row], counts, table[row:]]
    write_table(pd.concat([p for p in parts if len(p)])[["time", *X, "u"]], tmp_path / f"t{ending}")
    said = taken(tmp_path / f"t{ending}", "--aux", "u", "--drop", "time").said[0]
    assert (
        f"Row {row + 1}{', the last,' if row else ''} alone has no cell in time. If it is" in said
    )
    assert "units, counts or a total, delete it" in said
