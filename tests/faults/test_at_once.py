"""Two of everything at the same time: both end well, and nothing of either is lost or mixed.

Two builds of one notebook are in `test_runner`.
"""

import os
import time

import pandas as pd
import pytest

from apart import run_apart, run_together, strike_at, wait_for
from arbitration.files import checksums, web
from arbitration.models import hub
from reproduction.results import records
from toy_measure import encode, folders, measure, published, recorded

pytestmark = pytest.mark.faults


def meet(room, name, other):
    """Go on when the other process has come here too."""
    (room / name).touch()
    wait_for(room / other)


def let_in(room):
    """Let the other process come, and give it time to get through, should nothing hold it back."""
    meet(room, "inside", "here")
    until = time.monotonic() + 1
    while time.monotonic() < until and not (room / "through").exists():
        time.sleep(0.01)


def come_in(room, work):
    """What the other process does when it is let in."""
    wait_for(room / "inside")
    (room / "here").touch()
    work()
    (room / "through").touch()


def test_two_notebooks_measure_and_record_one_table(subject, tmp_path):
    """Each comes to another number, as rounding may have it: of each prompt both take the first."""
    prompts = encode(subject, 2)

    def rows(subject, prompts):
        for prompt in prompts:
            mine, other = sorted(["a", "b"], key=lambda name: name != os.environ["NAME"])
            meet(tmp_path, f"{mine}-{prompt.id}", f"{other}-{prompt.id}")
            yield pd.DataFrame({"sample": [prompt.sample.id], "nssd": [ord(mine) / 7]})

    rows.__module__ = "reproduction.measures"

    def work(name):
        environment = {"NAME": name, "ARBITRATION_RECORD": "1"}
        os.environ.update(folders(tmp_path) | environment)
        os.environ["ARBITRATION_OUTPUT"] = str(tmp_path / name / "out")
        measure(subject, prompts, rows)

    run_together(lambda: work("a"), lambda: work("b"))
    both = [published(tmp_path / name, subject) for name in "ab"]
    assert both[0].equals(both[1]) and len(both[0]) == 4
    kept = recorded(tmp_path, subject).merge(both[0][["sample", "nssd"]].drop_duplicates())
    assert len(kept) == 4, "the record has the rows that both have taken"


def add(name, nssd):
    rows = pd.DataFrame({"sample": [name], "layer": [0], "nssd": [nssd]})
    part = records.Part(name, "c", rows, {"code": name, "when": "2026-01-02"}, 1.0)
    records.add_parts("toy", "rows", "case", {}, [part])


def test_two_that_record_into_one_table_lose_nothing(tmp_path):
    """The second comes while the first has read what there was and not yet written."""

    def first():
        os.environ.update(folders(tmp_path))
        strike_at(3, lambda: let_in(tmp_path))
        add("b", 0.25)

    def second():
        os.environ.update(folders(tmp_path))
        come_in(tmp_path, lambda: add("c", 0.75))

    run_apart(lambda: os.environ.update(folders(tmp_path)) or add("a", 0.5))
    run_together(first, second)
    found = records.read_record(tmp_path / "records" / "toy" / "rows.parquet")
    assert found.rows["prompt"].tolist() == ["a", "b", "c"]


def test_whoever_reads_a_record_while_it_is_written_finds_it_whole(tmp_path):
    def write():
        os.environ.update(folders(tmp_path))
        add("a", 0.0)
        (tmp_path / "begun").touch()
        for number in range(1, 60):
            add("a", number / 8)
        (tmp_path / "ended").touch()

    def read():
        path = tmp_path / "records" / "toy" / "rows.parquet"
        wait_for(tmp_path / "begun")
        seen = []
        while not (tmp_path / "ended").exists():
            records._read.cache_clear()
            seen.append(records.read_record(path).rows["nssd"].item())
        assert seen == sorted(seen) and len(set(seen)) > 3, seen

    run_together(write, read)


def test_two_first_downloads_pin_both_revisions(tmp_path):
    def first():
        strike_at(1, lambda: let_in(tmp_path))
        hub.pin("org/a", "a" * 40)

    def second():
        come_in(tmp_path, lambda: hub.pin("org/b", "b" * 40))

    def work(one):
        os.environ["ARBITRATION_CACHE"] = str(tmp_path / "cache")
        one()

    run_together(lambda: work(first), lambda: work(second))
    text = (tmp_path / "cache" / "revisions.json").read_text()
    assert "org/a" in text and "org/b" in text


def test_two_downloads_of_one_file(tmp_path):
    """Of a package's, or of what is made of one, the second waits; of a single file both bring it,
    and whoever is last has checked that it is the same.
    """
    path = tmp_path / "file"

    def make(free):
        with open(tmp_path / "log", "ab", buffering=0) as log:
            log.write(b"made\n")
        time.sleep(0.5)  # long enough for the other, should nothing hold it back
        free[tmp_path / "one"].write_bytes(b"made")

    def work(mine, other):
        os.environ["ARBITRATION_CACHE"] = str(tmp_path / "cache")
        meet(tmp_path, mine, other)
        checksums.make_once([tmp_path / "one"], make)

        def get(url):
            meet(tmp_path, f"{mine}-get", f"{other}-get")
            return b"content"

        web.kept("web", path, bytes, get)
        assert checksums.is_whole(path) and path.read_bytes() == b"content"

    run_together(lambda: work("a", "b"), lambda: work("b", "a"))
    assert (tmp_path / "log").read_text() == "made\n" and (tmp_path / "one").read_text() == "made"
    assert not list(tmp_path.glob("*.partial"))
