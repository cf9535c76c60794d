"""Tables in files: what is written is read again, whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from identiflow.endings import ENDINGS, TEXT
from identiflow.formats import READERS, WRITERS
from identiflow.tables import (
    check_output,
    check_place,
    read_table,
    write_table,
)

MIXED = pd.DataFrame({"left": [0.1, 1 / 3, -2e-9], "count": [3, 1, 2], "who": ["a", "b", "ü, c"]})
NUMBERS = pd.DataFrame({"x0": [0.1, 1 / 3], "x1": [2.0, 4.0]})


def test_what_can_be_written_can_be_read() -> None:
    assert tuple(WRITERS) == ENDINGS
    assert {*READERS, *TEXT} == {*ENDINGS, ".txt"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_comes_back_as_it_was_written(ending: str, tmp_path: Path) -> None:
    table = NUMBERS if ending == ".npy" else MIXED
    path = tmp_path / f"table{ending.upper()}"
    write_table(table, path)
    back = read_table(path)
    assert list(back.columns) == list(table.columns)
    for name in table.columns:
        np.testing.assert_array_equal(back[name], table[name])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_arrays_become_columns(tmp_path: Path) -> None:
    x, u = np.arange(6.0).reshape(3, 2), np.array([1, 2, 1])
    np.savez(tmp_path / "rows.npz", x=x, u=u)
    np.save(tmp_path / "u.npy", u)
    table = read_table(tmp_path / "rows.npz")
    assert list(table.columns) == ["x0", "x1", "u"]
    np.testing.assert_array_equal(table[["x0", "x1"]], x)
    assert read_table(tmp_path / "u.npy")["x0"].tolist() == [1, 2, 1]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    write_table(NUMBERS, path)
    old = path.read_bytes()
    with pytest.raises(ValueError):
        write_table(pd.DataFrame({"file/name": [object()], "b": [1]}), tmp_path / "t.parquet")
    with pytest.raises(ZeroDivisionError):
        write_table(Broken(), path)
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["table.npz"]


def test_a_column_of_many_rows_has_one_type(tmp_path: Path) -> None:
    cells = [*["01"] * 1_100_000, "ctrl"]  # pandas takes a million at a time
    (tmp_path / "t.csv").write_text("\n".join(["u", *cells]))
    assert read_table(tmp_path / "t.csv")["u"].tolist() == cells


def test_separators_at_the_end_of_rows_shift_no_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2,\n3,4,\n")
    assert read_table(tmp_path / "t.csv", ["b"]).to_dict("list") == {"a": [1, 3], "b": [2, 4]}


TEXTS = {
    "a cell too many": "a,b\n1,2,\n3,4,5\n",
    "row numbers without a name": "a,b\n0,1,2\n1,3,4\n",
    "two separators": "a,b\n1,2,,\n3,4,,\n",
}


@pytest.mark.parametrize("case", TEXTS)
def test_cells_without_a_column_are_refused(case: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TEXTS[case])
    with pytest.raises(ValueError, match="got rows with more cells than the header has names"):
        read_table(tmp_path / "t.csv")


def test_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((3, 2)), x0=np.zeros(3))
    with pytest.raises(ValueError, match="got two arrays that make the column x0. Rename one"):
        read_table(tmp_path / "t.npz")


def test_parquet_without_its_package_is_refused_before_the_work(
    tmp_path: Path, monkeypatch
) -> None:
    for name in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match="pyarrow to write .*; found none. Run pip install"):
        check_output(tmp_path / "t.parquet")
    check_output(tmp_path / "t.csv")


# Places to write to ------------------------------------------------------------------------------


def test_a_link_stays_and_leads_to_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, place = tmp_path / "link.csv", tmp_path / "there" / "t.csv"
    link.symlink_to(place)
    for table in (NUMBERS, MIXED):  # to where there is nothing yet, then over what is there
        write_table(table, link)
        assert link.is_symlink() and len(read_table(place)) == len(table)
    assert [file.name for file in place.parent.iterdir()] == ["t.csv"]


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.csv")
    return folder / "pipe.csv"


def a_circle(folder: Path) -> Path:
    (folder / "a.csv").symlink_to(folder / "a.csv")
    return folder / "a.csv"


def a_lost_link(folder: Path) -> Path:
    (folder / "a.csv").symlink_to(folder / "none" / "b.csv")
    return folder / "a.csv"


def a_folder(folder: Path) -> Path:
    (folder / "a.csv").mkdir()
    return folder / "a.csv"


PLACES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a pipe": (a_pipe, "got a device, a pipe"),
    "a device": (lambda _: Path(os.devnull), "got a device, a pipe"),
    "a circle of links": (a_circle, "got a device, a pipe"),
    "a link to nowhere": (a_lost_link, "the folder .*none for b.csv; found none"),
    "a folder": (a_folder, "got a folder"),
    "a name that is too long": (lambda folder: folder / ("a" * 250), "write in .*name too long"),
}


@pytest.mark.parametrize("case", PLACES)
def test_what_is_no_place_for_a_file_is_refused(case: str, tmp_path: Path) -> None:
    make, message = PLACES[case]
    path = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"Expected .*{message}"):
        check_place(path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_written_in_is_refused(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    check_place(tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Path, "touch", refuse)  # the one who runs this may be root
    with pytest.raises(ValueError, match=f"write in {tmp_path}; got Permission denied."):
        check_place(tmp_path / "t.csv")


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to])
def test_a_file_in_use_is_known_under_another_name(
    make: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    table, other = tmp_path / "t.csv", tmp_path / "other.csv"
    write_table(NUMBERS, table)
    make(other, table)
    for path, used in [(other, table), (table, other), (table, table)]:
        with pytest.raises(ValueError, match=f"than {used}, which is in use here; got {path}"):
            check_place(path, used)
    check_place(tmp_path / "new.csv", table, other)


class Broken(pd.DataFrame):
    """A table that fails while it is being written."""

    @property
    def columns(self) -> object:
        raise ZeroDivisionError


def test_tables_of_numpy_and_decimals_of_databases_are_read(tmp_path: Path) -> None:
    table = np.array([(1.5, "a"), (2.5, "b")], dtype=[("left", "f8"), ("u", "U1")])
    np.save(tmp_path / "t.npy", table)
    np.savez(tmp_path / "t.npz", table=table, right=[1, 2])
    assert list(read_table(tmp_path / "t.npy").columns) == ["left", "u"]
    assert list(read_table(tmp_path / "t.npz").columns) == ["left", "u", "right"]
    prices = pd.DataFrame({"price": [Decimal("1.50"), None, Decimal("2.25")], "u": list("aba")})
    prices.to_parquet(tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet")
    np.testing.assert_array_equal(read["price"], [1.5, np.nan, 2.25])
    assert read["u"].tolist() == list("aba")


def test_arrays_that_make_no_columns_are_left_out_with_a_word(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.ones((5, 2)), dt=0.01, frames=np.ones((5, 2, 2)))
    table = read_table(tmp_path / "t.npz")
    assert list(table.columns) == ["x0", "x1"]
    (said,) = table.attrs["doubts"]
    assert "Left out, since it makes no columns: dt, of 0 dimensions, frames, of 3" in said
    np.savez(tmp_path / "t.npz", x=np.ones(5), u=np.ones(4))
    with pytest.raises(ValueError, match="arrays of different lengths, x 5, u 4"):
        read_table(tmp_path / "t.npz")


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").mkdir()
    with pytest.raises(ValueError, match="to be a file; got a folder. Name a file in it"):
        read_table(tmp_path / "t.parquet")


def test_an_empty_line_is_a_cell_where_there_is_one_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1.5\n\n2.5\n")
    np.testing.assert_array_equal(read_table(tmp_path / "t.csv")["a"], [1.5, np.nan, 2.5])
    (tmp_path / "t.csv").write_text("a,b\n1.5,1\n\n2.5,2\n")
    assert len(read_table(tmp_path / "t.csv")) == 2


@pytest.mark.parametrize("ending", [".npz", ".csv", ".parquet", ".tsv"])
@pytest.mark.parametrize("name", ["allow_pickle", "file", "args", "arr_0", "kwds", "self", "a/b"])
def test_a_column_of_any_name_is_written(name: str, ending: str, tmp_path: Path) -> None:
    """Before, np.savez took one called allow_pickle for its argument, and it was gone."""
    table = pd.DataFrame({name: [1.5, 2.5], "other": [0.25, 4.0]})
    write_table(table, tmp_path / f"t{ending}")
    pd.testing.assert_frame_equal(read_table(tmp_path / f"t{ending}"), table)
