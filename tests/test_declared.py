"""What is declared: dependencies and their pins, extras, the version."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from experiments.checks import structure

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# What installed code may import where it is there, and what is there for its tests.
OPTIONAL = {"cli", "plot", "data", "parquet", "xarray"}
DEV = {"docs", "dev"}
CODE = (*structure.INSTALLED, "experiments")
DISTRIBUTION_OF = {"sklearn": "scikit-learn"}


def distribution_names(requirements: list[str]) -> set[str]:
    return {normalised(re.split(r"[\s<>=!~;\[]", requirement)[0]) for requirement in requirements}


def required_by(extras: set[str]) -> list[str]:
    return [requirement for extra in sorted(extras) for requirement in EXTRAS[extra]]


def normalised(name: str) -> str:
    """A distribution's or a package's name, spelt one way: typing_extensions, typing-extensions."""
    return DISTRIBUTION_OF.get(name, name).lower().replace("_", "-")


def pins(file: str = "constraints.txt") -> list[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("folder", CODE)
def test_what_is_imported_is_declared(folder):
    declared = distribution_names([*PROJECT["dependencies"], *required_by(OPTIONAL)])
    own_and_standard = {*CODE, *sys.stdlib_module_names}
    undeclared = {
        (module, package)
        for module, path in structure.files_of([folder]).items()
        for package in {name.partition(".")[0] for name in structure.imports_of(path)}
        if package not in own_and_standard and normalised(package) not in declared
    }
    assert undeclared == set()


def test_the_version_has_one_source():
    """It stands in pyproject.toml; code that needs it asks importlib.metadata."""
    literal = re.compile(r"^\s*__version__\s*(:.*)?=\s*['\"]", re.MULTILINE)
    files = structure.files_of(CODE).values()
    copies = [path for path in files if literal.search(path.read_text("utf-8"))]
    assert copies == []
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == PROJECT["version"]


def test_the_installed_version_is_this_one():
    try:
        installed = importlib.metadata.version(PROJECT["name"])
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("identiflow is not installed here; `make test` installs it")
    assert installed == PROJECT["version"]


def test_extras_are_all_of_what_is_optional():
    assert set(re.findall(r"\w+", EXTRAS["all"][0])) == {PROJECT["name"], *OPTIONAL}
    assert EXTRAS.keys() == {*OPTIONAL, *DEV, "all", "benchmarks"}
    assert EXTRAS["dev"][0] == "identiflow[all,docs]"


def test_every_dependency_is_pinned():
    required = [*PROJECT["dependencies"], *required_by(OPTIONAL | DEV)]
    assert distribution_names(required) - {PROJECT["name"]} <= distribution_names(pins())
    assert "torch==2.13.0" in pins()


def test_the_oldest_versions_are_those_of_pyproject():
    """With the tools that run the tests, but not those that check and document the code."""
    tools = ("pytest", "pytest-xdist", "hypothesis", "tomli")
    ranges = [*PROJECT["dependencies"], *required_by(OPTIONAL)]
    ranges += [name for name in EXTRAS["dev"] if re.split("[>;]", name)[0] in tools]
    lowest = {re.sub("[,;].*", "", requirement).replace(">=", "==") for requirement in ranges}
    assert {pin for pin in pins("constraints-oldest.txt") if "==" in pin} == lowest


def test_a_pin_is_one_public_version():
    """No local build (torch's +cpu), no address, no range."""
    form = re.compile(r'[\w.-]+==[\w.]+(; python_version (<|>=) "3\.11")?')
    assert [pin for pin in pins() if not form.fullmatch(pin)] == []
