"""The cache folder: where it is, how much it holds, and that clearing it touches nothing else."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arbitration.files import cached, folders
from arbitration.files.atomic import Unwritable, take_lock
from arbitration.files.folders import ROOT

HOLD = """
import sys
from arbitration.files.atomic import take_lock
with take_lock("base.gguf"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with two things of ours, one of a reader's, and links that lead out of it."""
    folder, outside = tmp_path / "cache", tmp_path / "outside"
    monkeypatch.setenv("ARBITRATION_CACHE", str(folder))
    outside.mkdir()
    (outside / "precious").write_bytes(b"x" * 1000)
    (folder / "parts" / "toy-1").mkdir(parents=True)
    (folder / "parts" / "toy-1" / "a.parquet").write_bytes(b"x" * 30)
    (folder / "parts" / "elsewhere").symlink_to(outside)
    (folder / "revisions.json").write_bytes(b"{}")
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter").write_bytes(b"x" * 500)
    (folder / "mc2").symlink_to(outside)
    with take_lock("base.gguf"):
        pass
    return folder


def left(folder):
    """What lies in a folder and its subfolders, links not followed."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_it_is_where_the_system_keeps_such_unless_the_environment_says_otherwise(
    monkeypatch, tmp_path
):
    monkeypatch.delenv("ARBITRATION_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if sys.platform == "linux":
        assert folders.cache() == tmp_path / ".cache" / "instruction-anchors"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert folders.cache() == tmp_path / "xdg" / "instruction-anchors"
    assert not list(tmp_path.iterdir()), "to ask for it makes nothing"
    monkeypatch.setenv("ARBITRATION_CACHE", "~/mine")
    assert folders.cache() == tmp_path / "mine"


def test_what_is_kept_there_is_what_can_be_cleared():
    """A folder that some module begins to use must get a line in `cached.CONTENTS`."""
    used = set()
    for path in (ROOT / "lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.BinOp) and ast.unparse(node.left) == "cache()":
                used.add(ast.unparse(node.right))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "fetched":
                used.add(ast.unparse(node.args[2]))
    names = {ast.literal_eval(one).split("/")[0] for one in used if one.startswith("'")}
    # a parameter of `fetched`, and a name among what is cleared
    assert {one for one in used if not one.startswith("'")} == {"folder", "name"}
    assert names == {*cached.CONTENTS, "locks"}


def test_sizes_are_those_of_this_project_s_files_and_no_link_is_followed(cache):
    found = {one.name: one for one in cached.measure_cache()}
    links = [(cache / name).lstat().st_size for name in ("parts/elsewhere", "mc2")]
    assert found.keys() == {"parts", "revisions.json", "mc2"}
    assert (found["parts"].files, found["parts"].size) == (2, 30 + links[0])
    assert (found["mc2"].files, found["mc2"].size) == (1, links[1])
    assert all(one.what == cached.CONTENTS[one.name] for one in found.values())


def test_of_no_cache_there_is_nothing_to_measure_or_clear(monkeypatch, tmp_path):
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "none"))
    assert cached.measure_cache() == [] and cached.clear_cache(cached.CONTENTS) == 0
    assert not (tmp_path / "none").exists()


def test_what_is_named_is_removed_and_nothing_else(cache):
    before = left(cache.parent)
    size = {one.name: one.size for one in cached.measure_cache()}
    assert cached.clear_cache(["parts", "base"]) == size["parts"]
    gone = {name for name in before if name.startswith("cache/parts")}
    assert left(cache.parent) == before - gone
    assert cached.clear_cache(cached.CONTENTS) == size["revisions.json"] + size["mc2"]
    kept = {"cache", "outside", "outside/precious", "cache/thesis", "cache/thesis/chapter"}
    assert left(cache.parent) == kept | {"cache/locks", "cache/locks/base.gguf.lock"}


@pytest.mark.parametrize("name", ["locks", "thesis", "..", "../outside", "", "parts/toy-1"])
def test_other_names_are_refused_before_anything_is_removed(cache, name):
    before = left(cache.parent)
    with pytest.raises(ValueError, match="the cache holds nothing called .*; give base, mc2, nltk"):
        cached.clear_cache(["parts", name])
    assert left(cache.parent) == before


def test_while_another_process_makes_a_file_nothing_is_removed(cache):
    before = left(cache.parent)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(cached.InUse, match="making base.gguf in .*, so nothing was removed"):
            cached.clear_cache(["parts"])
        assert left(cache.parent) == before
    finally:
        holder.communicate()
    assert cached.clear_cache(["parts"]) > 0


def test_nobody_begins_to_make_what_is_being_removed(cache, monkeypatch):
    def remove(place: Path) -> None:
        ask = (
            "import sys; from filelock import FileLock; FileLock(sys.argv[1], timeout=0).acquire()"
        )
        lock = cache / "locks" / "base.gguf.lock"
        done = subprocess.run([sys.executable, "-c", ask, lock], capture_output=True)
        assert b"Timeout" in done.stderr
        removed.append(place.name)

    removed = []
    monkeypatch.setattr(cached, "_remove", remove)
    cached.clear_cache(["revisions.json"])
    assert removed == ["revisions.json"]


def test_what_cannot_be_removed_is_named(cache, monkeypatch):
    def refuse(place: Path) -> None:
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(cached, "_remove", refuse)
    with pytest.raises(Unwritable, match="parts cannot be written, because it is read-only"):
        cached.clear_cache(["parts"])
