"""The soak finds a command that loses, mixes up or believes what was damaged, and nothing else."""

import os
import signal
import subprocess
import sys
import time

import pytest

import soak

pytestmark = pytest.mark.faults
#: Twenty parts, each its number written twice, then a table of their sum. `CHECKED` parts whose
#: halves differ are made again.
PROGRAM = """
import os, sys, time
from pathlib import Path
import pandas as pd
parts = Path(os.environ["ARBITRATION_CACHE"]) / "parts" / "toy"
tables = Path(sys.argv[1]) / "smol" / "tables"
for folder in (parts, tables):
    folder.mkdir(parents=True, exist_ok=True)
def make(path, number):
    free = path.with_suffix(f".{os.getpid()}")
    free.write_bytes(2 * f"{number:08}".encode())
    os.replace(free, path)
    time.sleep(0.02)
total = 0
for number in range(20):
    path = parts / f"{number}.parquet"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    if not content or CHECKED and (len(content) != 16 or content[:8] != content[8:]):
        print("measured again" if content else "measured", flush=True)
        make(path, number)
        content = path.read_bytes()
    total += sum(content[:8])
free = tables / f"free.{os.getpid()}"
pd.DataFrame({"total": [total]}).to_parquet(free)
os.replace(free, tables / "toy.parquet")
"""


def rooms_of(home, checked):
    (home / "cache" / "parts").mkdir(parents=True)
    program = home / "program.py"
    program.write_text(f"CHECKED = {checked}\n{PROGRAM}")
    # The first import of a machine takes seconds, and the undisturbed run's time sets the delays.
    subprocess.run([sys.executable, "-c", "import pandas, pyarrow.parquet"], check=True)
    environment = {**os.environ, "ARBITRATION_CACHE": str(home / "cache")}
    return soak.Rooms(home, [sys.executable, str(program), str(home / "executed")], environment)


def test_of_a_sound_command_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "DEEDS", (soak.kill_all, soak.forget_part, soak.flip_bit))
    found = soak.soak(rooms_of(tmp_path, True), 0.12, seed=0)
    assert found["faults"] == [] and found["parts_lost"] == 0
    assert found["compared"] > 1 and found["rounds"] > found["compared"]


def test_a_command_that_believes_what_was_damaged_is_found(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(soak, "DEEDS", (soak.flip_bit,))
    found = soak.soak(rooms_of(tmp_path, False), 0.12, seed=0)
    assert "flip_bit: smol/tables/toy.parquet differs" in found["faults"]
    assert "fault: flip_bit: smol/tables/toy.parquet differs" in capfd.readouterr().out, "at once"


def test_the_moment_of_a_disturbance_is_drawn_within_the_last_whole_run(tmp_path, monkeypatch):
    """Drawn within the first, which measures everything, most would come after the end."""
    asked, lasted = [], iter([0.5, None, 0.02] + [None] * 10**6)

    def play_round(rooms, deed, after, patience, rng):
        asked.append(after)
        time.sleep(0.001)
        return next(lasted)

    monkeypatch.setattr(soak, "play_round", play_round)
    found = soak.soak(rooms_of(tmp_path, True), 0.01, seed=0)
    *asked, last = asked
    assert asked[0] <= found["seconds"] + 0.1 and max(asked[1:3]) <= 0.5
    assert len(asked) > 20 and max(asked[3:]) <= 0.02 < last


def test_a_part_that_a_kill_takes_along_is_counted(tmp_path, monkeypatch):
    def lose(rooms, process, rng):
        soak.kill_all(rooms, process, rng)
        soak.forget_part(rooms, process, rng)

    monkeypatch.setattr(soak, "DEEDS", (lose,))
    monkeypatch.setattr(soak, "ENDING", (lose,))
    assert soak.soak(rooms_of(tmp_path, True), 0.1, seed=0)["parts_lost"] > 0


def test_a_command_that_does_not_end_is_found(tmp_path, monkeypatch):
    def hold(rooms, process, rng):
        os.kill(process.pid, signal.SIGSTOP)

    monkeypatch.setattr(soak, "DEEDS", (hold,))
    found = soak.soak(rooms_of(tmp_path, True), 0.1, seed=0)
    assert any(fault.startswith("hold: had not ended after") for fault in found["faults"])


def test_the_summary_names_every_deed_and_counts_what_is_wrong():
    found = {"minutes": 120.0, "seed": 0, "when": "2026-01-02", "seconds": 61.4, "rounds": 9}
    found |= {"kill_all": 5, "parts_lost": 0, "faults": ["one differs", "another differs"]}
    lines = soak.write_summary(found)
    assert lines[0].startswith("120 minutes, seed 0, ended on 2026-01-02.") and "61 s" in lines[0]
    assert "| all its processes were killed (`kill -9`) | 5 |" in lines
    assert "| a kept part was deleted | 0 |" in lines
    assert "| **differences and other faults** | 2 |" in lines
    assert {deed.__name__ for deed in soak.DEEDS} <= set(soak.TOLD_AS)
