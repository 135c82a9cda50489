"""The map of CONTRIBUTING.md is the tree: who may import whom, what is named like what, and where
each equation is written.
"""

import ast
import importlib
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import jupytext
import pytest

import arbitration
from arbitration.files.folders import ROOT
from press.publish import listed

LIB = ROOT / "lib"
EQUATIONS = range(1, 13)
FILES = sorted(LIB.rglob("*.py"))
ROOMS = sorted(path.parent for path in FILES if path.name == "__init__.py")


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def named(path):
    return path.relative_to(LIB).as_posix()


def files_of(room):
    """What a room holds, by the names under which it is imported."""
    inner = {path.name for path in room.iterdir() if (path / "__init__.py").exists()}
    return inner | {path.stem for path in room.glob("*.py")} - {"__init__"}


def from_imports(path):
    """(module, name, name here) of every `from … import …` of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module, one.name, one.asname or one.name) for one in node.names)


def test_the_import_contracts_hold():
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(LIB), "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
    assert "ignore_imports" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_no_file_of_the_libraries_imports_from_the_face():
    """Only what lies below it: the code version of a measurement follows imports from file to
    file.
    """
    found = []
    for path in FILES:
        plain = [
            one.name
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Import)
            for one in node.names
        ]
        taken = [name for module, name, _ in from_imports(path) if module == "arbitration"]
        found += [named(path) for name in plain if name == "arbitration"]
        found += [
            f"{named(path)}: {name}" for name in taken if name not in files_of(LIB / "arbitration")
        ]
    assert found == []


def test_no_room_offers_a_name_that_one_of_its_files_bears():
    """`from room import name` must not depend on what was imported before."""
    found = []
    for room in ROOMS:
        own = room.relative_to(LIB).as_posix().replace("/", ".")
        offered = {here for module, _, here in from_imports(room / "__init__.py") if module != own}
        found += [f"{own}: {name}" for name in offered & files_of(room)]
    face = {name for name, module in arbitration.FACE.items() if name != module}
    assert found == [] and not face & files_of(LIB / "arbitration")


@pytest.mark.parametrize("room", ["numbers", "figures"])
def test_every_notebook_has_its_file(room):
    for name in listed():
        bare = re.sub(r"^(sec\d+|app[A-Z])_", "", name)
        assert (LIB / "reproduction" / room / f"{bare}.py").is_file(), name


def test_the_folders_of_the_tests_are_named_like_rooms():
    rooms = {room.name for room in ROOMS} | {"helpers", "book", "benchmarks", "faults"}
    folders = {path.parent.name for path in (ROOT / "tests").rglob("*.py")} - {"tests"}
    assert len(folders) > 12 and folders <= rooms


def test_no_file_imports_from_a_conftest():
    """There are several, and the name is that of the one which happened to be loaded last."""
    modules = {path: {one[0] for one in from_imports(path)} for path in ROOT.glob("tests/**/*.py")}
    assert [path.name for path, found in modules.items() if "conftest" in found] == []


def test_no_file_of_the_libraries_is_too_long_to_be_read_at_once():
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_two_files_of_the_libraries_call_different_things_by_one_name():
    """`main` of commands, and `load` of what has its own way to be loaded, are the exceptions."""
    where = defaultdict(set)
    for path in FILES:
        for node in tree(path).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                where[node.name].add(named(path))
    assert {name for name, files in where.items() if len(files) > 1} == {"main", "load"}


def owners():
    """(equation, file, name) of each public function or class under lib/arbitration that has an
    equation in the first paragraph of its docstring, as (Eq. N).
    """
    for path in sorted((LIB / "arbitration").rglob("*.py")):
        for node in ast.walk(tree(path)):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith("_"):
                continue
            summary = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
            for numbers in re.findall(r"\(Eqs?\. ([^)]*)\)", summary):
                for number in re.findall(r"\d+", numbers):
                    yield int(number), path.relative_to(LIB / "arbitration").as_posix(), node.name


def rows():
    """(of the paper, here, where it is written) of the table in the face's docstring."""
    body = re.split(r"^=+ +=+ +=+\n", arbitration.__doc__, flags=re.M)[2]
    return [[cell.strip("`") for cell in re.split(r" {2,}", line)] for line in body.splitlines()]


def test_each_equation_is_written_in_one_function_and_stands_in_the_table_of_the_face():
    written = sorted(owners())
    assert [number for number, _, _ in written] == list(EQUATIONS)
    tabled = []
    for paper, here, file in rows():
        if re.fullmatch(r"Eqs?\. [\d, and]+", paper):
            numbers = map(int, re.findall(r"\d+", paper))
            tabled += [(number, file, here.split(".")[-1]) for number in numbers]
    assert sorted(tabled) == written


def test_every_row_of_the_table_leads_to_what_it_names():
    for _, here, file in rows():
        value = arbitration
        for part in here.split("."):
            value = getattr(value, part)
        assert callable(value) and value.__module__ == f"arbitration.{file[:-3].replace('/', '.')}"


def test_the_face_is_small_and_each_of_its_names_can_be_imported():
    assert len(arbitration.__all__) <= 25
    for name, module in arbitration.FACE.items():
        written = importlib.import_module(f"arbitration.{module}")
        assert getattr(arbitration, name) is getattr(written, name, written)


@pytest.mark.parametrize("notebook", listed())
def test_a_notebook_is_what_a_reader_tweaks(notebook):
    """Short cells that call the library, one preamble, and a word on every parameter."""
    cells = jupytext.read(ROOT / "notebooks" / f"{notebook}.py").cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert max(len(line) for cell in cells for line in cell.source.splitlines()) <= 88
    (parameters,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert [line for line in parameters.source.splitlines() if "  # " not in line] == []
    others = [cell.source for cell in code if cell is not parameters]
    assert max(len([line for line in source.splitlines() if line]) for source in others) <= 10
    text = "\n".join(others)
    assert text.count("cohorts.study(globals())") == 1
    kinds = {type(node) for node in ast.walk(ast.parse(text))}
    assert not kinds & {ast.FunctionDef, ast.Lambda, ast.ClassDef}
