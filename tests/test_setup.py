"""What a stranger relies on: the commands, the pinned versions, the table of contents."""

import ast
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

from arbitration.files.folders import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def pins():
    return dict(
        line.split("==")
        for line in text("constraints.txt").splitlines()
        if not line.startswith("#")
    )


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def committed():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_every_requirement_is_pinned_to_a_version_that_it_allows():
    pinned = {plain(name): version for name, version in pins().items()}
    extras = sum(PROJECT["optional-dependencies"].values(), [])
    for requirement in map(Requirement, [*PROJECT["dependencies"], *extras]):
        assert requirement.specifier.contains(pinned[plain(requirement.name)]), requirement


@pytest.mark.skipif(os.environ.get("NEWEST") == "1", reason="make NEWEST=1 installs others")
def test_the_pinned_versions_are_those_installed_here():
    from importlib.metadata import version

    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["book"], *extras["dev"]]
    names = [Requirement(line).name for line in lines]
    installed = {name: version(name) for name in names}
    pinned = {plain(name): release for name, release in pins().items()}
    assert {name: pinned[plain(name)] for name in names} == {
        k: v.split("+")[0] for k, v in installed.items()
    }


@pytest.mark.parametrize("name", ["CLUSTER", "SCHEDULER"])
@pytest.mark.parametrize("target", ["book", "notebook"])
def test_workers_need_their_extra_and_are_passed_on(target, name, tmp_path):
    """Into stamps that do not exist, so that make says all that it would do."""
    stamps = [f"{one}={tmp_path / one}" for one in ("INSTALLED", "DASK", "BUILT")]

    def said(*given):
        command = ["make", "-n", target, "SECTION=sec4_heads", *stamps, *given]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if "-m press.run" in line]
        return line, "-e '.[cluster]'" in done.stdout

    line, installs = said(f"{name}=4")
    assert f" --{name.lower()} '4' " in line and installs
    line, installs = said()
    assert "--cluster" not in line and "--scheduler" not in line and not installs


def test_conda_gets_the_same_environment():
    conda = yaml.safe_load(text("environment.yml"))
    python = f"python{PROJECT['requires-python']}"
    (installed,) = re.findall(r"\$\(PINS\) -e '(\S*book\S*)'$", text("Makefile"), re.M)
    lines = ["-c constraints.txt", f"-e {installed}"]
    assert conda["name"] == PROJECT["name"]
    assert conda["dependencies"] == [python, "pip", "make", {"pip": lines}]


def test_binder_gets_this_project_with_a_torch_without_cuda():
    """Its ranges are those of the project, so that pip takes what conda has installed."""
    wanted = yaml.safe_load(text(".binder/environment.yml"))["dependencies"]
    assert wanted[-1] == {"pip": ["-e ..[book]"]}, "paths start from the file"
    ranges = PROJECT["dependencies"]
    torch = {name.replace("pytorch-cpu", "torch") for name in wanted[:-1] if "torch" in name}
    assert torch == {name for name in ranges if re.match("torch(vision)?>", name)}
    tested = yaml.safe_load(text(".github/workflows/test.yml"))["jobs"]["test"]["strategy"]
    assert wanted[0].removeprefix("python=") in tested["matrix"]["python"]


def test_the_readme_opens_with_the_two_commands_and_ci_runs_its_test_command():
    first = re.search(r"```sh\n(.*?)```", text("README.md"), re.S)[1]
    commands = [line.split("#")[0].strip() for line in first.splitlines()]
    assert commands == ["make book", "make test"]
    judged = ("check", "test", "exact-test", "fault-test", "browser-test")
    assert "".join(f"\nmake {name}" for name in judged) + "\n" in text(".ci/run")
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_hooks_before_a_commit_are_what_make_check_runs():
    """With the tools of .venv, so that nothing is fetched."""
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", text("Makefile"), re.M)[1]
    examples = re.search(r"^EXAMPLES := (.*)$", text("Makefile"), re.M)[1]
    commands = recipe.replace("$(BIN)", ".venv/bin").replace("$(EXAMPLES)", examples)
    (local,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == [
        line.strip() for line in commands.splitlines()
    ]
    assert {hook["language"] for hook in local["hooks"]} == {"system"}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_every_make_command_named_there_exists(name):
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text(name), re.M))
    assert named and named <= targets


def test_make_refuses_an_old_python_with_a_sentence(tmp_path):
    old = tmp_path / "old"
    pretend = "import sys; sys.version_info = (3, 10); sys.version = '3.10.9'; exec(sys.argv[2])"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{pretend}" "$@"\n')
    old.chmod(0o755)
    stamp = (
        ".venv/installed-never"  # a stamp that does not exist, so that make asks the interpreter
    )
    done = subprocess.run(
        ["make", f"PYTHON={old}", f"INSTALLED={stamp}", "test"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "is Python 3.10.9; 3.11 or later is needed" in done.stderr


def test_the_table_of_contents_lists_every_page_and_every_notebook():
    toc = yaml.safe_load(text("_toc.yml"))
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    listed = [toc["root"]] + [chapter["file"] for chapter in chapters if "file" in chapter]
    pages = {
        path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "book").glob("*.md")
    }
    assert sorted(listed) == sorted(pages)
    assert [one["glob"] for one in chapters if "glob" in one] == ["book/_executed/**/index"]
    notebooks = [
        Path(name).stem for name in committed() if re.fullmatch(r"notebooks/\w+\.ipynb", name)
    ]
    assert sorted(toc["meta"]["notebooks"]) == sorted(notebooks)


def test_nothing_committed_names_a_folder_of_this_machine_or_a_registry():
    # Written in halves, because this file is committed too.
    forbidden = re.compile(
        "|".join(
            [
                "/wo" + "rk/",
                "/opt/" + "pypi",
                "/ho" + "me/",
                "pypi" + r"\.org",
                "pythonhosted" + r"\.org",
            ]
        )
    )
    kinds = {".py", ".md", ".toml", ".txt", ".yml", ".cff", ".ipynb", ".bib", ".json", ".jsonl", ""}
    found = [
        name
        for name in committed()
        if Path(name).suffix in kinds and name != "LICENSE" and forbidden.search(text(name))
    ]
    assert found == []


def test_the_package_is_not_ignored():
    done = subprocess.run(
        [
            "git",
            "check-ignore",
            "lib/arbitration/equations/metrics.py",
            "data/scenes/samples.jsonl",
        ],
        cwd=ROOT,
    )
    assert done.returncode == 1


def test_the_book_is_measured_once():
    """A prerequisite that names the folder `book` would make the target of that name run again, and
    again.
    """
    done = subprocess.run(
        ["make", "-n", "-W", "README.md", "book"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("-m press.run") == 1


def unsaid(path):
    """Lines of a program that read or write text in whatever encoding the machine has."""
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call) or any(
            keyword.arg == "encoding" for keyword in call.keywords
        ):
            continue
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        owner = getattr(getattr(call.func, "value", None), "id", "")
        modes = [
            one.value
            for one in [*call.args, *(keyword.value for keyword in call.keywords)]
            if isinstance(one, ast.Constant)
        ]
        opened = (
            name == "open"
            and owner not in ("Image", "os", "pikepdf", "tarfile")
            and not any("b" in mode for mode in modes if isinstance(mode, str) and len(mode) < 4)
        )
        piped = owner == "subprocess" and any(
            keyword.arg in ("text", "universal_newlines") for keyword in call.keywords
        )
        if name in ("read_text", "write_text") or opened or piped:
            yield f"{path.relative_to(ROOT)}:{call.lineno}"


def test_every_text_file_is_read_and_written_as_utf_8():
    programs = [
        ROOT / name
        for name in committed()
        if name.endswith(".py") and name.startswith(("lib/", "notebooks/", "book/", "benchmarks/"))
    ]
    assert len(programs) > 60
    assert [line for path in programs for line in unsaid(path)] == []


@pytest.mark.parametrize(
    "module, argument, reached",
    [
        ("arbitration.checks.conformance", ["smol"], "arbitration.models.load.load"),
        ("arbitration.dictionary", ["scenes"], "arbitration.dataset.sets.source"),
        ("recipe.evaluate", ["smol"], "arbitration.models.embedded.build_embedded"),
        ("recipe.train", [], "recipe.build.toy"),
    ],
)
def test_an_interrupted_command_says_how_to_go_on(monkeypatch, capsys, module, argument, reached):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(reached, interrupted)
    monkeypatch.setattr(sys, "argv", [module, *argument])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    assert ended.value.code == 130
    assert re.fullmatch(
        r"stopped: .*(run it again|the same command goes on) from (the start|there)\n",
        capsys.readouterr().err,
    )


def test_the_contents_show_every_model_and_no_other_notebook(tmp_path):
    """A further model's runs get a page of their own, below which they stand; a notebook that is
    gone, a copy, and what lies deeper are no pages.
    """
    settings = yaml.safe_load(text("_config.yml"))
    kept = {name: settings["sphinx"]["config"][name] for name in ("include_patterns",)}
    local = {"directives": str(ROOT / "book" / "_ext")}
    settings |= {"sphinx": {"config": kept, "local_extensions": local}}
    settings |= {"bibtex_bibfiles": ["none.bib"]}
    (tmp_path / "none.bib").touch()
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nmeta: {notebooks: [sec]}\n"
        "chapters: [{glob: book/_executed/**/index}]\n",
        encoding="utf-8",
    )
    for name in ("smol/sec", "smol/gone", "smol/sec-Copy1", "org/name/sec", ".running/sec-1/sec"):
        path = tmp_path / "book" / "_executed" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(
            nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# A run · {name}")]),
            path,
        )
    (tmp_path / "book" / "index.md").write_text("# The book → ·\n", encoding="utf-8")
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        tmp_path,
        "--all",
        "-W",
        "-n",
        "--keep-going",
    ]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(
        path.relative_to(tmp_path / "_build/html/book").as_posix()
        for path in (tmp_path / "_build/html/book").rglob("*.html")
    ) == [
        "_executed/org/name/index.html",
        "_executed/org/name/sec.html",
        "_executed/smol/index.html",
        "_executed/smol/sec.html",
        "index.html",
    ]
    page = (tmp_path / "_build/html/book/_executed/smol/sec.html").read_text(encoding="utf-8")
    contents = re.findall(r'class="toctree-l(\d)[^"]*"><a[^>]*>\s*([^<]*?)\s*<', page)
    assert contents == [
        ("1", "org/name"),
        ("2", "A run · org/name/sec"),
        ("1", "smol"),
        ("2", "A run · smol/sec"),
    ]
