"""A disk on which nothing more fits, and folders that may not be written to: said in a line, with
nothing half written, and the same command goes on once there is room.

The disk is a limit on the size of files (`RLIMIT_FSIZE`), which holds for everybody. What is
read-only has its permissions taken away, and who may write nevertheless gives up that right
(`apart.respect_permissions`).
"""

import errno
import os
import shutil
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest

from apart import limit_files, respect_permissions, run_apart
from arbitration.commands import status
from arbitration.files import atomic, checksums, web
from arbitration.files.folders import ROOT
from arbitration.models import hub
from press import pair, publish, run
from reproduction.figures import style
from toy_measure import folders, measure, published, recorded
from toy_notebook import write_toy

pytestmark = pytest.mark.faults


def files(folder):
    """What is in a folder, but for locks and for what a running process has begun."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@contextmanager
def read_only(folder: Path):
    """Take everybody's right to write to a folder and all that is in it."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    try:
        for path, mode in modes.items():
            path.chmod(mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def tell(work):
    """What a command says of some work that cannot be written."""
    return status(work, "")


def refuses(said: str, path, why: str) -> None:
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert str(path) in line and why in line and "the same command goes on" in line
    assert "Traceback" not in said and "Errno" not in said


@pytest.mark.parametrize("size", [0, 900, None])
def test_a_measurement_goes_on_when_there_is_room(subject, prompts, tmp_path, size):
    """With room for nothing; for a .json and no table; for parts, and not for the table of all."""

    def work(room, limit=None):
        os.environ.update(folders(room))
        if limit is not None:
            limit_files(limit)
        return tell(lambda: measure(subject, prompts))

    recording = {"ARBITRATION_RECORD": "1"}
    assert run_apart(lambda: work(tmp_path / "whole"), **recording)[0] == 0
    parts = (tmp_path / "whole/cache/parts").rglob("*.parquet")
    largest = max(path.stat().st_size for path in parts)
    size = largest + 99 if size is None else size
    found, said = run_apart(lambda: work(tmp_path / "again", size), **recording)
    assert found == 1, said
    refuses(said, tmp_path / "again", "a file may not become that large here: raise the limit")
    kept = files(tmp_path / "again")
    parts = [name for name in kept if name.startswith("cache/parts/")]
    assert len(parts) == (6 if size > largest else 0)
    record_of = [f"records/{subject.name}/toy.{kind}" for kind in ("json", "parquet")]
    assert sorted(set(kept) - set(parts)) == (record_of if size > largest else [])
    found, said = run_apart(lambda: work(tmp_path / "again"), **recording)
    assert found == 0, said
    both = [tmp_path / room for room in ("whole", "again")]
    assert published(both[0], subject).equals(published(both[1], subject))
    assert recorded(both[0], subject).equals(recorded(both[1], subject))
    after = files(tmp_path / "again")
    assert {name: after[name] for name in parts} == {name: kept[name] for name in parts}


@pytest.mark.parametrize(
    "number, why",
    [
        (errno.ENOSPC, "the disk is full: make room"),
        (errno.EDQUOT, "your share of the disk is used up"),
        (errno.EROFS, "it is read-only: allow writing, or give another folder"),
    ],
)
def test_every_way_in_which_a_disk_says_no_is_told(tmp_path, monkeypatch, capsys, number, why):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    (tmp_path / "file").write_text("as it was")
    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "replace", refuse)
        assert tell(lambda: atomic.write_whole(tmp_path / "file", "new")) == 1
    refuses(capsys.readouterr().err, tmp_path / "file", why)
    assert files(tmp_path) == {"file": b"as it was"}


WRITERS = {
    "download": lambda room: web.kept("web", room / "file", bytes, lambda url: b"content" * 99),
    "derived": lambda room: checksums.make_once(
        [room / "one"], lambda free: free[room / "one"].write_bytes(b"made" * 99)
    ),
    "pins": lambda room: [hub.pin(f"org/{name}", "a" * 40) for name in "abc"],
    "figure": lambda room: style.publish(drawn(), "fig1", "smol", "A line."),
    "notebook": lambda room: pair.main([]),
}


def drawn():
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([0, 1])
    return figure


@pytest.mark.parametrize("name", WRITERS)
def test_what_else_is_written_is_whole_or_not_there(tmp_path, monkeypatch, name):
    text = write_toy(tmp_path) / "toy.py"
    text.with_suffix(".ipynb").unlink()
    monkeypatch.setattr(pair, "notebook_texts", lambda *_: [text])
    monkeypatch.setattr(pair, "strays", list)
    for place, folder in folders(tmp_path / "room").items():
        monkeypatch.setenv(place, folder)
    before = files(tmp_path)

    def work(limit=None):
        if limit is not None:
            limit_files(limit)
        return tell(lambda: WRITERS[name](tmp_path / "room") and None)

    found, said = run_apart(lambda: work(150))
    assert found == 1, said
    refuses(said, tmp_path, "a file may not become that large here")
    some = files(tmp_path)
    assert not [path for path in some if path.endswith(".partial")]
    found, said = run_apart(work)
    assert found == 0, said
    after = files(tmp_path)
    assert len(after) > len(before)
    whole = {path for path in some if not path.endswith("revisions.json")}
    assert {path: after[path] for path in whole} == {path: some[path] for path in whole}


@pytest.mark.parametrize("size", [0, 200])
def test_a_run_that_cannot_be_written_leaves_the_book_as_it_was(tmp_path, size):
    """Before its kernel starts there is no room for a folder of it, or no room to publish."""
    source, executed = tmp_path / "toy.ipynb", tmp_path / "executed"
    nbformat.write(nbformat.v4.new_notebook(), source)

    def work(n, limit=None):
        one = publish.Run(source, "smol", {"n": n})
        before, prints = publish.seen(one, executed), publish.fingerprint(one)
        with publish.staged(one, executed) as staging:
            (staging / "output" / "smol").mkdir(parents=True)
            (staging / "output" / "smol" / "fig.svg").write_text(f"a figure of {n}")
            notebook = nbformat.v4.new_notebook()
            notebook.metadata["papermill"] = {"exception": None, "end_time": "2026-01-01"}
            nbformat.write(notebook, staging / "toy.ipynb")
            if limit is not None:
                limit_files(limit)
            publish.publish_run(one, staging, executed, prints, before)
        assert publish.is_current(one, executed)

    assert run_apart(lambda: tell(lambda: work(1)))[0] == 0
    before = files(executed)
    found, said = run_apart(lambda: tell(lambda: work(2, size)))
    assert found == 1, said
    refuses(said, executed, "a file may not become that large here")
    assert files(executed) == before
    found, said = run_apart(lambda: tell(lambda: work(2)))
    assert found == 0, said


@pytest.mark.parametrize("closed", ["cache", "out", "records"])
def test_a_folder_that_is_read_only_is_named(subject, prompts, tmp_path, closed):
    def work():
        os.environ.update(folders(tmp_path))
        respect_permissions()
        return tell(lambda: measure(subject, prompts))

    (tmp_path / closed).mkdir()
    (tmp_path / "cache" / "locks").mkdir(parents=True)
    with read_only(tmp_path / closed):
        found, said = run_apart(work, ARBITRATION_RECORD="1")
        assert found == 1, said
        refuses(said, tmp_path / closed, "it is read-only: allow writing, or give another folder")
        assert files(tmp_path / closed) == {}
    found, said = run_apart(work, ARBITRATION_RECORD="1")
    assert found == 0, said
    assert len(published(tmp_path, subject)) == 2 * len(prompts)


def test_what_is_at_hand_is_read_where_nothing_can_be_written(subject, prompts, tmp_path):
    """Parts, and a record that is attested by them, from a read-only cache and store."""

    def work(room):
        os.environ.update(folders(tmp_path) | {"ARBITRATION_OUTPUT": str(tmp_path / room)})
        respect_permissions()
        return tell(lambda: measure(subject, prompts))

    assert run_apart(lambda: work("out"), ARBITRATION_RECORD="1")[0] == 0
    with read_only(tmp_path / "cache"), read_only(tmp_path / "records"):
        found, said = run_apart(lambda: work("other"))
    assert found == 0, said
    tables = [
        tmp_path / room / subject.name / "tables" / "toy.parquet" for room in ("out", "other")
    ]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_a_lock_that_cannot_be_taken_is_named(tmp_path):
    def work():
        os.environ["ARBITRATION_CACHE"] = str(tmp_path)
        respect_permissions()
        return tell(lambda: checksums.make_once([tmp_path / "one"], lambda free: None))

    (tmp_path / "locks").mkdir()
    with read_only(tmp_path):
        found, said = run_apart(work)
    assert found == 1, said
    refuses(said, tmp_path / "locks", "it is read-only")


def test_a_book_that_is_read_only_is_refused_before_anything_runs(tmp_path):
    (executed := tmp_path / "executed").mkdir()

    def work():
        respect_permissions()
        return run.main(["--notebook", "steer", "--model", "smol", "--into", str(executed)])

    with read_only(executed):
        found, said = run_apart(work)
    assert found == 1, said
    refuses(said, executed, "it is read-only")
    assert list(executed.iterdir()) == []


CHECKOUT = """
import sys
sys.path.insert(0, sys.argv[1] + "/tests/helpers")
import tiny, toy_measure
from arbitration.files.folders import ROOT
from press import publish, run
assert str(ROOT) == sys.argv[1]
for one in run.plan([], [], {}):
    publish.fingerprint(one)
subject = tiny.subject("llava")
toy_measure.measure(subject, toy_measure.encode(subject))
try:
    (ROOT / "lib" / "new").touch()
except PermissionError:
    print("read-only indeed")
"""


def test_a_checkout_that_is_read_only_works(tmp_path):
    """With cache and output elsewhere: nothing is written beside code, notebooks or data."""
    checkout = tmp_path / "checkout"
    for name in ("lib", "notebooks", "data", "tests/helpers"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, checkout / name, ignore=leave)
    for name in ("_toc.yml", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    environment = {**os.environ, **folders(tmp_path), "PYTHONPATH": str(checkout / "lib")}
    before = sorted(checkout.rglob("*"))
    with read_only(checkout):
        done = subprocess.run(
            [sys.executable, "-c", CHECKOUT, checkout],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            preexec_fn=lambda: respect_permissions(for_good=True),
        )
    assert done.returncode == 0, done.stderr
    assert "read-only indeed" in done.stdout and sorted(checkout.rglob("*")) == before
