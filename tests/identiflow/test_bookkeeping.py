"""No column that counts or names rows is fitted in silence, and no measurement left out so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identiflow.bookkeeping import judged

N = 40
RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(N, 2)), columns=["left", "right"])
TABLE = X.assign(u=np.array(list("abcd"))[np.arange(N) % 4])
ROW, PLACE = np.arange(N), RANDOM.permutation(N)
FILTERED = np.sort(RANDOM.choice(5 * N, N, replace=False))

# Name, cells and the words of the error.
CERTAIN: dict[str, tuple[str, Any, str]] = {
    "of pandas": ("", ROW, "row numbers"),
    "of R": ("", ROW + 1, "row numbers"),
    "filtered": ("", FILTERED, "row numbers"),
    "shuffled": ("", PLACE, "row numbers"),
    "filtered and shuffled": ("", FILTERED[PLACE], "row numbers"),
    "backwards": ("", ROW[::-1], "row numbers"),
    "of a clock, without a name": ("", ROW / 7, "row numbers or names"),
    "written twice": ("Unnamed: 0.1", FILTERED, "row numbers"),
    "from read.csv": ("X", FILTERED, "ids"),
    "of pyarrow": ("__index_level_0__", PLACE, "row numbers"),
    "numbered, by a name": ("time", ROW, "row numbers"),
    "a clock": ("time", ROW * 0.02, "a count in equal steps"),
    "id": ("id", PLACE + 1000, "ids"),
    "Id": ("Id", FILTERED, "ids"),
    "ID": ("ID", FILTERED[PLACE], "ids"),
    "index": ("index", PLACE, "ids"),
    "row": ("row", PLACE, "ids"),
    "row.names": ("row.names", PLACE, "ids"),
    "sampleID": ("sampleID", PLACE, "ids"),
    "subject_id": ("subject_id", PLACE, "ids"),
    "patient": ("Patient", PLACE, "ids"),
    "floats": ("id", PLACE * 1.0, "ids"),
    "a constant": ("gain", np.full(N, 3.5), "a constant"),
    "ones": ("intercept", np.ones(N, dtype=int), "a constant"),
}
MAYBE: dict[str, tuple[str, Any, str]] = {
    "a key": ("code", PLACE + 7, "whole numbers that are all different"),
    "filtered, by a name": ("cell", FILTERED, "in the order of the rows"),
    "times": ("t", np.cumsum(RANDOM.uniform(0.1, 1, N)), "in the order of the rows, as times are"),
    "times of three rows": ("t", ROW // 3 * 0.1, "in the order of the rows, as times are"),
    "ids of groups": ("subject_id", PLACE % 5, "ids by the name"),
    "sessions": ("session", PLACE % 5, "ids by the name"),
    "blocks": ("block", ROW // 5, "in the order of the rows"),
    "epochs": ("s", 0.004 * (ROW % 10) - 0.02, "counting in equal steps, as times do"),
    "counted in groups": ("step", ROW % 8, "counting the rows"),
    "dates": ("when", 20240101 + RANDOM.integers(0, 28, N), "dates"),
}
MEASURED: dict[str, tuple[str, Any]] = {
    "fractions": ("width", RANDOM.normal(size=N)),
    "an index of refraction": ("refractive_index", 1.3 + RANDOM.uniform(size=N)),
    "fluid": ("fluid", RANDOM.poisson(3, N)),
    "counts": ("spikes", RANDOM.poisson(5, N)),
    "a place": ("X", RANDOM.integers(0, 9, N)),
    "flags": ("flag", RANDOM.integers(0, 2, N).astype(bool)),
    "years": ("year", 2000 + RANDOM.integers(0, 9, N)),
    "large counts": ("photons", RANDOM.integers(0, 30, N) * 1000),
}


def write(folder: Path, name: str, cells: Any, ending: str = ".csv") -> Path:
    table = TABLE.copy()
    table.insert(0, name, cells)
    path = folder / f"t{ending}"
    table.to_parquet(path) if ending == ".parquet" else table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("case", CERTAIN)
def test_what_is_no_measurement_is_refused(case: str, taken: Callable, tmp_path: Path) -> None:
    name, cells, words = CERTAIN[case]
    path, name = write(tmp_path, name, cells), name or "Unnamed: 0"
    refused = taken(path, "--aux", "u")
    assert refused.x is None and f"got {words}" in refused.said[0]
    assert f"({name})" in refused.said[0] and "--drop " in refused.said[0]
    without = taken(path, "--aux", "u", "--drop", name)
    assert without.said == [] and list(without.x.columns) == ["left", "right"]
    if case not in ("a constant", "ones"):
        insisted = taken(path, "--aux", "u", "--columns", f"left,{name}")
        assert insisted.said == [] and list(insisted.x.columns) == [name, "left"]


@pytest.mark.parametrize("case", MAYBE)
def test_what_may_be_none_is_warned_of_in_one_line(
    case: str, taken: Callable, tmp_path: Path
) -> None:
    name, cells, words = MAYBE[case]
    path = write(tmp_path, name, cells)
    found = taken(path, "--aux", "u")
    assert list(found.x.columns) == [name, "left", "right"]
    assert len(found.said) == 1 and f"Taken for measurements: {words} ({name})" in found.said[0]
    assert f"--drop {name}" in found.said[0]
    assert taken(path, "--aux", "u", "--columns", f"{name},left,right").said == []


@pytest.mark.parametrize("case", MEASURED)
def test_measurements_are_taken_without_a_word(case: str, taken: Callable, tmp_path: Path) -> None:
    name, cells = MEASURED[case]
    found = taken(write(tmp_path, name, cells), "--aux", "u")
    assert found.said == [] and list(found.x.columns) == [name, "left", "right"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_words_and_dates_are_refused_by_name(ending: str, taken: Callable, tmp_path: Path) -> None:
    days = pd.Timestamp("2024-02-03") + pd.to_timedelta(PLACE, "D")
    for cells, got in [(days, "the date '2024-"), ([f"g{i}" for i in PLACE], "got 'g")]:
        said = taken(write(tmp_path, "note", cells, ending), "--aux", "u").said
        assert got in said[0] and "in the column note, row 1" in said[0] and "--drop" in said[0]


def test_an_index_of_parquet_with_a_name_is_a_column(taken: Callable, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    TABLE.set_index("left").to_parquet(path)
    assert list(taken(path, "--aux", "u").x.columns) == ["left", "right"]
    TABLE[::-1].to_parquet(path)
    assert taken(path, "--aux", "u").x.index.tolist() == list(range(N))


def test_whole_numbers_in_most_columns_are_what_was_measured(
    taken: Callable, tmp_path: Path
) -> None:
    many = pd.DataFrame(RANDOM.permuted(np.tile(np.arange(9 * N), (4, 1)), axis=1)[:, :N].T)
    many.columns = list("pqrs")
    many.assign(u=TABLE["u"]).to_csv(tmp_path / "t.csv", index=False)
    assert taken(tmp_path / "t.csv", "--aux", "u").said == []


STARTS = st.integers(-3, 10**6)


@given(st.sampled_from(["sorted", "shuffled"]), STARTS, st.integers(5, 60), st.integers(1, 9))
def test_row_numbers_of_any_kind_are_found(order: str, start: int, rows: int, gap: int) -> None:
    rng = np.random.default_rng([abs(start), rows, gap])
    cells = start + np.sort(rng.choice(rows * gap, rows, replace=False))
    cells = cells if order == "sorted" else rng.permutation(cells)
    for name in ("Unnamed: 0", "id", "ROW", "sample_id"):
        finding = judged(name, cells)
        assert finding is not None and finding.certain
    assert judged("depth", cells) is not None


@given(st.integers(0, 9999), st.integers(10, 60), st.sampled_from(["normal", "poisson"]))
def test_measurements_are_none(seed: int, rows: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.normal(size=rows) if kind == "normal" else rng.poisson(2, rows)
    assert judged("depth", cells) is None


# Choosing columns ---------------------------------------------------------------------------------

WIDE = pd.DataFrame(
    RANDOM.normal(size=(N, 6)), columns=["g1", "g2", "g,3", "h1", "h2", "h[3]"]
).assign(u=TABLE["u"], id=PLACE)
CHOICES: dict[str, tuple[list[str], list[str]]] = {
    "a list": (["--columns", "g1,h2"], ["g1", "h2"]),
    "a list with a space": (["--columns", "h2, g1"], ["g1", "h2"]),
    "one by one": (["--columns", "g1", "--columns", "h1"], ["g1", "h1"]),
    "a comma in a name": (["--columns", "g,3", "--columns", "h1"], ["g,3", "h1"]),
    "a quoted name": (["--columns", 'h1,"g,3"'], ["g,3", "h1"]),
    "a pattern": (["--columns", "g*"], ["g1", "g2", "g,3"]),
    "brackets in a name": (["--columns", "h[3],g1"], ["g1", "h[3]"]),
    "a range": (["--columns", "g2:h1"], ["g2", "g,3", "h1"]),
    "less some": (["--columns", "g*", "--drop", "g1"], ["g2", "g,3"]),
    "all but u": (["--columns", "*", "--drop", "id"], list(WIDE.columns[:6])),
    "all but a pattern": (["--drop", "g*,id"], ["h1", "h2", "h[3]"]),
    "all but a range": (["--drop", "g2:id"], ["g1"]),
    "by the older name": (["--ignore", "id", "--ignore", "g1"], list(WIDE.columns[1:6])),
}


@pytest.mark.parametrize("case", CHOICES)
def test_columns_are_chosen(case: str, taken: Callable, tmp_path: Path) -> None:
    options, names = CHOICES[case]
    WIDE.to_csv(tmp_path / "t.csv", index=False)
    found = taken(tmp_path / "t.csv", "--aux", "u", *options)
    assert found.said == [] and list(found.x.columns) == names
    pd.testing.assert_frame_equal(found.x, WIDE[names])


BAD_CHOICES: dict[str, tuple[list[str], str]] = {
    "no such column": (["--columns", "g1,G4"], "Expected the column G4; got .* g1, g2, 'g,3', h1"),
    "nearly": (["--drop", "Id "], r"Expected the column 'Id '; got .* Is it id\?"),
    "no such list": (["--aux", "g1,h1"], "column 'g1,h1'; got .* Name these columns one by one"),
    "no such pattern": (["--columns", "k*"], r"Expected the column k\*; got"),
    "no such range": (["--columns", "g1:g9"], "Expected the column g1:g9; got"),
    "u among x": (["--columns", "g1,u"], "once; got u twice"),
    "taken and left out": (["--columns", "g1", "--drop", "g1"], "once; got g1 twice"),
    "ids by a pattern": (["--columns", "*"], r"got ids \(id\). Leave out: --drop id."),
    "nothing left": (["--drop", "*"], "Expected columns of x beside those of u; got none"),
}


@pytest.mark.parametrize("case", BAD_CHOICES)
def test_what_is_not_there_is_named(case: str, taken: Callable, tmp_path: Path) -> None:
    options, message = BAD_CHOICES[case]
    WIDE.to_csv(tmp_path / "t.csv", index=False)
    found = taken(tmp_path / "t.csv", "--aux", "u", *options)
    pytest.raises(ValueError, fail, found.said[0]).match(message)


def test_of_many_columns_the_first_are_listed(taken: Callable, tmp_path: Path) -> None:
    many = pd.DataFrame(RANDOM.normal(size=(N, 1000))).add_prefix("gene")
    many.to_csv(tmp_path / "t.csv", index=False)
    said = taken(tmp_path / "t.csv", "--aux", "Gene_17").said[0]
    assert said.endswith("gene10, gene11 and 988 more. Is it gene17?") and len(said) < 250


# Headers ------------------------------------------------------------------------------------------


def test_a_first_row_that_became_names_is_refused(taken: Callable, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    TABLE.to_csv(path, index=False, header=False)
    said = taken(path, "--aux", "u").said[0]
    assert "Expected names of columns in the first line; got numbers, such as 0.1257" in said
    assert "pass --no-header" in said and "pass --header" in said
    found = taken(path, "--no-header", "--aux", "x2")
    assert len(found.x) == N and list(found.x.columns) == ["x0", "x1"] and found.said == []
    np.testing.assert_array_equal(found.x, X)
    assert "Is it x2?" in taken(path, "--no-header", "--aux", "2").said[0]


def test_u_by_a_word_of_the_first_row_is_no_header(taken: Callable, tmp_path: Path) -> None:
    TABLE[["u", "left", "right"]].to_csv(tmp_path / "t.csv", index=False, header=False)
    assert "pass --no-header" in taken(tmp_path / "t.csv", "--aux", "a").said[0]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_so_is_one_in_another_dialect(separator: str, taken: Callable, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    TABLE.to_csv(path, index=False, header=False, sep=separator, decimal=",")
    assert "pass --no-header" in taken(path, "--aux", "u").said[0]
    found = taken(path, "--no-header", "--aux", "x2")
    np.testing.assert_array_equal(found.x, X)


def test_numbers_may_be_names(taken: Callable, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    waves = TABLE.set_axis(["400.5", "401", "u"], axis=1)
    waves.to_csv(path, index=False)
    assert list(taken(path, "--aux", "u").x.columns) == ["400.5", "401"]  # u is no number
    waves.set_axis(["0", "1", "2"], axis=1).to_csv(path, index=False)
    assert "pass --header" in taken(path, "--aux", "2").said[0]
    assert list(taken(path, "--aux", "2", "--header").x.columns) == ["0", "1"]


def test_only_text_has_a_header_or_none(taken: Callable, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", X)
    said = taken(tmp_path / "t.npy", "--no-header", "--aux", "x0").said[0]
    assert "Expected a file of text with --header or --no-header; got" in said


# u ------------------------------------------------------------------------------------------------

U: dict[str, tuple[Any, list[str], str]] = {
    "a label a row": (PLACE, ["--aux"], "labels that rows share; got 40 different labels of 40"),
    "nearly": ([f"l{min(i, 37)}" for i in ROW], ["--aux"], "got 38 different labels of 40 rows in"),
    "dates": (pd.date_range("2024", periods=N), ["--aux"], "labels that rows share"),
    "floats as labels": (X["left"] + 1, ["--labels"], "labels that rows share"),
    "text as numbers": (["a", "b"] * 20, ["--continuous"], "column v of continuous u; got 'a' in"),
    "text further down": (["1"] * 20 + ["b"] * 20, ["--continuous"], "got 'b' in row 21. Name it"),
    "missing": (["a", "NA"] * 20, ["--aux"], "got 20 missing in the column v, in rows 2, 4, 6"),
    "missing floats": ([0.5, None] * 20, ["--labels"], "got 20 missing in the column v, in rows 2"),
    "missing numbers": ([1, None] * 20, ["--continuous"], "got 20 missing in the column v, in row"),
}


@pytest.mark.parametrize("case", U)
def test_a_bad_u_is_refused_before_training(case: str, taken: Callable, tmp_path: Path) -> None:
    cells, options, message = U[case]
    X.assign(v=cells).to_csv(tmp_path / "t.csv", index=False)
    found = taken(tmp_path / "t.csv", *options, "v")
    pytest.raises(ValueError, fail, found.said[0]).match(message)


def test_few_rows_for_each_label_are_remarked_on(taken: Callable, tmp_path: Path) -> None:
    X.assign(v=PLACE % 21).to_csv(tmp_path / "t.csv", index=False)
    said = taken(tmp_path / "t.csv", "--aux", "v").said
    assert len(said) == 1 and "u has 21 different labels in 40 rows" in said[0]
    assert taken(tmp_path / "t.csv", "--continuous", "v").said == []


def fail(message: str) -> None:
    raise ValueError(message)
