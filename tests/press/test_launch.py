"""The notebooks as they are opened away from a checkout."""

import os
import subprocess
import sys

import nbformat
import pytest

from arbitration.files.folders import ROOT
from browser_book import write_model
from press.launch import address_binder, address_colab, write_launched
from press.planned import NOTEBOOKS
from press.publish import listed
from press.repository import Repository

HERE = Repository("https://github.com/owner/name", "0123456789abcdef0123456789abcdef01234567")
ELSEWHERE = Repository("https://git.example.org/group/name", HERE.commit)
ASKED = f'install --quiet "instruction-anchors[book] @ git+{HERE.url}@{HERE.commit}"'
#: What makes a run of a tiny model short.
SHORT = {
    "sec3_knockout": {"n_controls": 1},
    "sec4_heads": {"draws": 1, "elsewhere": 1},
    "sec4_sensitivity": {"singles": 1, "draws": 1, "tries": 4},
    "appC_windows": {"widths": [1, 5], "n_controls": 1},
    "appE_ablations": {"draws": 1},
    "appG_reviews": {"few": 2, "tries": 4},
    "steer": {"draws": 2},
}


def test_colab_opens_notebooks_of_github_alone_and_binder_those_of_any_host():
    home = "https://colab.research.google.com/github/owner/name"
    assert address_colab(HERE, "steer") == f"{home}/blob/launch/steer.ipynb"
    assert address_colab(ELSEWHERE, "steer") == ""
    home, place = "https://mybinder.org/v2", "labpath=notebooks%2Fsteer.ipynb"
    assert address_binder(HERE, "steer") == f"{home}/gh/owner/name/{HERE.commit}?{place}"
    url = "https%3A%2F%2Fgit.example.org%2Fgroup%2Fname"
    assert address_binder(ELSEWHERE, "steer") == f"{home}/git/{url}/{HERE.commit}?{place}"


def test_only_a_first_cell_is_added_and_only_where_it_knows_what_to_install(tmp_path):
    for repository in (HERE, None):
        write_launched(["steer"], tmp_path, repository)
        found = nbformat.read(tmp_path / "steer.ipynb", as_version=4)
        nbformat.validate(found)
        cells = found.cells
        if repository:
            first, *cells = cells
            assert f"%pip {ASKED}" in first.source
        assert cells == nbformat.read(NOTEBOOKS / "steer.ipynb", as_version=4).cells


def test_the_first_cell_installs_what_is_not_there_and_says_nothing_where_it_is(tmp_path):
    """In IPython, with pip replaced by what says that it was called."""
    write_launched(["steer"], tmp_path, HERE)
    cell = nbformat.read(tmp_path / "steer.ipynb", as_version=4).cells[0].source
    program = f"""
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.register_magic_function(lambda line: print("pip", line), magic_name="pip")
assert shell.run_cell({cell!r}).success
"""

    def say(*options, path):
        command = [sys.executable, *options, "-c", program]
        given = {**os.environ, "PYTHONPATH": path, "IPYTHONDIR": str(tmp_path)}
        done = subprocess.run(
            command, cwd=tmp_path, env=given, check=True, capture_output=True, encoding="utf-8"
        )
        return done.stdout

    assert say(path=str(ROOT / "lib")) == ""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    # A finder that knows no such package, whatever is installed.
    (hidden / "sitecustomize.py").write_text(
        "import sys, importlib.machinery as m\n"
        "class Blind(m.PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, *rest):\n"
        "        return None if name == 'arbitration' else m.PathFinder.find_spec(name, *rest)\n"
        "sys.meta_path = [Blind if one is m.PathFinder else one for one in sys.meta_path]\n"
    )
    assert say(path=str(hidden)) == f"pip {ASKED}\n"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "sec2_dataset" else pytest.mark.slow)
        for name in listed()
    ],
)
def test_a_downloaded_notebook_runs_alone_in_an_empty_folder(name, tmp_path):
    """With the package, and without a checkout around it."""
    empty, model = tmp_path / "empty", write_model(tmp_path / "model")
    empty.mkdir()
    write_launched([name], empty, HERE)
    parameters = {"model": model, "n": 2, **SHORT.get(name, {})}
    if name != "sec2_dataset":
        parameters["only_following"] = False
    words = [word for key, one in parameters.items() for word in ("-p", key, str(one))]
    command = [sys.executable, "-m", "papermill", f"{name}.ipynb", "out.ipynb", *words]
    kept = {"ARBITRATION_OUTPUT": str(tmp_path / "out"), "ARBITRATION_CACHE": str(tmp_path)}
    given = {**os.environ, "PYTHONPATH": str(ROOT / "lib"), **kept, "JUPYTER_PREFER_ENV_PATH": "1"}
    done = subprocess.run(
        [*command, "--no-progress-bar"],
        cwd=empty,
        env=given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path.name for path in empty.iterdir()} == {f"{name}.ipynb", "out.ipynb"}
    assert [*(tmp_path / "out").rglob("*.parquet")]
    first = nbformat.read(empty / "out.ipynb", as_version=4).cells[0]
    assert first.source.startswith("# Installs") and first.outputs == []
