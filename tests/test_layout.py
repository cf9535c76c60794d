"""The laws of the project's layout: who may import whom, what is packaged, what is declared."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
# What installed code may import where it is there, and what is there for its tests.
OPTIONAL = {"cli", "plot", "data", "parquet", "xarray"}
DEV = {"docs", "dev"}
# The folders beside identiflow/, installed as identiflow.iflow and so on.
INSIDE = ["iflow", "ivae", "shared"]
INSTALLED = ["identiflow", *INSIDE]
CODE = [*INSTALLED, "experiments"]

# Dependencies point one way: experiments, identiflow -> iflow, ivae -> shared.
FORBIDDEN = {
    "shared": {"iflow", "ivae", "identiflow", "experiments"},
    "iflow": {"ivae", "identiflow", "experiments"},
    "ivae": {"iflow", "identiflow", "experiments"},
    "identiflow": {"experiments"},
    "experiments": {"identiflow"},
}
EXCEPTIONS = {
    # The iVAE whose noise-free limit is a flow has to know what a flow is, and so has its start.
    ("ivae/special_case.py", "iflow"),
    ("ivae/start.py", "iflow"),
    # `identiflow experiment NAME` runs those of a checkout, if there is one.
    ("identiflow/main.py", "experiments"),
    # In a checkout it gives the modules of shared/ their long names.
    ("shared/__init__.py", "identiflow"),
}

# CONTRIBUTING sends whoever adds a part to these matrices: part -> (test file, name of the matrix).
MATRICES = {
    "prior": ("tests/shared/test_priors.py", "PRIORS"),
    "bijection": ("tests/iflow/test_bijections.py", "BIJECTIONS"),
    "likelihood": ("tests/ivae/test_likelihoods.py", "LIKELIHOODS"),
}
DISTRIBUTION_OF = {"sklearn": "scikit-learn"}


def sources(folder: str) -> list[Path]:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths, f"{folder} holds no Python files"
    return paths


def imported_packages(source: str) -> set[str]:
    """The packages that a file imports: anywhere in it, for type checkers too.

    Those that are installed inside identiflow go by the names of their folders.
    """
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "identiflow":
            modules |= {f"identiflow.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            modules |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return set(map(_package_of, map(str, modules)))


def _package_of(module: str) -> str:
    top, _, rest = module.partition(".")
    inner = rest.partition(".")[0]
    return inner if top == "identiflow" and inner in INSIDE else top


def imports_of(folder: str) -> Iterator[tuple[str, str]]:
    """Pairs of a file and a package that it imports."""
    for path in sources(folder):
        for package in sorted(imported_packages(path.read_text(encoding="utf-8"))):
            yield path.relative_to(ROOT).as_posix(), package


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


@pytest.mark.parametrize(
    "source",
    [
        "import identiflow.iflow",
        "import numpy, identiflow.iflow.splines as s",
        "from identiflow.iflow.splines import forward",
        "from identiflow import iflow",
        "def lazy():\n    from identiflow.iflow import IFlow",
        "if TYPE_CHECKING:\n    import iflow",
        "importlib.import_module('identiflow.iflow.model')",
    ],
)
def test_every_form_of_import_is_seen(source):
    assert "iflow" in imported_packages(source)


@pytest.mark.parametrize("package", FORBIDDEN)
def test_dependencies_point_one_way(package):
    upwards = {pair for pair in imports_of(package) if pair[1] in FORBIDDEN[package]}
    assert upwards <= EXCEPTIONS


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_nothing_imports_the_name_tests(folder):
    """Releases of nflows install a top-level `tests`; which one is found depends on the machine."""
    assert [path for path, package in imports_of(folder) if package == "tests"] == []


@pytest.mark.parametrize("folder", CODE)
def test_what_is_imported_is_declared(folder):
    declared = distribution_names([*PROJECT["dependencies"], *required_by(OPTIONAL)])
    own_and_standard = {*CODE, *sys.stdlib_module_names}
    undeclared = {
        (path, package)
        for path, package in imports_of(folder)
        if package not in own_and_standard and normalised(package) not in declared
    }
    assert undeclared == set()


def test_import_is_light_and_silent():
    """No figure or table library comes along, nothing warns, no global state changes."""
    script = (
        "import sys, random, numpy, torch\n"
        "state = lambda: (random.getstate(), numpy.random.get_state()[1].tolist(),\n"
        "    torch.get_rng_state().tolist(), torch.get_default_dtype(), torch.get_num_threads())\n"
        "before = state()\n"
        "from identiflow import shared, iflow, ivae\n"
        "assert state() == before, 'importing changed global state'\n"
        "print(*sorted({'matplotlib', 'pandas', 'pooch', 'scipy', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout.split(), done.stderr) == ([], "")


def test_packages_are_named_one_by_one():
    on_disk = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for package in INSTALLED
        for path in sources(package)
    }
    missing = [
        name for name in on_disk if not (ROOT / name.replace(".", "/") / "__init__.py").is_file()
    ]
    assert missing == []
    installed = {f"identiflow.{n}" if n.partition(".")[0] in INSIDE else n for n in on_disk}
    assert installed == set(PYPROJECT["tool"]["setuptools"]["packages"])


def test_identiflow_is_the_only_name_that_is_installed():
    setuptools = PYPROJECT["tool"]["setuptools"]
    assert {name.partition(".")[0] for name in setuptools["packages"]} == {"identiflow"}
    assert setuptools["package-dir"] == {f"identiflow.{name}": name for name in INSIDE}


def test_types_are_shipped():
    assert (ROOT / "identiflow/py.typed").is_file()
    assert "py.typed" in PYPROJECT["tool"]["setuptools"]["package-data"]["identiflow"]


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_files_are_short(folder):
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(folder)}
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_the_version_has_one_source():
    """It stands in pyproject.toml; code that needs it asks importlib.metadata."""
    literal = re.compile(r"^\s*__version__\s*(:.*)?=\s*['\"]", re.MULTILINE)
    copies = [
        path
        for folder in CODE
        for path in sources(folder)
        if literal.search(path.read_text("utf-8"))
    ]
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


def test_slow_tests_are_those_that_there_are(request):
    (conftest,) = (p for p in request.config.pluginmanager.get_plugins() if hasattr(p, "SLOW"))
    for name in conftest.SLOW:
        file, _, function = name.partition("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {function.partition('[')[0]}(" in source if function else source, name


def test_a_pin_is_one_public_version():
    """No local build (torch's +cpu), no address, no range."""
    form = re.compile(r'[\w.-]+==[\w.]+(; python_version (<|>=) "3\.11")?')
    assert [pin for pin in pins() if not form.fullmatch(pin)] == []


@pytest.mark.parametrize("part", MATRICES)
def test_contributing_names_matrices_that_exist(part):
    file, matrix = MATRICES[part]
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"`{matrix}` in `{file}`" in contributing
    assert re.search(rf"^{matrix}\b.*=", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
