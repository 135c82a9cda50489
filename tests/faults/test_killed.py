"""Killed with `kill -9` at any time, the same command finishes, and its tables are equal to the bit
to those of a run that nobody disturbed.
"""

import os
import signal
import time
from pathlib import Path

import nbformat
import pytest
import torch

import tiny
from apart import kill, run_apart, strike_everywhere
from arbitration.engine.sweep import knockout_tables
from arbitration.files import checksums, web
from arbitration.models import hub
from press import pair, publish, run
from recipe import build, train
from reproduction.results import parts
from toy_measure import encode, folders, measure, published, recorded
from toy_notebook import TOY, files_of, write_toy

pytestmark = pytest.mark.faults
KILLED = -signal.SIGKILL


def test_of_recording_and_all_that_comes_before_it(subject, prompts, tmp_path, monkeypatch):
    """Parts, records that are begun and that gain parts, and the published table. Meanwhile whoever
    reads the record finds the one before or the one behind.
    """
    monkeypatch.setenv("ARBITRATION_RECORD", "1")

    def rooms(number):
        return tmp_path / str(number)

    def work(number):
        os.environ.update(folders(rooms(number)))
        measure(subject, prompts[:2])
        measure(subject, prompts)

    status, said = run_apart(lambda: work("whole"))
    assert status == 0, said
    whole = published(rooms("whole"), subject), recorded(rooms("whole"), subject)

    def check(number, said):
        rows = recorded(rooms(number), subject)
        if said is None:
            assert published(rooms(number), subject).equals(whole[0]) and rows.equals(whole[1])
            left = [path.name for path in (rooms(number) / "records").rglob("*")]
            assert sorted(left) == [subject.name, "toy.json", "toy.parquet"]
            for name in left[1:]:
                text = b"before" in (rooms(number) / "records" / subject.name / name).read_bytes()
                assert not text
        else:
            some = whole[1][whole[1]["prompt"].isin([one.id for one in prompts[:2]])]
            some = some.reset_index(drop=True)
            assert rows is None or rows.equals(some) or rows.equals(whole[1])

    assert strike_everywhere(kill, KILLED, work, check) > 20


@pytest.mark.parametrize("table", [1, 3, 5])
def test_of_a_sweep(tmp_path, table):
    """Of real passes, in numbers that round; killed when some of a pass's tables are kept and the
    others are not.
    """
    subject = tiny.subject("llava", dtype=torch.float32)
    prompts = encode(subject)

    def work(room, last=None):
        os.environ.update(folders(room))
        write, count = parts.write_table, iter(range(1, 99))

        def writing(*given, **more):
            write(*given, **more)
            if next(count) == last:
                kill()

        parts.write_table = writing
        measure(subject, prompts, knockout_tables, "knockout")

    assert run_apart(lambda: work(tmp_path / "whole"))[0] == 0
    assert run_apart(lambda: work(tmp_path / "again", table))[0] == KILLED
    kept = list((tmp_path / "again").rglob("*.parquet"))
    assert len(kept) == table
    times = {path: path.stat().st_mtime_ns for path in kept}
    assert run_apart(lambda: work(tmp_path / "again"))[0] == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == times, (
        "what was kept is not made anew"
    )
    found = [published(tmp_path / room, subject, "knockout") for room in ("whole", "again")]
    assert found[0].equals(found[1])


ONCE = """
(mark := Path(os.environ["MARK"])).exists() or (
    mark.write_text(str(os.getpid())), os.kill(int(os.environ["JPY_PARENT_PID"]), 9)
)
assert n"""


def has_ended(process: int) -> bool:
    """Also if nobody has asked for its exit status, as in a container without an init."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_of_a_notebook(tmp_path):
    """The command is killed while its kernel is in a cell. The kernel ends too."""
    sources = write_toy(tmp_path, TOY.replace("\nassert n", ONCE))
    mark, executed = tmp_path / "mark", tmp_path / "executed"

    def work():
        return run.run_all(run.plan(["toy"], ["smol"], {}, sources), executed)

    assert run_apart(work, MARK=str(mark))[0] == KILLED
    assert [path.name for path in executed.iterdir()] == [".running"]
    kernel, until = int(mark.read_text()), time.monotonic() + 60
    while not has_ended(kernel):
        assert time.monotonic() < until, "the kernel lives on"
        time.sleep(0.1)
    status, said = run_apart(work, MARK=str(mark))
    assert status == 0, said
    assert sorted(files_of(executed)) == [
        "smol/figures/fig1.json",
        "smol/toy.ipynb",
        "smol/toy.stamp.json",
    ]
    assert not [path for path in (executed / ".running").iterdir() if path.is_dir()]
    assert publish.is_current(run.plan(["toy"], ["smol"], {}, sources)[0], executed)


def test_of_publishing(tmp_path):
    """Over a run with a file that the new one no longer has."""
    source = tmp_path / "toy.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), source)

    def put(executed, n, figure):
        staging = executed.with_name(f"{executed.name}-staging-{n}")
        produced = staging / "output" / "smol"
        produced.mkdir(parents=True, exist_ok=True)
        (produced / f"{figure}.svg").write_text(figure)
        notebook = nbformat.v4.new_notebook()
        notebook.metadata["papermill"] = {"exception": None, "end_time": "2026-01-01T00:00:00"}
        nbformat.write(notebook, staging / "toy.ipynb")
        one = publish.Run(source, "smol", {"n": n})
        before = publish.seen(one, executed)
        publish.publish_run(one, staging, executed, publish.fingerprint(one), before)
        return one

    put(tmp_path / "whole", 1, "old")
    new = put(tmp_path / "whole", 2, "new")

    def work(number):
        executed = tmp_path / str(number)
        if not executed.exists():
            put(executed, 1, "old")
        put(executed, 2, "new")

    def check(number, said):
        executed = tmp_path / str(number)
        if said is None:
            assert files_of(executed) == files_of(tmp_path / "whole")
            assert publish.is_current(new, executed)
        else:
            assert not publish.is_current(new, executed), "what was not published counts"

    assert strike_everywhere(kill, KILLED, work, check) > 8


def test_of_a_download_and_of_what_is_made_of_one(tmp_path):
    def work(number):
        folder = tmp_path / str(number)
        os.environ["ARBITRATION_CACHE"] = str(folder / "cache")
        web.kept("web", folder / "file", bytes, lambda url: b"content of the web")
        paths = [folder / "one", folder / "two"]
        checksums.make_once(paths, lambda free: [free[path].write_bytes(b"made") for path in free])
        hub.pin("org/name", "a" * 40)

    def check(number, said):
        names = {"file": b"content of the web", "one": b"made", "two": b"made"}
        for name, content in names.items():
            path = tmp_path / str(number) / name
            assert checksums.is_whole(path) or said is not None
            assert not checksums.is_whole(path) or path.read_bytes() == content

    assert strike_everywhere(kill, KILLED, work, check) > 8


def test_of_writing_a_notebook_s_second_half(tmp_path, monkeypatch):
    sources = write_toy(tmp_path)
    text = sources / "toy.py"
    monkeypatch.setattr(pair, "notebook_texts", lambda *_: [text])
    monkeypatch.setattr(pair, "strays", list)

    def work(number):
        text.write_text(TOY.replace("n = 1", f"n = {number}"))
        pair.main([])

    def check(number, said):
        if said is None or text.with_suffix(".ipynb").exists():
            nbformat.read(text.with_suffix(".ipynb"), as_version=4)
        assert said is not None or pair.drifted(sources) == []

    assert strike_everywhere(kill, KILLED, work, check) == 2


def test_of_training(tmp_path):
    """While a state is saved over an earlier one: what goes on is the earlier one, whole."""
    recipe = train.Recipe(**train.TOY | {"align_steps": 2, "save_every": 3, "steps": 8})

    def work(folder, struck=False):
        if struck:
            save = train.Accelerator.save_state

            def killing(self, place):
                save(self, place)
                if list(folder.glob("answer-*")):
                    Path(place, "optimizer.bin").unlink()
                    kill()

            train.Accelerator.save_state = killing
        model, processor = build.toy(1)
        train.train(model, processor, recipe, folder)
        build.save_parts(model, folder)

    assert run_apart(lambda: work(tmp_path / "whole"))[0] == 0
    status, said = run_apart(lambda: work(tmp_path / "again", struck=True))
    assert status == KILLED, said
    status, said = run_apart(lambda: work(tmp_path / "again"))
    assert status == 0, said
    for name in ("adapter.safetensors", "vision.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
