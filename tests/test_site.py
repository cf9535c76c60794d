"""The site of the documentation builds without a warning and asks no other server for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` builds it: not quietly, since what is not printed is not counted."""
    folder, installed = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "IDENTIFLOW_INSTALLED": str(installed)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in ROOT.glob("docs/**/*.md")}
    names = [("." if page.name == "index" else page) for page in pages]
    assert [name for name in names if not (site / name / "index.html").is_file()] == []
    listed = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert [str(page) for page in pages if f"{page}.md" not in listed] == []


def test_pages_ask_no_other_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert re.findall(r'<(?:script|img|iframe)[^>]*src="https?://[^"]*"', text) == [], page
        assert re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="https?://[^"]*"', text) == [], page


def test_the_reference_has_what_is_public(site: Path) -> None:
    text = (site / "reference/iflow/index.html").read_text("utf-8")
    for name in ("IFlow.fit", "IFlow.transport", "IFlow.log_prob", "spline_coupling_flow"):
        assert f'id="identiflow.iflow.{name}"' in text, name
