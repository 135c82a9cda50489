"""Disturb the book's small run again and again, for hours, and see whether its tables come out as
those of a run that nobody disturbed.

    python tests/helpers/soak.py --minutes 120 --seed 0

Each round starts the same command and does one thing to it at a random moment (`DEEDS`). A round
that ends by itself must have the tables of the undisturbed run, to the bit. What came of all rounds
is written to ``data/benchmarks/soak.json``, and as the table that the page on reliability shows to
``soak.md`` beside it.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from arbitration.files import folders
from press.markdown import markdown

NOTEBOOKS = ("sec2_dataset", "sec3_knockout", "sec3_beliefs", "sec4_components", "steer")
MODELS = ("smol", "smol-relay")
TARGET = folders.DATA / "benchmarks" / "soak.json"
#: What the page says of the counts of a soak, in its order.
TOLD_AS = {
    "rounds": "the command was started",
    "kill_all": "all its processes were killed (`kill -9`)",
    "kill_one": "one of its processes was killed",
    "interrupt": "it was interrupted (Ctrl-C)",
    "forget_part": "a kept part was deleted",
    "forget_table": "all kept parts of a table were deleted",
    "flip_bit": "one bit of a kept part was changed",
    "cut_part": "a kept part was cut short",
    "damage_stamp": "the stamp of a published run was cut short",
    "damage_published": "a published file was cut short",
    "measured_again": "damaged parts found and measured again",
    "compared": "ends at which all tables were compared",
    "parts_lost": "**parts lost**",
    "faults": "**differences and other faults**",
}
#: Ends of a command that was told to end, beside its own success.
TOLD = {0, 130, -signal.SIGKILL, -signal.SIGINT}


@dataclass
class Rooms:
    """Where a soak works: the kept parts, the published runs, and a copy of those of the
    undisturbed run.
    """

    home: Path
    command: list[str]
    environment: dict[str, str]
    found: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def parts(self) -> Path:
        return self.home / "cache" / "parts"

    @property
    def executed(self) -> Path:
        return self.home / "executed"

    @property
    def whole(self) -> Path:
        return self.home / "whole"

    def tell_fault(self, fault: str) -> None:
        """Keep what was not as it should be, and print it: a soak that is stopped has told it."""
        self.faults.append(fault)
        tqdm.write(f"fault: {fault}")


def kept(rooms: Rooms) -> list[Path]:
    return sorted(rooms.parts.rglob("*.parquet"))


def any_of(rng: random.Random, paths: list[Path]) -> list[Path]:
    """One of some paths, or none."""
    return [rng.choice(paths)] if paths else []


def kill_all(rooms: Rooms, process: subprocess.Popen, rng: random.Random) -> None:
    """``kill -9`` of the command and of all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)


def kill_one(rooms: Rooms, process: subprocess.Popen, rng: random.Random) -> None:
    """``kill -9`` of one process of the command, its kernels among them."""
    found = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], capture_output=True, encoding="utf-8", check=True
    )
    parents = dict(map(int, line.split()) for line in found.stdout.splitlines())
    own = [one for one in parents if is_below(one, process.pid, parents)]
    os.kill(rng.choice(own or [process.pid]), signal.SIGKILL)


def is_below(one: int, other: int, parents: dict[int, int]) -> bool:
    while one not in (0, 1, other):
        one = parents.get(one, 0)
    return one == other


def interrupt(rooms: Rooms, process: subprocess.Popen, rng: random.Random) -> None:
    """Ctrl-C."""
    os.killpg(process.pid, signal.SIGINT)


def forget_part(rooms: Rooms, process: subprocess.Popen, rng: random.Random) -> None:
    """A kept part is deleted."""
    for path in any_of(rng, kept(rooms)):
        path.unlink(missing_ok=True)


def forget_table(rooms: Rooms, process: subprocess.Popen, rng: random.Random) -> None:
    """All kept parts of a table are deleted."""
    for path in any_of(rng, sorted(rooms.parts.glob("*"))):
        shutil.rmtree(path, ignore_errors=True)


def flip_bit(rooms: Rooms, process: subprocess.Popen, rng: random.Random) -> None:
    """One bit of a kept part is another."""
    for path in any_of(rng, kept(rooms)):
        content = bytearray(path.read_bytes())
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)


def cut_part(rooms: Rooms, process: subprocess.Popen, rng: random.Random) -> None:
    """A kept part ends too early."""
    for path in any_of(rng, kept(rooms)):
        content = path.read_bytes()
        path.write_bytes(content[: rng.randrange(len(content))])


def damage_stamp(rooms: Rooms, process: subprocess.Popen, rng: random.Random) -> None:
    """What says of a published run what it was made from ends too early."""
    for path in any_of(rng, sorted(rooms.executed.rglob("*.stamp.json"))):
        content = path.read_bytes()
        path.write_bytes(content[: rng.randrange(len(content))])


def damage_published(rooms: Rooms, process: subprocess.Popen, rng: random.Random) -> None:
    """A published file ends too early."""
    published = [path for path in rooms.executed.glob("*/*/*") if path.is_file()]
    for path in any_of(rng, sorted(published)):
        content = path.read_bytes()
        path.write_bytes(content[: rng.randrange(max(len(content), 1))])


ENDING = (kill_all, kill_one, interrupt)
LOSING = (forget_part, forget_table)
DAMAGING = (flip_bit, cut_part, damage_stamp, damage_published)
DEEDS: tuple[Callable, ...] = (*ENDING, *LOSING, *DAMAGING)


def start(rooms: Rooms) -> subprocess.Popen:
    return subprocess.Popen(
        rooms.command,
        env=rooms.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Every table below a folder of published runs, by its path."""
    paths = sorted(folder.glob("*/tables/*.parquet"))
    return {path.relative_to(folder).as_posix(): pd.read_parquet(path) for path in paths}


def compare_tables(rooms: Rooms) -> list[str]:
    """The tables that are not those of the undisturbed run. Where rows come from is no part of
    them.
    """
    ours, whole = read_tables(rooms.executed), read_tables(rooms.whole)
    names = {name for name in {*ours, *whole} if not name.endswith("_origins.parquet")}
    return sorted(
        name
        for name in names
        if name not in ours or name not in whole or not ours[name].equals(whole[name])
    )


def play_round(
    rooms: Rooms, deed: Callable, after: float, patience: float, rng: random.Random
) -> float | None:
    """Start the command, do something to it after some seconds, and see what comes of it; it has
    failed if it has not ended some seconds later.

    Returns
    -------
    float, optional
        How many seconds it took, if it has come to its end.
    """
    began, before, process = time.monotonic(), {*kept(rooms)}, start(rooms)
    try:
        said, _ = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        with_parts = {*kept(rooms)}
        deed(rooms, process, rng)
        rooms.found[deed.__name__] += 1
        before = before | with_parts if deed in ENDING else set()
        try:
            said, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            rooms.tell_fault(f"{deed.__name__}: had not ended after {patience:.0f} s")
            os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.wait()
            return None
    rooms.found["rounds"] += 1
    rooms.found["measured_again"] += said.count("measured again")
    rooms.found["parts_lost"] += len(before - {*kept(rooms)})
    if process.returncode not in TOLD and deed is not kill_one:
        rooms.tell_fault(f"{deed.__name__}: status {process.returncode}: {said[-2000:]}")
    if "Traceback" in said and deed is not kill_one:
        rooms.tell_fault(f"{deed.__name__}: {said[said.index('Traceback') :][:2000]}")
    if process.returncode:
        return None
    lasted = time.monotonic() - began
    check(rooms, deed)
    return lasted


def check(rooms: Rooms, deed: Callable) -> None:
    # Published files that were damaged behind the runner's back stay so until they are made again.
    if deed is damage_published:
        shutil.rmtree(rooms.executed)
        return
    rooms.found["compared"] += 1
    for name in compare_tables(rooms):
        rooms.tell_fault(f"{deed.__name__}: {name} differs")


def soak(rooms: Rooms, minutes: float, seed: int) -> dict:
    """Run the command undisturbed, then disturb it for some minutes, then let it end.

    Returns
    -------
    dict
        seconds of the undisturbed run, how often each deed was done, rounds, compared (rounds that
        ended by themselves), measured_again and parts_lost (parts), faults (what was not as it
        should be).
    """
    began = time.monotonic()
    said, _ = (first := start(rooms)).communicate()
    if first.returncode:
        why = f"the undisturbed run broke off: {said[-2000:]}"
        raise RuntimeError(why)
    seconds = time.monotonic() - began
    shutil.move(rooms.executed, rooms.whole)
    shutil.rmtree(rooms.parts)
    rng, disturbed, usual = random.Random(seed), time.monotonic(), seconds
    shape = "{l_bar}{bar}| {n:.1f}/{total:g} min{postfix}"
    shown = tqdm(total=minutes, bar_format=shape)
    while (lasted := (time.monotonic() - disturbed) / 60) < minutes:
        shown.update(lasted - shown.n)
        shown.set_postfix(rounds=rooms.found["rounds"], faults=len(rooms.faults))
        # Kept parts make most runs much shorter than the first: as long as the last whole one.
        after, patience = rng.uniform(0, usual), 10 * seconds
        usual = play_round(rooms, rng.choice(DEEDS), after, patience, rng) or usual
        if rng.random() < 0.5:
            shutil.rmtree(rooms.executed, ignore_errors=True)
    shutil.rmtree(rooms.executed, ignore_errors=True)
    play_round(rooms, interrupt, 100 * seconds, seconds, rng)
    return {"seconds": round(seconds, 1), **rooms.found, "faults": rooms.faults}


def prepare(home: Path) -> Rooms:
    """The command of the small run, with a cache of its own that has the fetched files."""
    fetched = folders.cache()
    (home / "cache").mkdir()
    for path in fetched.iterdir() if fetched.is_dir() else ():
        if path.name != "parts":
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, home / "cache" / path.name)
    options = [f"--model={one}" for one in MODELS] + [f"--notebook={one}" for one in NOTEBOOKS]
    options += ["-p", "n", "2", "-p", "measure", "true", "--into", str(home / "executed")]
    environment = {**os.environ, "ARBITRATION_CACHE": str(home / "cache")}
    return Rooms(home, [sys.executable, "-m", "press.run", *options], environment)


def write_summary(found: dict) -> list[str]:
    """What a soak found, as lines of Markdown."""
    counts = {**found, "faults": len(found["faults"])}
    rows = [["what", "times"]]
    rows += [[told, str(counts.get(name, 0))] for name, told in TOLD_AS.items()]
    when = f"{found['minutes']:g} minutes, seed {found['seed']}, ended on {found['when']}."
    return [f"{when} The undisturbed run took {found['seconds']:.0f} s.", "", *markdown(rows)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = soak(prepare(Path(home)), given.minutes, given.seed)
    when = f"{datetime.now(UTC):%Y-%m-%d}"
    found = {"minutes": given.minutes, "seed": given.seed, "when": when, **found}
    written = json.dumps(found, indent=1, ensure_ascii=False)
    print(written)
    TARGET.write_text(written + "\n", encoding="utf-8")
    summary = "\n".join(write_summary(found))
    TARGET.with_suffix(".md").write_text(summary + "\n", encoding="utf-8")
    return 1 if found["faults"] or found["parts_lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
