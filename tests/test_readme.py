"""README.md and docs/ say what is true: their examples run, and they name all there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from experiments.protocol.fits import has_data
from identiflow import iflow, ivae
from identiflow.main import app
from identiflow.shared import datasets, metrics, priors

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
FILES = [README, ROOT / "experiments/README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in FILES}
PACKAGES = [iflow, ivae, priors, metrics, datasets]

PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RELATIVE_LINK = re.compile(r"\]\((?!\w+:|#)([^)#]+)")


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def python_blocks(text: str) -> list[str]:
    """The python blocks of a page, each behind as many empty lines as precede it there."""
    matches = PYTHON_BLOCK.finditer(text)
    return ["\n" * text.count("\n", 0, match.start(1)) + match[1] for match in matches]


# Pages about real data, and the data that their examples read.
NEEDS = {
    "docs/guides/light-tunnel.md": ("causal_chamber_lt",),
    "docs/guides/sachs.md": ("sachs",),
    "docs/guides/fmri.md": ("fmri_9var",),
}
WITH_EXAMPLES = [page for page in PAGES if python_blocks(text_of(page))]


def test_the_readme_has_examples():
    assert "README.md" in WITH_EXAMPLES
    assert len(commands("README.md")) >= 5


def test_a_block_keeps_its_line_number():
    page = "# Title\n\n```\nmake demo\n```\n\n```python\nx = 1\n```\n\n```python\n1 / 0\n```\n"
    first, second = python_blocks(page)
    assert (first.split("\n")[7], second.split("\n")[11]) == ("x = 1", "1 / 0")


@pytest.mark.parametrize("page", WITH_EXAMPLES)
def test_the_examples_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    if not has_data(*NEEDS.get(page, ())):
        pytest.skip(f"IDENTIFLOW_DATA names no folder with {', '.join(NEEDS[page])}")
    monkeypatch.chdir(tmp_path)  # examples may write files
    namespace = {"__name__": "__main__"}
    for block in python_blocks(text_of(page)):
        exec(compile(block, PAGES[page], "exec"), namespace)


BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUICK = ["--set", "max_steps=5", "--set", "n_layers=1"]


def commands(page: str) -> list[str]:
    blocks = [text for language, text in BLOCK.findall(text_of(page)) if not language]
    lines = [line for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"identiflow \w", line)]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_the_commands_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    """On a table as they have it, with fewer steps than they would take."""
    monkeypatch.chdir(tmp_path)
    data = datasets.nonstationary_sources(2, 6, 40, seed=1)
    names = np.array(["control", "a", "b", "c", "d", "e"])[data.u]
    frame = pd.DataFrame(data.x, columns=["left", "right"]).assign(condition=names)
    frame.to_csv("cells.csv", index=False)
    for command in commands(page):
        words = shlex.split(re.sub(r" --set max_steps=\d+", "", command))[1:]
        result = CliRunner().invoke(app, words + (QUICK if words[0] == "fit" else []))
        assert result.exit_code == 0, (command, result.output)


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_project_lead_somewhere(page):
    targets = RELATIVE_LINK.findall(text_of(page))
    missing = [target for target in targets if not (PAGES[page].parent / target).exists()]
    assert missing == []


NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("page", [page for page in PAGES if NAMED_TEST.search(text_of(page))])
def test_tests_that_a_page_names_are_there(page):
    named = NAMED_TEST.findall(text_of(page))
    sources = {file: (ROOT / file).read_text("utf-8") for file, _ in named}
    assert [name for file, name in named if f"\ndef {name}(" not in sources[file]] == []


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_readme_shows_both_commands(target):
    assert re.search(rf"^make {target}$", text_of("README.md"), re.MULTILINE)
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_is_in_the_pages(package):
    words = {word for page in PAGES for word in re.findall(r"\w+", text_of(page))}
    assert sorted(set(package.__all__) - words) == []
