"""What a wheel carries, and that it works where nothing else of this project is.

The environment is one of its own (`fresh`): the wheel, and of other people's packages those that it
asks for. Nothing there leads to the checkout.
"""

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import nbformat
import pytest
from hatchling.builders.wheel import WheelBuilder

from arbitration.files import code, folders, shipped
from arbitration.files.folders import ROOT
from fresh import make_environment, run_outside
from press.glued import read_glued
from press.publish import finished
from reproduction.measures import paths
from reproduction.results.origin import code_version

#: Bytes that a wheel may have.
LIMIT = 60e6
CARRIED = "arbitration/_carried/"
#: All of the library without an extra, what it finds, and from where it comes.
LOOK = """
import json, pkgutil, sys
from importlib import import_module
import arbitration, reproduction
from arbitration.files import folders, shipped
from reproduction.measures import paths
from reproduction.results import origin
for package in (arbitration, reproduction):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
shipped.check_shipped(*shipped.list_shipped())
homes = [getattr(module, "__file__", None) or "" for module in sys.modules.values()]
print(json.dumps({
    "homes": [*homes, *sys.path],
    "shipped": list(shipped.list_shipped()),
    "code": origin.code_version(paths.measure_paths),
    "installed": folders.INSTALLED,
}))
"""


def listed(folder):
    """Committed files below a folder."""
    command = ["git", "ls-files", "-z", folder]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}


def test_a_wheel_carries_libraries_data_and_notebooks_without_records():
    files = list(WheelBuilder(str(ROOT)).recurse_included_files())
    places = {one.relative_path: one.distribution_path for one in files}
    libraries = {name.removeprefix("lib/"): name for name in listed("lib")}
    beside = {*listed("data"), *listed("notebooks"), "_toc.yml", "constraints.txt"}
    beside = {name for name in beside if not name.startswith("data/results/")}
    wanted = {name: short for short, name in libraries.items()}
    wanted |= {name: CARRIED + name for name in beside}
    assert wanted.items() <= places.items()
    homes = {place.split("/")[0] for place in places.values()}
    assert homes == set(code.PACKAGES) and "data/results" not in " ".join(places)
    # Before they are made smaller: so the wheel is within its limit too.
    assert sum((ROOT / name).stat().st_size for name in places) < LIMIT


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel, built from a source archive that was built from here."""
    room = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "hatchling", "build", "-d", room]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True)
    (archive,) = room.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(room / "source", filter="data")
    (source,) = (room / "source").iterdir()
    subprocess.run([*build, "-t", "wheel"], cwd=source, check=True)
    (wheel,) = room.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def core(built, tmp_path_factory):
    """An environment without any extra: its interpreter."""
    return make_environment(tmp_path_factory.mktemp("core"), built)


@pytest.fixture(scope="module")
def book(built, tmp_path_factory):
    return make_environment(tmp_path_factory.mktemp("book"), built, "book")


@pytest.mark.wheel
def test_the_wheel_of_a_source_archive_is_that_of_the_checkout(built):
    assert built.stat().st_size < LIMIT
    wanted = {one.distribution_path for one in WheelBuilder(str(ROOT)).recurse_included_files()}
    with zipfile.ZipFile(built) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == wanted


@pytest.mark.wheel
def test_the_core_is_enough_for_both_libraries_and_nothing_comes_from_here(core, tmp_path):
    said = json.loads(run_outside([core, "-c", LOOK], tmp_path).splitlines()[-1])
    home = core.parents[1]
    own = [Path(one) for one in said["homes"] if Path(one).parts[-2:-1] == ("arbitration",)]
    assert own and all(path.is_relative_to(home) for path in own)
    assert not [one for one in said["homes"] if Path(one).is_relative_to(ROOT / "lib")]
    assert said["installed"] and not folders.INSTALLED
    assert said["shipped"] == list(shipped.list_shipped())
    assert said["code"] == code_version(paths.measure_paths)


@pytest.mark.wheel
def test_the_readme_s_example_and_the_conformance_of_smol(core, tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(import arbitration.*?)```", text, re.S)[1]
    said = run_outside([core, "-c", example], tmp_path)
    curve = [float(one) for one in re.findall(r"^\d+ +\d+ +(\S+)$", said, re.M)]
    assert len(curve) == 30 and max(curve) > 1, said
    said = run_outside([core, "-m", "arbitration.checks.conformance", "smol"], tmp_path)
    assert "passed" in said and "failed" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.wheel
def test_a_notebook_runs_from_the_wheel_and_writes_where_the_command_was_typed(book, tmp_path):
    before = sorted(book.parents[1].rglob("_carried/**/*"))
    run = [book, "-m", "press.run", "--notebook", "sec4_components", "--model", "smol"]
    run_outside([*run, "-p", "n", "1"], tmp_path)
    made = tmp_path / "book" / "_executed" / "smol" / "sec4_components.ipynb"
    notebook = nbformat.read(made, as_version=4)
    assert finished(notebook) and read_glued(notebook)
    assert str(book.parents[1]) not in made.read_text(encoding="utf-8")
    assert sorted(book.parents[1].rglob("_carried/**/*")) == before
    assert "unchanged" in run_outside([*run, "-p", "n", "1"], tmp_path)
