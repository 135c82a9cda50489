"""What a stranger relies on: the commands, the pinned versions, the table of contents."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def pins():
    return dict(line.split("==") for line in text("constraints.txt").splitlines() if not line.startswith("#"))


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def committed():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_every_requirement_is_pinned_to_a_version_that_it_allows():
    pinned = {plain(name): version for name, version in pins().items()}
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert requirement.specifier.contains(pinned[plain(requirement.name)]), requirement


def test_the_pinned_versions_are_those_installed_here():
    from importlib.metadata import version
    names = [Requirement(line).name for line in PROJECT["dependencies"]]
    installed = {name: version(name) for name in names}
    pinned = {plain(name): release for name, release in pins().items()}
    assert {name: pinned[plain(name)] for name in names} == {k: v.split("+")[0] for k, v in installed.items()}


def test_conda_gets_the_same_environment():
    conda = yaml.safe_load(text("environment.yml"))
    python = f"python{PROJECT['requires-python']}"
    assert conda["name"] == PROJECT["name"]
    assert conda["dependencies"] == [python, "pip", "make", {"pip": ["-c constraints.txt", "-e ."]}]


def test_the_readme_opens_with_the_two_commands_and_ci_runs_its_test_command():
    first = re.search(r"```sh\n(.*?)```", text("README.md"), re.S)[1]
    commands = [line.split("#")[0].strip() for line in first.splitlines()]
    assert commands == ["make book", "make test"]
    assert "\nmake test\nmake exact-test\nmake browser-test\n" in text(".ci/run")
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.parametrize("name", ["README.md", ".ci/run"])
def test_every_make_command_named_there_exists(name):
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text(name), re.M))
    assert named and named <= targets


def test_make_refuses_an_old_python_with_a_sentence(tmp_path):
    old = tmp_path / "old"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 10); sys.version = \'3.10.9\'; '
                   'exec(sys.argv[2])" "$@"\n')
    old.chmod(0o755)
    stamp = ".venv/installed-never"  # a stamp that does not exist, so that make asks the interpreter
    done = subprocess.run(["make", f"PYTHON={old}", f"INSTALLED={stamp}", "test"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "is Python 3.10.9; 3.11 or later is needed" in done.stderr


def test_the_table_of_contents_lists_every_page_and_every_run():
    toc = yaml.safe_load(text("_toc.yml"))
    listed = [toc["root"]] + [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    pages = {path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "book").glob("*.md")}
    notebooks = [Path(name).stem for name in committed() if re.fullmatch(r"notebooks/\w+\.ipynb", name)]
    runs = {f"book/_executed/{model}/{name}" for model in ("smol", "smol-relay") for name in notebooks}
    assert sorted(listed) == sorted(pages | runs)


def test_nothing_committed_names_a_folder_of_this_machine_or_a_registry():
    # Written in halves, because this file is committed too.
    forbidden = re.compile("|".join(["/wo" + "rk/", "/opt/" + "pypi", "/ho" + "me/", "pypi" + r"\.org", "pythonhosted" + r"\.org"]))
    kinds = {".py", ".md", ".toml", ".txt", ".yml", ".cff", ".ipynb", ".bib", ".json", ".jsonl", ""}
    found = [name for name in committed() if Path(name).suffix in kinds and name != "LICENSE" and forbidden.search(text(name))]
    assert found == []


def test_the_package_is_not_ignored():
    done = subprocess.run(["git", "check-ignore", "lib/arbitration/metrics.py", "data/scenes/samples.jsonl"], cwd=ROOT)
    assert done.returncode == 1


def test_the_book_is_measured_once():
    """A prerequisite that names the folder `book` would make the target of that name run again, and again."""
    done = subprocess.run(["make", "-n", "-W", "README.md", "book"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("notebooks/run.py") == 1
