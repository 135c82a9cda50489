"""Ctrl-C in every phase: status 130, one line that says how to go on, no traceback, no half file;
and the same command ends as if nothing had been.

Running notebooks and models side by side are in `test_runner`, the command's start in
`test_command`, workers in `test_cluster`, the questions to a language model in
`test_appB_dictionary`.
"""

import os
import subprocess
import sys

import nbformat
import pytest

from apart import interrupt, run_apart, strike_everywhere
from arbitration.commands import status
from arbitration.files import checksums, web
from arbitration.files.folders import ROOT
from press import publish, run
from toy_measure import encode, folders, measure, published, recorded
from toy_notebook import files_of

pytestmark = pytest.mark.faults


def ends_well(said: str, folder) -> None:
    assert [line for line in said.splitlines() if line.startswith("stopped: ")] == [
        f"stopped: {run.KEPT}"
    ], said
    assert "Traceback" not in said and not list(folder.rglob("*.partial"))


def test_while_rows_are_kept_recorded_and_published(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("ARBITRATION_RECORD", "1")
    prompts = encode(subject, 2)

    def work(number):
        os.environ.update(folders(tmp_path / str(number)))
        return status(lambda: measure(subject, prompts), run.KEPT)

    assert run_apart(lambda: work("whole"))[0] == 0

    def check(number, said):
        if said is not None:
            ends_well(said, tmp_path / str(number))
        else:
            both = [tmp_path / "whole", tmp_path / str(number)]
            assert published(both[0], subject).equals(published(both[1], subject))
            assert recorded(both[0], subject).equals(recorded(both[1], subject))

    assert strike_everywhere(interrupt, 130, work, check) > 12


def test_while_a_run_is_published(tmp_path):
    source = tmp_path / "toy.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), source)
    one = publish.Run(source, "smol")

    def put(executed):
        before, prints = publish.seen(one, executed), publish.fingerprint(one)
        with publish.staged(one, executed) as staging:
            (staging / "output" / "smol").mkdir(parents=True)
            (staging / "output" / "smol" / "fig.svg").write_text("a figure")
            notebook = nbformat.v4.new_notebook()
            notebook.metadata["papermill"] = {"exception": None, "end_time": "2026-01-01"}
            nbformat.write(notebook, staging / "toy.ipynb")
            publish.publish_run(one, staging, executed, prints, before)

    put(tmp_path / "whole")

    def work(number):
        return run.conclude(lambda: put(tmp_path / str(number)))

    def check(number, said):
        executed = tmp_path / str(number)
        if said is not None:
            ends_well(said, executed)
            assert not publish.is_current(one, executed)
            assert not [path for path in (executed / ".running").iterdir() if path.is_dir()]
        else:
            assert publish.is_current(one, executed)
            assert files_of(executed) == files_of(tmp_path / "whole")

    assert strike_everywhere(interrupt, 130, work, check) > 4


def test_while_something_is_fetched(tmp_path):
    def fetch(folder):
        os.environ["ARBITRATION_CACHE"] = str(folder / "cache")
        web.kept("web", folder / "file", bytes, lambda url: b"content of the web")
        checksums.make_once(
            [folder / "one"], lambda free: free[folder / "one"].write_bytes(b"made")
        )

    def work(number):
        return status(lambda: fetch(tmp_path / str(number)), run.KEPT)

    def check(number, said):
        if said is not None:
            ends_well(said, tmp_path / str(number))
        else:
            assert checksums.is_whole(tmp_path / str(number) / "file")
            assert checksums.is_whole(tmp_path / str(number) / "one")

    assert strike_everywhere(interrupt, 130, work, check) > 6


@pytest.mark.parametrize(
    "command, imported",
    [
        ("arbitration.dictionary", "pandas"),
        ("arbitration.checks.conformance", "torch"),
        ("recipe.train", "torch"),
        ("recipe.evaluate", "torch"),
        ("press.pair", "jupytext"),
        ("press.run", "papermill"),
        ("press.record", "papermill"),
        ("press.attest", "pandas"),
        ("reproduction.results", "pandas"),
        ("reproduction.results", "torch"),
    ],
)
def test_while_a_command_imports_what_it_works_with(tmp_path, command, imported):
    """Which takes seconds."""
    (tmp_path / f"{imported}.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", command, "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT / "lib")))},
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("stopped: ") and line.endswith(("from the start", "from there"))
