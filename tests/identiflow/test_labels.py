"""Labels in files: what a label is depends on its own cell, and not on the other rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from identiflow.iflow import IFlow
from identiflow.labels import as_in_fit, as_written
from identiflow.main import app
from identiflow.shared.datasets import nonstationary_sources
from identiflow.tables import read_table, write_table

DATA = nonstationary_sources(2, n_segments=6, samples_per_segment=20, seed=1)
X = pd.DataFrame(DATA.x, columns=["left", "right"])
TINY: dict[str, Any] = {"n_layers": 1, "max_steps": 3, "hidden": (8,)}
SETTINGS = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
WORDS: dict[str, list[str]] = {
    "leading zeros": ["01", "02", "03", "04", "5", "ctrl"],
    "leading zeros alone": ["01", "02", "03", "04", "05", "06"],
    "flags among words": ["True", "False", "maybe", "never", "1", "0"],
    "flags": ["True", "False", "True", "False", "True", "False"],
    "gaps and signs": ["3", "-7", "0", "100", "5", "12"],
    "beyond 64 bits": ["99999999999999999999", "1", "2", "3", "4", "5"],
    "numbers among words": ["1.0", "1", "1e0", "+1", "a", " a"],
    "a space after the comma": [" 1", " 2", " 3", " 4", " 5", " 6"],
}


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code in (0, 1), result.output
    return result


def table_of(**columns: Sequence[Any]) -> pd.DataFrame:
    """x, and columns of u with six values each."""
    return X.assign(**{name: np.array(values)[DATA.u] for name, values in columns.items()})


def nats(model: Path, table: pd.DataFrame, path: Path) -> np.ndarray:
    """What `score` gives each row of a table."""
    write_table(table, path)
    out = path.with_name("nats.npy")
    run("score", model, path, "-o", out)
    return np.load(out)[:, 0]


def fitted(table: pd.DataFrame, path: Path, *aux: str) -> Path:
    write_table(table, path)
    options = [part for name in aux for part in ("--aux", name)]
    run("fit", path, *options, *SETTINGS, "-o", path.with_name("m"))
    return path.with_name("m")


@pytest.mark.parametrize("case", WORDS)
def test_a_row_has_the_score_that_it_has_among_all_rows(case: str, tmp_path: Path) -> None:
    words = WORDS[case]
    table, path = table_of(u=words), tmp_path / "t.csv"
    model = fitted(table, path, "u")
    assert len(IFlow.load(model).auxiliary_.labels or []) == len(set(words))
    together = nats(model, table, path)
    for word in words:
        rows = np.flatnonzero(table["u"] == word)
        np.testing.assert_allclose(nats(model, table.iloc[rows], path), together[rows])
        run(
            "sample",
            model,
            f"--aux={word.strip() if case.startswith('a sp') else word}",
            "-o",
            path,
        )


@pytest.mark.parametrize("command", ["check", "transform", "report"])
def test_joint_labels_go_through_every_command(command: str, tmp_path: Path) -> None:
    table = table_of(subject=[-1, 1, 2, 2, 30, 30], side=["l", "r", "l", "r", "l", "r"])
    path = tmp_path / "t.tsv"
    model = fitted(table, path, "subject", "side")
    labels = IFlow.load(model).auxiliary_.labels
    assert labels == ["-1, l", "1, r", "2, l", "2, r", "30, l", "30, r"]
    together = nats(model, table, path)
    right = table["side"] == "r"
    np.testing.assert_allclose(nats(model, table[right], path), together[right])
    out = {"check": [], "transform": ["-o", tmp_path / "z.csv"], "report": ["-o", tmp_path / "r"]}
    run(command, model, path, *out[command])


@pytest.mark.parametrize("ending", ["csv", "npz", "parquet"])
def test_flags_are_words(ending: str, tmp_path: Path) -> None:
    table = table_of(flag=[True, False] * 3)
    path = tmp_path / f"t.{ending}"
    model = fitted(table, path, "flag")
    assert IFlow.load(model).auxiliary_.labels == ["False", "True"]
    together = nats(model, table, path)
    np.testing.assert_allclose(nats(model, table[table["flag"]], path), together[table["flag"]])
    run("sample", model, "--aux", "True", "-o", tmp_path / "s.csv")


@pytest.mark.filterwarnings("ignore::shared.identifiability.IdentifiabilityWarning")
@pytest.mark.parametrize("ending", ["csv", "npz", "parquet"])
@pytest.mark.parametrize("kind", ["flags", "numbers with a point", "numbers with a zero"])
def test_models_whose_labels_are_numbers_take_them_as_before(
    kind: str, ending: str, tmp_path: Path
) -> None:
    values, cells = {
        "flags": ([True, False] * 3, [True, False] * 3),
        "numbers with a point": ([4, 1, 2, 3, 0, 7], [4.0, 1.0, 2.0, 3.0, 0.0, 7.0]),
        "numbers with a zero": ([4, 1, 2, 3, 0, 7], ["04", "01", "02", "03", "00", "07"]),
    }[kind]
    u = table_of(u=values)[["u"]]
    flow = IFlow(**TINY).fit(X, u)
    flow.save(tmp_path / "m")
    table = table_of(u=cells)
    found = nats(tmp_path / "m", table, tmp_path / f"t.{ending}")
    np.testing.assert_allclose(found, flow.log_prob(X, u))
    run("sample", tmp_path / "m", "--aux", cells[1], "-o", tmp_path / "s.csv")


COLUMNS: dict[str, tuple[list[str], list[Any]]] = {
    "integers": (["3", "-1", "0"], [3, -1, 0]),
    "a leading zero": (["3", "01"], ["3", "01"]),
    "a sign": (["-0", "+1"], ["-0", "+1"]),
    "a space": ([" 3", "4 "], [3, 4]),
    "a space in text": ([" a", "4 "], [" a", "4"]),
    "63 bits": (["-9223372036854775808", "9223372036854775807"], [-(2**63), 2**63 - 1]),
    "64 bits": (["9223372036854775808"], ["9223372036854775808"]),
    "a fraction": (["3", "4.0"], ["3", "4.0"]),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_cells_as_labels(case: str) -> None:
    cells, labels = COLUMNS[case]
    assert as_written(pd.Series(cells)).tolist() == labels


def test_floats_of_u_stay_continuous(tmp_path: Path) -> None:
    cells = ["0.5", "1", "2e0", "1e-3", "-2.0", "7"]
    table = table_of(dose=cells)
    model = fitted(table, tmp_path / "t.csv", "dose")
    assert IFlow.load(model).auxiliary_.names == [[], ["dose"]]
    table.loc[3, "dose"] = "NA"
    write_table(table, tmp_path / "t.csv")
    options = ["--aux", "dose", "-o", tmp_path / "m"]
    result = CliRunner().invoke(app, ["fit", *map(str, [tmp_path / "t.csv", *options])])
    assert result.exit_code == 2 and "1 missing in the column dose" in result.stderr


def test_words_are_read_of_the_columns_named_alone(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": ["1.5", "NA"], "u": ["NA", "01"], "self": ["x", ""]})
    write_table(table, tmp_path / "t.csv")
    read = read_table(tmp_path / "t.csv", {"u": ["NA"], "self": [], "none such": []})
    assert list(read.columns) == ["a", "u", "self"]
    assert read["u"].tolist() == ["NA", "01"]
    assert read["a"].isna().tolist() == read["self"].isna().tolist() == [False, True]


@pytest.mark.parametrize("word", ["NA", "", "  ", " NA", "NaN", "null", "None", "n/a", "#N/A"])
def test_a_word_for_what_is_missing_is_no_label(word: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"u,v\na,1\n{word},2\nb,3\n")
    assert read_table(tmp_path / "t.csv", ["u"])["u"].isna().tolist() == [False, True, False]


def test_what_is_missing_in_u_is_refused_with_its_rows(tmp_path: Path) -> None:
    write_table(table_of(u=["a", "NA", "b", "c", "d", "null"]), tmp_path / "t.csv")
    arguments = ["fit", tmp_path / "t.csv", "--aux", "u", "-o", tmp_path / "m"]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "40 missing in the column u, in rows 21, 22" in result.stderr
    assert "If such a cell is a label, write another word" in result.stderr


@pytest.mark.filterwarnings("ignore::shared.identifiability.IdentifiabilityWarning")
@pytest.mark.filterwarnings("ignore:The label 'NA' of u may be a missing value")
def test_labels_of_python_may_be_such_words(tmp_path: Path) -> None:
    u = table_of(u=["NA", "None", "null", "n/a", "nan", "a"])[["u"]]
    flow = IFlow(**TINY).fit(X, u)
    flow.save(tmp_path / "m")
    found = nats(tmp_path / "m", X.join(u), tmp_path / "t.csv")
    np.testing.assert_allclose(found, flow.log_prob(X, u))


@pytest.mark.parametrize("others", [[], ["side"]])
def test_floats_are_labels_where_that_is_said(others: list[str], tmp_path: Path) -> None:
    dose, side = ["0.5", "1", "2e0", "1e-3", "-2.0", "7"], ["l", "r", "l, x", "r", "l", "r\\"]
    table, path = table_of(dose=dose, side=side), tmp_path / "t.csv"
    write_table(table, path)
    aux = [part for name in others for part in ("--aux", name)]
    chosen = ["--labels", "dose", *aux, *([] if others else ["--drop", "side"])]
    run("fit", path, *chosen, *SETTINGS, "-o", tmp_path / "m")
    labels = IFlow.load(tmp_path / "m").auxiliary_.labels or []
    assert sorted(label.rpartition(", ")[2] for label in labels) == sorted(
        ["0.5", "1.0", "2.0", "0.001", "-2.0", "7.0"]
    )
    together = nats(tmp_path / "m", table, path)
    rows = np.flatnonzero(table["dose"] == "2e0")  # which alone are whole numbers
    alike = table.iloc[rows].assign(dose="2")
    np.testing.assert_allclose(nats(tmp_path / "m", alike, path), together[rows])
    values = [*(["--aux", "l"] if others else []), "--aux", ".50"]
    run("sample", tmp_path / "m", *values, "-o", path)


LONG = st.integers(2**53, 2**63 - 1)
FORMS: list[Callable[[int], str]] = [str, "{}.0".format, "{}.".format, "{}.000".format]


@given(
    values=st.lists(st.one_of(LONG, LONG.map(int.__neg__), st.integers(0, 9)), min_size=3),
    form=st.sampled_from(FORMS),
    row=st.integers(0, 2),
)
def test_all_digits_of_long_labels_count_however_one_is_written(
    tmp_path_factory: pytest.TempPathFactory, values: list[int], form: Callable, row: int
) -> None:
    values = [2**53 + 1, *values]
    path = tmp_path_factory.getbasetemp() / "long.csv"
    cells = [form(value) if i == row else str(value) for i, value in enumerate(values)]
    path.write_text("".join(f"{cell},1.5\n" for cell in ["u", *cells]).replace("u,1.5", "u,x"))
    assert read_table(path, ["u"], unless_floats=True)["u"].tolist() == values
    words = read_table(path, ["u"])[["u"]]
    assert as_in_fit(words, {"u": values})["u"].tolist() == values


def test_floats_that_are_no_long_labels_stay_floats(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("u,x\n1e20,1\n9007199254740993,2\n0.5,3\n")
    assert read_table(tmp_path / "t.csv", ["u"], unless_floats=True)["u"].dtype == float


@given(
    st.lists(st.integers(-99, 999), min_size=2, max_size=6, unique=True),
    st.lists(st.decimals(-99, 999, places=3), min_size=1, max_size=6),
    st.sampled_from(["{}", "{:.1f}", "{:.2f}", "{:.4f}", "0{}"]),
)
def test_a_number_that_fit_has_not_seen_is_none_of_its_labels(
    known: list[int], values: list[Decimal], form: str
) -> None:
    words = [form.format(abs(value) if form[0] == "0" else value) for value in values]
    read = as_in_fit(pd.DataFrame({"u": words}), {"u": known})["u"]
    for word, label in zip(words, read, strict=True):
        same = [k for k in known if k == Decimal(word)]
        assert label in (same or [label]) and (same or label not in known)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("cell", ["1.5", "2.5", "1.50", "12.345", "-1.5"])
def test_the_point_of_a_label_is_not_lost(cell: str, ending: str, tmp_path: Path) -> None:
    model = fitted(table_of(dose=[1, 5, 15, 25, 150, 12345]), tmp_path / "t.csv", "dose")
    write_table(X[:2].assign(dose=[cell, "15"]), tmp_path / f"new.{ending}")
    for arguments in (
        ["score", model, tmp_path / f"new.{ending}"],
        ["sample", model, f"--aux={cell}", "-o", tmp_path / "s.csv"],
    ):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 2 and "that fit saw (1, 5, 15, 25, 150" in result.stderr
        assert f"got '{float(cell)!r}'" in result.stderr or f"got '{cell}'" in result.stderr


@pytest.mark.parametrize("precision", ["f2", "f4", "f8"])
def test_one_number_is_one_label_in_any_precision(precision: str, tmp_path: Path) -> None:
    table, path = table_of(dose=[0.1, 0.2, 0.3, 0.5, 1.1, 0.7]), tmp_path / "t.csv"
    other = table.astype({"dose": precision})
    together = []
    for fitted_to, model in ((table, "a"), (other, "b")):
        stored = tmp_path / f"{model}.parquet"
        write_table(fitted_to, stored)
        run("fit", stored, "--labels", "dose", *SETTINGS, "-o", tmp_path / model)
        labels = IFlow.load(tmp_path / model).auxiliary_.labels or []
        assert set(labels) == {"0.1", "0.2", "0.3", "0.5", "1.1", "0.7"}
        together += [nats(tmp_path / model, t, f) for t in (table, other) for f in (path, stored)]
        run("sample", tmp_path / model, "--aux", ".1", "-o", path)
    for found in together[1:]:
        np.testing.assert_allclose(found, together[0])


def test_whole_labels_may_have_a_decimal_comma(tmp_path: Path) -> None:
    table = table_of(dose=[0, 1, 2, 3, 40, 5])
    model = fitted(table, tmp_path / "t.csv", "dose")
    together = nats(model, table, tmp_path / "t.csv")
    table.astype({"dose": float}).to_csv(tmp_path / "g.csv", sep=";", decimal=",", index=False)
    assert ";40,0\n" in (tmp_path / "g.csv").read_text()
    run("score", model, tmp_path / "g.csv", "-o", tmp_path / "nats.npy")
    np.testing.assert_allclose(np.load(tmp_path / "nats.npy")[:, 0], together)
