"""The workflows of `.github/workflows`, which cannot run here: their form is linted, and each of
their steps is run in a fresh clone of HEAD, as the YAML has it.

What needs the hosting service is stubbed: `gh` writes down what it was asked. What takes long is
`make`, which does so too; the targets that it was asked for must be in the Makefile. The push of
the notebooks is made, into a repository of this test. One slow test makes the book itself.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from arbitration.files.folders import ROOT, cache

FOLDER = ROOT / ".github" / "workflows"
NAMES = ("book", "release", "test", "weekly")
#: Each action, at the commit of the release that stands behind it.
PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
#: What each job may do.
ALLOWED = {
    ("test", "test"): {"contents": "read"},
    ("book", "build"): {"contents": "read"},
    ("book", "deploy"): {"pages": "write", "id-token": "write"},
    ("book", "launch"): {"contents": "write"},
    ("release", "build"): {"contents": "read"},
    ("release", "draft"): {"contents": "write"},
    ("weekly", "newest"): {"contents": "read"},
    ("weekly", "report"): {"issues": "write"},
}
#: What the service puts in the place of expressions.
EXPRESSIONS = {
    "inputs.MEASURE": "1",
    "github.token": "none",
    "github.server_url": "https://github.com",
    "github.repository": "owner/name",
    "github.run_id": "7",
}
TAG = "v0.1.0"


@dataclass(frozen=True)
class Step:
    """A step of a job that is a command."""

    workflow: str
    job: str
    command: str
    folder: str
    environment: dict

    def __str__(self):
        return f"{self.workflow}-{self.job}-{self.command.splitlines()[0][:40]}"


def read(name):
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))


def filled(text):
    """A text with its expressions replaced; one that no test knows is an error."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: EXPRESSIONS[found[1]], text)


def list_steps():
    for name in NAMES:
        for job, about in read(name)["jobs"].items():
            for step in about["steps"]:
                if "run" in step:
                    given = {key: filled(value) for key, value in step.get("env", {}).items()}
                    folder = step.get("working-directory", ".")
                    yield Step(name, job, step["run"], folder, given)


STEPS = list(list_steps())


def test_these_are_all_and_their_form_is_what_github_reads():
    """By the published schema of workflows; zizmor looks for what is unsafe."""
    files = sorted(FOLDER.iterdir())
    assert [path.name for path in files] == [f"{name}.yml" for name in NAMES]
    programs = Path(sys.executable).parent
    for command in (
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
        ["zizmor", "--offline", "--no-progress"],
    ):
        whole = [programs / command[0], *command[1:], *files]
        done = subprocess.run(whole, check=False, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_and_jobs_may_do_little_and_end(name):
    text, whole = (FOLDER / f"{name}.yml").read_text(encoding="utf-8"), read(name)
    used = re.findall(r"uses: .*", text)
    assert used and [line for line in used if not PINNED.fullmatch(line)] == []
    assert whole["permissions"] == {} and "concurrency" in whole
    for job, about in whole["jobs"].items():
        assert about["permissions"] == ALLOWED[name, job]
        assert about["timeout-minutes"] <= 360
    for step in (one for about in whole["jobs"].values() for one in about["steps"]):
        assert not str(step.get("uses")).startswith("actions/checkout") or step["with"] == {
            "persist-credentials": False
        }


def test_they_start_when_they_should():
    """YAML reads `on` as true."""
    starts = {name: read(name)[True] for name in NAMES}
    assert starts["test"] == {"push": {"branches": ["main"]}, "pull_request": None}
    assert starts["book"]["push"] == {"branches": ["main"]}
    asked = starts["book"]["workflow_dispatch"]["inputs"]["MEASURE"]
    assert asked["options"] == ["0", "1"] and asked["default"] == "0"
    assert starts["release"] == {"push": {"tags": ["v*"]}}
    assert {*starts["weekly"]} == {"schedule", "workflow_dispatch"}
    assert read("test")["jobs"]["test"]["strategy"]["matrix"] == {
        "python": ["3.11", "3.12", "3.13"]
    }
    assert read("weekly")["jobs"]["report"]["if"] == "failure()"


def test_what_is_cached_lies_where_it_is_measured(monkeypatch):
    monkeypatch.delenv("ARBITRATION_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    paths = [
        Path(step["with"]["path"]).expanduser()
        for name in NAMES
        for about in read(name)["jobs"].values()
        for step in about["steps"]
        if step.get("uses", "").startswith("actions/cache")
    ]
    assert len(paths) == 2
    assert all(path == cache() or path.parent == cache() for path in paths)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    return folder


@pytest.fixture
def called(tmp_path):
    """Stand-ins for `make` and `gh`, and a function that tells what they were asked."""
    programs, told = tmp_path / "programs", tmp_path / "told"
    programs.mkdir()
    told.touch()
    for name in ("make", "gh"):
        program = programs / name
        program.write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            f"asked = [{name!r}, *sys.argv[1:], 'MEASURE=' + os.environ.get('MEASURE', '')]\n"
            f"open({str(told)!r}, 'a').write(json.dumps(asked) + chr(10))\n"
            "print(os.environ.get('ANSWER', '') if sys.argv[2:3] == ['list'] else '')\n"
        )
        program.chmod(0o755)
    return programs, lambda: [json.loads(line) for line in told.read_text().splitlines()]


def run_step(step, folder, programs=None, **environment):
    """As the service runs it: `bash -e`, and what it sets."""
    path = [str(programs)] if programs else []
    given = {
        **os.environ,
        "PATH": os.pathsep.join([*path, os.environ["PATH"]]),
        "GITHUB_REPOSITORY": "owner/name",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567",
        "GITHUB_REF_NAME": TAG,
        **step.environment,
        **environment,
    }
    return subprocess.run(
        ["bash", "-e", "-c", step.command],
        cwd=folder / step.folder,
        env=given,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )


MAKES = [step for step in STEPS if step.command.startswith("make ")]


@pytest.mark.parametrize("step", MAKES, ids=str)
def test_a_step_makes_what_the_makefile_knows(step, clone, called, tmp_path):
    programs, asked = called
    done = run_step(step, clone, programs)
    assert done.returncode == 0, done.stderr
    ((_, *words, measure),) = asked()
    assert measure == ("MEASURE=1" if step.workflow == "book" else "MEASURE=")
    stamps = [f"{one}={tmp_path / one}" for one in ("INSTALLED", "DASK", "BUILT")]
    given = {**os.environ, "MEASURE": measure.removeprefix("MEASURE=")}
    done = subprocess.run(
        ["make", "-n", *words, *stamps],
        cwd=clone,
        env=given,
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    if step.workflow == "book":
        assert "-m press.run -p measure true" in done.stdout
    pinned = "-c constraints.txt" in done.stdout
    assert pinned == (step.workflow != "weekly")


def test_every_other_step_is_run_by_a_test_of_its_own():
    others = [(step.workflow, step.job) for step in STEPS if step not in MAKES]
    assert others == [("book", "launch"), ("release", "draft"), ("weekly", "report")]
    commands = [step.command for step in MAKES]
    assert {"make test", "make book", "make wheel pdf tables"} <= {*commands}


def step_of(workflow, job):
    (found,) = [step for step in STEPS if (step.workflow, step.job) == (workflow, job)]
    return found


def test_the_notebooks_are_pushed_to_a_branch_of_their_own_without_history(called, tmp_path):
    """Into a repository in a folder; `gh`, which lends git the token, is stubbed."""
    programs, asked = called
    remote = tmp_path / "owner" / "name"
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)

    def ask(*words):
        done = subprocess.run(["git", *words], cwd=remote, check=True, capture_output=True)
        return done.stdout.decode().split()

    for name in ("first", "second"):
        folder = tmp_path / name / "notebooks"
        folder.mkdir(parents=True)
        (folder / f"{name}.ipynb").write_text("{}")
        step = step_of("book", "launch")
        server = {"GITHUB_SERVER_URL": f"file://{tmp_path}"}
        done = run_step(step, folder.parent, programs, **server)
        assert done.returncode == 0, done.stderr
        assert ask("ls-tree", "--name-only", "launch") == [f"{name}.ipynb"]
        assert ask("rev-list", "--count", "launch") == ["1"]
    assert ["gh", "auth", "setup-git", "MEASURE="] in asked()


def test_a_release_is_a_draft_with_the_notes_and_all_three_files(called, tmp_path):
    programs, asked = called
    folder = tmp_path / "release"
    folder.mkdir()
    names = ("notes.md", "a.whl", "b.pdf", "c.zip")
    for name in names:
        (folder / name).touch()
    done = run_step(step_of("release", "draft"), tmp_path, programs)
    assert done.returncode == 0, done.stderr
    ((_, *words, _),) = asked()
    assert words[:4] == ["release", "create", TAG, "--draft"]
    assert words[-5:] == ["--notes-file", "notes.md", "./a.whl", "./b.pdf", "./c.zip"]


@pytest.mark.parametrize("number", ["", "12"])
def test_a_broken_week_opens_one_issue_and_adds_to_it(number, called, tmp_path):
    programs, asked = called
    done = run_step(step_of("weekly", "report"), tmp_path, programs, ANSWER=number)
    assert done.returncode == 0, done.stderr
    (_, _, looked, *_), (_, _, did, *rest, _) = asked()
    assert looked == "list" and did == ("comment" if number else "create")
    assert "https://github.com/owner/name/actions/runs/7" in rest[-1]
    assert (rest[0] == number) if number else (rest[:1] == ["--title"])


@pytest.mark.slow
def test_the_book_is_made_from_a_fresh_clone_by_the_workflows_own_step(tmp_path):
    """With everything that it installs."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    (step,) = [one for one in MAKES if one.workflow == "book"]
    done = run_step(step, folder, MEASURE="")
    assert done.returncode == 0, done.stderr[-3000:]
    site = folder / "_build" / "html"
    assert (site / "index.html").is_file() and [*(site / "notebooks").glob("*.ipynb")]
    shutil.rmtree(folder)
