"""A last row that may be no data is remarked on, by every command that reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from identiflow.footer import doubts_of_last
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
    "",
    " ",
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


@pytest.mark.parametrize("word", ["s40", "totally", "sum of parts", "x", "7"])
def test_other_words_are_none(word: str, tmp_path: Path) -> None:
    write_table(with_last(word), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").attrs["doubts"] == []


def test_a_word_that_others_have_is_none(tmp_path: Path) -> None:
    write_table(TABLE.assign(u=np.array(["max", "min"])[np.arange(N) % 2]), tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").attrs["doubts"] == []
    assert doubts_of_last(pd.DataFrame({"u": ["a", "Total"]})) == []
