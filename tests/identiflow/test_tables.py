"""Tables in files: what is written is read again, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from identiflow.tables import READERS, WRITERS, read_table, write_table

MIXED = pd.DataFrame({"left": [0.1, 1 / 3, -2e-9], "count": [3, 1, 2], "who": ["a", "b", "ü, c"]})
NUMBERS = pd.DataFrame({"x0": [0.1, 1 / 3], "x1": [2.0, 4.0]})


def test_what_can_be_read_can_be_written() -> None:
    assert READERS.keys() == WRITERS.keys()


@pytest.mark.parametrize("ending", READERS)
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


class Broken(pd.DataFrame):
    """A table that fails while it is being written."""

    @property
    def columns(self) -> object:
        raise ZeroDivisionError
