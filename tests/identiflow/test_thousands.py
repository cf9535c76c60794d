"""Points between thousands, where they may be decimal points: remarked on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from identiflow.tables import read_table

THREE = "{}.{:03}".format
GROUPS = {"all of three": (THREE, True), "beside others": (lambda a, b: f"{a}.{b % 90}", False)}


@pytest.mark.parametrize("case", GROUPS)
@pytest.mark.parametrize("separator", ";,")
def test_points_that_may_stand_between_thousands_are_remarked_on(
    case: str, separator: str, taken: Callable, tmp_path: Path
) -> None:
    """Between commas, where decimals have points, they do not."""
    write, doubtful = GROUPS[case]
    path = tmp_path / "t.csv"
    cells = [
        [THREE(1 + i % 9, 37 * i), write(2 + i % 7, 100 + i * i), "ab"[i % 2]] for i in range(12)
    ]
    path.write_text("\n".join(map(separator.join, [["left", "right", "u"], *cells])) + "\n")
    said = taken(path, "--aux", "u").said
    remarks = [line for line in said if "taken for decimal points, as in 1.000 in the col" in line]
    assert len(remarks) == (doubtful and separator == ";")


@pytest.mark.parametrize("separator", [",", "|", "\t", " "])
def test_points_in_some_of_whole_numbers_are_remarked_on(
    separator: str, taken: Callable, tmp_path: Path
) -> None:
    cells = ["2.423", "334", "1.979", "76", "12.001", "8"] * 2
    rows = [separator.join([cell, str(i * i % 7), "ab"[i % 2]]) for i, cell in enumerate(cells)]
    (tmp_path / "t.txt").write_text("\n".join([separator.join(["area", "n", "u"]), *rows]) + "\n")
    said = "".join(taken(tmp_path / "t.txt", "--aux", "u").said)
    assert "Points are taken for decimal points, as in 2.423 in the column area. If they" in said


@pytest.mark.parametrize("cells", [["2.42", "334"], ["0.423", "334"], ["2.423", "3.100"]])
def test_points_that_are_decimal_points_are_not(cells: list[str], tmp_path: Path) -> None:
    rows = [f"{cells[i * i % 5 % 2]}\t{i * i % 7}\t{'ab'[i % 2]}" for i in range(12)]
    (tmp_path / "t.tsv").write_text("\n".join(["area\tn\tu", *rows]) + "\n")
    assert read_table(tmp_path / "t.tsv").attrs["doubts"] == []
