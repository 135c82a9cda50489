"""The clock set back, or a copy that keeps times: what has changed is told by content, and nothing
is measured, shown or read again as it was.
"""

import os
import subprocess
import time
from datetime import datetime
from pathlib import Path

import nbformat
import pandas as pd
import pytest

import tiny
from apart import run_apart
from arbitration.files import code
from arbitration.files.folders import ROOT
from press import publish
from reproduction.results import origin, records
from reproduction.results.origin import code_version
from toy_measure import count_rows, encode, folders, measure, published, recorded

pytestmark = pytest.mark.faults


def rewrite(path: Path, content: str | bytes) -> None:
    """Write a file as if in the very moment in which it was written before."""
    before = path.stat()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("back", [0, 10**18])
def test_a_record_that_was_written_anew_is_read_anew(tmp_path, monkeypatch, back):
    for name, folder in folders(tmp_path).items():
        monkeypatch.setenv(name, folder)
    path = records.record_path("toy", "rows")

    def add(nssd):
        rows = pd.DataFrame({"sample": ["a"], "nssd": [nssd]})
        part = records.Part("a", "c", rows, {"code": "x", "when": "2026-01-02"}, 1.0)
        records.add_parts("toy", "rows", "case", {}, [part])
        for one, moment in zip((path, path.with_suffix(".json")), moments):
            os.utime(one, ns=(moment, moment))
        return records.read_record(path).rows["nssd"].item()

    moments = (2 * 10**18, 2 * 10**18)
    assert add(0.5) == 0.5
    moments = (2 * 10**18 - back, 2 * 10**18 - back)
    assert add(0.25) == 0.25


def test_what_code_and_data_mean_is_looked_up_anew(tmp_path):
    module, data = tmp_path / "module.py", tmp_path / "data.json"
    module.write_text("width = 3\n")
    data.write_text("3")
    before = code._look(module).meaning, publish._digest(data, publish.tell_state(data))
    rewrite(module, "width = 5\n")
    rewrite(data, "5")
    code.look_again()
    after = code._look(module).meaning, publish._digest(data, publish.tell_state(data))
    assert before[0] != after[0] and before[1] != after[1]


def test_a_run_that_was_published_in_the_future_is_stale_when_its_notebook_changes(tmp_path):
    source, executed = tmp_path / "toy.ipynb", tmp_path / "executed"
    nbformat.write(nbformat.v4.new_notebook(), source)
    one = publish.Run(source, "smol")
    (staging := tmp_path / "staging").mkdir()
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["papermill"] = {"exception": None, "end_time": "2099-01-01"}
    nbformat.write(notebook, staging / "toy.ipynb")
    publish.publish_run(one, staging, executed, publish.fingerprint(one), b"")
    for path in executed.rglob("*"):
        os.utime(path, (4e9, 4e9))
    assert publish.is_current(one, executed)
    cell = nbformat.v4.new_code_cell("1")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), source)
    os.utime(source, (1e9, 1e9))
    assert not publish.is_current(one, executed)


class Earlier(datetime):
    """The clock of a machine whose battery is empty."""

    @classmethod
    def now(cls, zone=None):
        return datetime(1970, 1, 1, tzinfo=zone)


def test_rows_do_not_depend_on_the_clock(tmp_path):
    """Half of them measured before it was set back, and half after."""
    code_version(count_rows)
    subject = tiny.subject("llava")
    prompts = encode(subject, 2)

    def work(room, some, back=False):
        os.environ.update(folders(room))
        if back:
            origin.datetime, time.time = Earlier, lambda: 0.0
        measure(subject, some)

    recording = {"ARBITRATION_RECORD": "1"}
    for room, some, back in (
        (tmp_path / "whole", prompts, False),
        (tmp_path / "halves", prompts[:2], False),
        (tmp_path / "halves", prompts, True),
    ):
        status, said = run_apart(lambda: work(room, some, back), **recording)
        assert status == 0, said
    both = [tmp_path / room for room in ("whole", "halves")]
    assert published(both[0], subject).equals(published(both[1], subject))
    assert recorded(both[0], subject).equals(recorded(both[1], subject))
    made = records.read_record(both[1] / "records" / subject.name / "toy.parquet").made
    assert "1970-01-01" in {one["when"] for one in made.values()}, "the day is what the clock said"


def test_pages_are_written_again_when_their_text_is_older_but_other(tmp_path):
    """`make pages`, with stand-ins for what builds them and for what tells the repository."""
    (tmp_path / "bin").mkdir()
    builder, address = (tmp_path / "bin" / name for name in ("jupyter-book", "python"))
    builder.write_text(f"#!/bin/sh\necho built >>{tmp_path}/log\n")
    address.write_text("#!/bin/sh\necho none\n")
    for program in (builder, address):
        program.chmod(0o755)
    (page := tmp_path / "page.md").write_text("one")
    (texts := tmp_path / "texts").mkdir()
    (spaced := texts / "random weights.csv").write_text("1")
    (tmp_path / "installed").touch()
    given = {
        "BIN": tmp_path / "bin",
        "INSTALLED": tmp_path / "installed",
        "BUILT": tmp_path / "_build" / "built",
        "PAGES": page,
        "TEXTS": texts,
    }

    def make():
        command = ["make", "-C", ROOT, "pages", *(f"{name}={it}" for name, it in given.items())]
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
        log = tmp_path / "log"
        return done.returncode, log.read_text().count("built") if log.exists() else 0

    assert make() == (0, 1) and make() == (0, 1)
    page.write_text("two")
    os.utime(page, (1e9, 1e9))
    assert make() == (0, 2) and make() == (0, 2)
    spaced.write_text("2")
    assert make() == (0, 3) and make() == (0, 3)
    address.write_text("#!/bin/sh\necho owner/name\n")
    assert make() == (0, 4) and make() == (0, 4), "links lead to another repository"
    page.write_text("one")
    builder.write_text("#!/bin/sh\nexit 1\n")
    assert make()[0] != 0 and make()[0] != 0, "what failed is not taken for built"
