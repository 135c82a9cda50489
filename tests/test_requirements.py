"""What other people's code each place imports is declared in the set that its readers install."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from arbitration.files.folders import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: The extras that a place may rely on, besides the dependencies that everybody gets.
EXTRAS = {
    "lib/arbitration": (),
    "lib/recipe": (),
    "lib/reproduction": (),
    "lib/reproduction/results/cluster.py": ("cluster",),
    "lib/press": ("book",),
    "lib/press/workers.py": ("book", "cluster"),
    "notebooks": ("book",),
    "book/_ext": ("book",),
    "benchmarks": ("book",),
    "tests": ("book", "cluster", "dev"),
}
#: What is declared though nothing imports it: other libraries load it, or a command is called.
CALLED = {
    "check-jsonschema",
    "dask-jobqueue",
    "gguf",
    "import-linter",
    "jupyter-book",
    "jupyterlab",
    "pip",
    "pre-commit",
    "pytest-xdist",
    "ruff",
    "sphinx-mathjax-offline",
    "torchvision",
    "zizmor",
}


def declared(*extras):
    lines = [*PROJECT["dependencies"]]
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def own_modules():
    """What is found on this project's own paths."""
    homes = [ROOT / name for name in ("lib", "book/_ext", "benchmarks")]
    homes += [path for path in (ROOT / "tests").iterdir() if path.is_dir()]
    return {path.stem for home in homes for path in home.iterdir()}


def imported(path):
    """The top-level modules that a program imports, wherever in it, but for Python's own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
        yield from ({name.partition(".")[0] for name in names} - sys.stdlib_module_names)


@pytest.fixture(scope="module")
def packages():
    """For each program, the packages whose modules it imports."""
    homes, own, found = packages_distributions(), own_modules(), {}
    places = [ROOT / place for place in EXTRAS if (ROOT / place).is_dir()]
    for path in (path for place in places for path in place.rglob("*.py")):
        names = set(imported(path)) - own
        unknown = names - homes.keys()
        assert not unknown, f"{path} imports {unknown}, which no installed package has"
        found[path.relative_to(ROOT)] = {canonicalize_name(homes[name][0]) for name in names}
    return found


def place_of(path):
    """The narrowest place that has rules for a program."""
    known = [place for place in EXTRAS if path.is_relative_to(place)]
    return max(known, key=len)


def test_every_import_is_declared_where_its_readers_install_it(packages):
    assert len(packages) > 250
    lacking = {
        path.as_posix(): sorted(missing)
        for path, needed in packages.items()
        if (missing := needed - declared(*EXTRAS[place_of(path)]))
    }
    assert lacking == {}


def test_everything_declared_is_imported_or_called(packages):
    known = declared(*PROJECT["optional-dependencies"])
    assert known - set().union(*packages.values()) == CALLED
