"""What is published: a wheel with one name in it, and a source distribution that is a checkout."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import identiflow

ROOT = Path(__file__).resolve().parents[1]
LAWS = ("tests/test_layout.py", "tests/test_declared.py")
RECORDS = 100_000  # bytes of one of experiments/records at most: they are in every download


def done(*command: object, **options: object) -> str:
    """What a command prints, which has to end well."""
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=300, **options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def unpacked(build: Callable[[str, Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(build("sdist", ROOT)) as archive:
        archive.extractall(folder, filter="data")
    (place,) = folder.iterdir()
    return place


def test_the_source_distribution_is_a_checkout(source: Path, unpacked: Path) -> None:
    added = {"PKG-INFO", "setup.cfg"}
    found = {name for name in files(unpacked) if ".egg-info/" not in name} - added
    assert found == files(source)
    records = unpacked.glob("experiments/records/*")
    assert [path.name for path in records if path.stat().st_size > RECORDS] == []


def test_tests_run_in_the_source_distribution(unpacked: Path) -> None:
    """Those that read the files beside the code."""
    options = ["-q", "-p", "no:cacheprovider", "-k", "pinned or one_way or contributing"]
    command = [sys.executable, "-m", "pytest", *options, *LAWS]
    assert re.search(r"\d passed", done(*command, cwd=unpacked))


def test_a_wheel_of_the_source_distribution_is_that_of_the_checkout(
    build: Callable[[str, Path], Path], wheel: Path, unpacked: Path
) -> None:
    assert contents(build("wheel", unpacked)) == contents(wheel)


def test_a_wheel_has_one_name(wheel: Path) -> None:
    names = contents(wheel)
    version = wheel.name.split("-")[1]
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"identiflow", f"identiflow-{version}.dist-info"}
    data = {name for name in names if name.startswith("identiflow/") and not name.endswith(".py")}
    assert data == {
        "identiflow/py.typed",
        "identiflow/report/page.html",
        "identiflow/shared/datasets/registry.txt",
    }


# Beside others of these names --------------------------------------------------------------------


def stand_in(package: str, folder: Path) -> Path:
    """A wheel of somebody else's, with a top-level package of this name."""
    path = folder / f"{package}-9.0-py3-none-any.whl"
    about = f"{package}-9.0.dist-info"
    files = {
        f"{package}/__init__.py": "WHOSE = 'theirs'\n",
        f"{package}/metrics.py": "",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(name, text)
    return path


class Environment:
    """A new environment, which has this one's packages but for identiflow."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        inside = {"base": str(folder), "platbase": str(folder)}
        self.packages = Path(sysconfig.get_path("purelib", vars=inside))
        # What is installed here as editable, such as this checkout, is not reached by a .pth file.
        (self.packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def install(self, wheel: Path) -> None:
        """As pip does it for a wheel of Python alone."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.packages)

    def uninstall(self, wheel: Path) -> None:
        """The same way, by the list of its files."""
        for name in contents(wheel):
            (self.packages / name).unlink()

    def run(self, script: str, folder: Path) -> str:
        (folder / "script.py").write_text(script, encoding="utf-8")
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return done(self.python, "-W", "error", "script.py", cwd=folder, env=variables)


OURS = """
from identiflow.shared.inputs import extras
assert "environment" in extras.__file__
"""
BOTH = f"{OURS}import shared, iflow, ivae\nprint(shared.WHOSE, iflow.WHOSE, ivae.WHOSE)\n"
ALL = "from identiflow import IFlow, IVAE, mean_corr_coef\n"


def test_it_works_beside_others_of_these_names_and_after_they_are_gone(
    wheel: Path, tmp_path: Path
) -> None:
    environment, user = Environment(tmp_path / "environment"), tmp_path / "user"
    first, *others = theirs = [stand_in(name, tmp_path) for name in ("shared", "iflow", "ivae")]
    for each in (first, wheel, *others):
        environment.install(each)
    user.mkdir()
    assert environment.run(BOTH, user) == "theirs theirs theirs\n"
    for each in theirs:
        environment.uninstall(each)
    environment.run(OURS, user)
    for file in ("shared.py", "iflow/__init__.py", "ivae/__init__.py"):
        (user / file).parent.mkdir(exist_ok=True)
        (user / file).write_text("WHOSE = 'the user’s'\n", encoding="utf-8")
    assert environment.run(BOTH + ALL, user) == "the user’s the user’s the user’s\n"


BARE = """
import sys
from importlib.machinery import PathFinder

MISSING = {"click", "grpc", "jinja2", "matplotlib", "pandas", "pooch", "pyarrow", "tensorboard",
           "xarray"}
find = PathFinder.find_spec

def find_others(name, path=None, target=None):
    return None if name.partition(".")[0] in MISSING else find(name, path, target)

PathFinder.find_spec = find_others
import identiflow
for name in identiflow.__all__:
    getattr(identiflow, name)
data = identiflow.nonstationary_sources(latent_dim=2, n_segments=6, samples_per_segment=20, seed=1)
flow = identiflow.IFlow(n_layers=1, hidden=(4,), max_steps=2, seed=0).fit(data.x, data.u)
z = flow.transform(data.x)
flow.save("model")
from identiflow.shared.plotting import plot_latents
try:
    plot_latents(z, data.u)
except ModuleNotFoundError as error:
    print(error)
"""


def test_all_but_the_extras_works_without_them(wheel: Path, tmp_path: Path) -> None:
    """And without what nflows asks for and does not import: tensorboard, and with it grpc."""
    environment = Environment(tmp_path / "environment")
    environment.install(wheel)
    assert environment.run(BARE, tmp_path) == (
        "Expected the package matplotlib, which this needs; found none. "
        'Run pip install "identiflow[plot]".\n'
    )


# What stands on the page of the index, and in the exports ----------------------------------------

INDEX_PAGE = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")["index_page"]
SOURCE = 'x = 1\n[project.urls]\nSource = "https://example.org/identiflow/"\n'
PAGE = "[a](b.md), [c](#d), [e](https://f.org/g), [h](docs/i.md#j)"


def test_links_of_the_index_page_lead_somewhere() -> None:
    links = "[a](https://example.org/identiflow/blob/HEAD/b.md), [c](#d), [e](https://f.org/g), "
    links += "[h](https://example.org/identiflow/blob/HEAD/docs/i.md#j)"
    assert INDEX_PAGE(PAGE, SOURCE) == links
    assert INDEX_PAGE(PAGE, "x = 1\n") == "a, [c](#d), [e](https://f.org/g), h"


def test_the_index_page_is_the_readme_with_no_link_to_a_file(wheel: Path) -> None:
    metadata = next(v for k, v in contents(wheel).items() if k.endswith("/METADATA")).decode()
    assert "\n## Start: a flow\n" in metadata
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)", metadata) == []
    anchors = {
        match.lower().replace(" ", "-") for match in re.findall(r"^## (.+)$", metadata, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", metadata)) <= anchors


def test_exports_are_told_to_people_and_type_checkers_alike() -> None:
    tree = ast.parse((ROOT / "identiflow/__init__.py").read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and "TYPE" in ast.dump(node))
    told = {(alias.name, node.module) for node in block.body for alias in node.names}
    assert told == {(name, f"identiflow.{module}") for name, module in identiflow.MODULE_OF.items()}
    assert sorted(identiflow.__all__) == sorted(identiflow.MODULE_OF)
    assert set(identiflow.__all__) <= set(dir(identiflow))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        identiflow.nothing  # noqa: B018
