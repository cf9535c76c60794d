"""What is counted of the code's text is what is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from experiments.checks import structure
from experiments.checks.journeys import Measure, travelled
from identiflow.shared.metrics import mean_corr_coef

SOURCE = '''"""A module."""

import torch._inductor.config
from torch.fx.experimental import proxy_tensor
from torch import nn
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from identiflow.shared import files


class Options:
    size: int = option(1, None, "its seed is not counted")
    other: int = 2

    def later(self):
        """A docstring
        of two lines."""
        import_module("identiflow.shared.model")

        return self.size

    def nothing(self):
        """Only a docstring."""
'''


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "module.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_imports_are_found_wherever_they_are(file):
    files = structure.files_of()
    graph = structure.import_graph({**files, "mine": file})
    assert graph["mine"] == {"identiflow.shared.files", "identiflow.shared.model"}
    assert files["identiflow.shared"] == structure.ROOT / "shared/__init__.py"
    assert "identiflow.shared.training" in graph["identiflow"]  # for type checkers


def test_private_parts_of_a_library_are_found(file):
    expected = ["torch._inductor.config", "torch.fx.experimental.proxy_tensor"]
    assert structure.private_imports(file, "torch") == expected


def test_lengths_are_of_bodies_without_docstrings(file):
    lengths = structure.function_lengths(file)
    assert list(lengths.values()) == [3, 0]
    assert structure.lines_of(file) == SOURCE.count("\n")


def test_options_are_what_option_declares(file):
    names = structure.names_in(file)
    assert names.options == {"size"}
    assert {"size", "other"} <= names.identifiers and "seed" not in names.identifiers
    assert names.attributes == {"size"}


def test_circles_are_paths_back_to_where_they_began():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"d"}}
    (path,) = structure.circles(graph)
    assert path[0] == path[-1] and {*path} == {"a", "b", "c"}
    assert all(other in graph[name] for name, other in zip(path, path[1:], strict=False))
    assert structure.circles({"a": {"b"}, "b": set()}) == []
    assert len(structure.circles({"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"c"}})) == 2


def test_a_room_imports_of_those_before_it():
    graph = {"p.low.a": set(), "p.low.b": {"p.low.a"}, "p.high": {"p.low.a"}}
    assert structure.against_the_order(graph, "p", ["low", "high"]) == []
    upwards = structure.against_the_order(graph, "p", ["high", "low"])
    assert upwards == [("p.high", "p.low.a")]
    with pytest.raises(ValueError, match=r"Expected the rooms of p, \['high', 'low'\]; got"):
        structure.against_the_order(graph, "p", ["low"])


def test_a_journey_is_the_files_that_are_passed():
    rows = [[0.0, 1.0], [1.0, 0.0], [2.0, 5.0]]
    files, functions = travelled(lambda: mean_corr_coef(rows, rows))
    assert {"shared/metrics/mcc.py", "shared/metrics/matching.py"} <= set(files)
    assert functions >= len(files)
    step = ("shared/metrics/mcc.py", ("mean_corr_coef",))
    assert travelled(lambda: mean_corr_coef(rows, rows), step) == (["shared/metrics/mcc.py"], 1)
    assert sys.getprofile() is None
    with pytest.raises(RuntimeError, match="Expected a call of step in shared; got none"):
        travelled(lambda: None, ("shared", ("step",)))


def test_a_floor_that_is_not_held_is_marked():
    assert Measure("files", 3, 3).line == "| files | 3 | ≤ 3 | yes |  |"
    assert "**no**" in Measure("files", 4, 3).line
