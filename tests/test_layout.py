"""The laws of the project's layout: who may import whom, what is packaged, how long things are."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

import pytest

from experiments.checks import structure
from identiflow.iflow import IFlow
from identiflow.ivae import IVAE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
INSTALLED = structure.INSTALLED
# The folders beside identiflow/, installed as identiflow.iflow and so on.
INSIDE = INSTALLED[1:]
CODE = (*INSTALLED, "experiments")

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
    ("identiflow/experiment.py", "experiments"),
    # In a checkout it gives the modules of shared/ their long names.
    ("shared/__init__.py", "identiflow"),
}

# CONTRIBUTING sends whoever adds a part to these matrices: part -> (test file, name of the matrix).
MATRICES = {
    "prior": ("tests/shared/test_priors.py", "PRIORS"),
    "bijection": ("tests/iflow/test_bijections.py", "BIJECTIONS"),
    "likelihood": ("tests/ivae/test_likelihoods.py", "LIKELIHOODS"),
}


def sources(folder: str) -> list[Path]:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths, f"{folder} holds no Python files"
    return paths


def imported_packages(path: Path) -> set[str]:
    """The packages that a file imports: anywhere in it, for type checkers too.

    Those that are installed inside identiflow go by the names of their folders.
    """
    return {_package_of(name) for name in structure.imports_of(path)}


def _package_of(module: str) -> str:
    top, _, rest = module.partition(".")
    inner = rest.partition(".")[0]
    return inner if top == "identiflow" and inner in INSIDE else top


def imports_of(folder: str) -> Iterator[tuple[str, str]]:
    """Pairs of a file and a package that it imports."""
    for path in sources(folder):
        for package in sorted(imported_packages(path)):
            yield path.relative_to(ROOT).as_posix(), package


@pytest.mark.parametrize(
    "source",
    [
        "import identiflow.iflow",
        "import numpy, identiflow.iflow.elements as s",
        "from identiflow.iflow.elements import forward",
        "from identiflow import iflow",
        "def lazy():\n    from identiflow.iflow import IFlow",
        "if TYPE_CHECKING:\n    import iflow",
        "importlib.import_module('identiflow.iflow.model')",
    ],
)
def test_every_form_of_import_is_seen(source, tmp_path):
    (tmp_path / "module.py").write_text(source, encoding="utf-8")
    assert "iflow" in imported_packages(tmp_path / "module.py")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_dependencies_point_one_way(package):
    upwards = {pair for pair in imports_of(package) if pair[1] in FORBIDDEN[package]}
    assert upwards <= EXCEPTIONS


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_nothing_imports_the_name_tests(folder):
    """Releases of nflows install a top-level `tests`; which one is found depends on the machine."""
    assert [path for path, package in imports_of(folder) if package == "tests"] == []


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


def test_slow_tests_are_those_that_there_are(request):
    (conftest,) = (p for p in request.config.pluginmanager.get_plugins() if hasattr(p, "SLOW"))
    for name in conftest.SLOW:
        file, _, function = name.partition("::")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {function.partition('[')[0]}(" in source if function else source, name


@pytest.mark.parametrize("part", MATRICES)
def test_contributing_names_matrices_that_exist(part):
    file, matrix = MATRICES[part]
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"`{matrix}` in `{file}`" in contributing
    assert re.search(rf"^{matrix}\b.*=", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


# Order and size ----------------------------------------------------------------------------------

Files = Mapping[str, Path]
# What a step does, seen through its backward pass; of torch's public calls none shows it.
PRIVATE_TORCH = {
    "identiflow.shared.compute.compilation": ["torch.fx.experimental.proxy_tensor.make_fx"]
}
OPTIONS = {*inspect.signature(IFlow).parameters, *inspect.signature(IVAE).parameters}


def long_files(files: Files) -> dict[str, int]:
    lengths = {name: structure.lines_of(path) for name, path in files.items()}
    return {name: length for name, length in lengths.items() if length > 300}


def circles(files: Files) -> list[list[str]]:
    return structure.circles(structure.import_graph(files))


def upwards(files: Files) -> list[tuple[str, str]]:
    """Imports inside shared/ against the order of its rooms."""
    graph = structure.import_graph(files)
    return structure.against_the_order(graph, "identiflow.shared", structure.ROOMS)


def median_length(files: Files) -> float:
    """Of the bodies of all functions."""
    return median(n for path in files.values() for n in structure.function_lengths(path).values())


def not_declared_once(files: Files) -> dict[str, int]:
    """Options of the estimators → the number of files that declare them."""
    count = Counter(name for path in files.values() for name in structure.names_in(path).options)
    return {option: count[option] for option in OPTIONS if count[option] != 1}


def private_torch(files: Files) -> dict[str, list[str]]:
    """Modules → what they import of the private parts of torch, those that do."""
    found = {name: structure.private_imports(path, "torch") for name, path in files.items()}
    return {name: parts for name, parts in found.items() if parts}


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_files_are_short(folder):
    assert long_files({path.as_posix(): path for path in sources(folder)}) == {}


def test_functions_are_short():
    assert median_length(structure.files_of()) <= 6


def test_nothing_imports_in_circles():
    assert circles(structure.files_of(CODE)) == []


def test_rooms_of_shared_import_of_those_before_them():
    assert upwards(structure.files_of()) == []


def test_few_modules_of_shared_are_outside_its_rooms():
    assert len(structure.loose_modules("shared")) <= 4


def test_an_option_is_declared_in_one_file():
    assert not_declared_once(structure.files_of()) == {}


def test_private_parts_of_torch_are_imported_by_one_line():
    assert private_torch(structure.files_of(CODE)) == PRIVATE_TORCH


PLANTED = """
import torch._inductor.config

if TYPE_CHECKING:
    from identiflow.shared.estimators import base


class Rows:
    seed: int = option(0, None, "declared elsewhere")


def long(x):
"""


def test_each_of_these_laws_can_be_broken(tmp_path):
    (tmp_path / "rows.py").write_text(PLANTED + "    x += 1\n" * 300, encoding="utf-8")
    name = "identiflow.shared.inputs.rows"
    files = {**structure.files_of(), name: tmp_path / "rows.py"}
    planted = {name: tmp_path / "rows.py"}
    assert long_files(files) == {name: 300 + PLANTED.count("\n")}
    assert median_length(planted) == 300
    assert any(name in path for path in circles(files))
    assert upwards(files) == [(name, "identiflow.shared.estimators.base")]
    assert not_declared_once(files) == {"seed": 2}
    assert private_torch(files) == {**PRIVATE_TORCH, name: ["torch._inductor.config"]}
    for number in range(5):
        (tmp_path / f"{number}.py").touch()
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows/inside.py").touch()
    assert len(structure.loose_modules(str(tmp_path))) == 6
