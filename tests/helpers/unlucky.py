"""Measures for tests of workers: one whose worker dies, and some that raise."""

import os
import signal
import threading
import time
from pathlib import Path

import pandas as pd

from arbitration.engine.sweep import knockout_tables
from arbitration.models.prompt import Unusable


def sweep_in_danger(subject, prompts, folder, worst, **given):
    """`knockout_tables`, which writes down who has measured what. The first process to come to the
    prompt `worst` dies in the middle of its task; the others wait meanwhile until it is replaced.
    """
    room = Path(folder)
    if room.is_dir() and worst not in {prompt.id for prompt in prompts}:
        _wait_for(room / "joined")
    for number, (prompt, table) in enumerate(
        zip(prompts, knockout_tables(subject, prompts, **given), strict=True)
    ):
        if room.is_dir():
            with (room / "log").open("a") as lines:
                lines.write(f"{os.getpid()} {prompt.id}\n")
            if number == 1 and worst in {one.id for one in prompts}:
                _die_once(room / "died")
        yield table


def _die_once(mark: Path) -> None:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for(mark: Path) -> None:
    until = time.monotonic() + 240
    while not mark.exists():
        assert time.monotonic() < until, f"nobody made {mark.name}"
        time.sleep(0.05)


class Odd(Exception):
    """Cannot be put together again from what it says."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
        self.second = second


def fail_at(subject, prompts, place, kind):
    """Rows of every prompt but that of one sample."""
    for prompt in prompts:
        if prompt.sample.id == place:
            raise Unusable(prompt.sample, "too long") if kind == "unusable" else Odd("this", 2)
        about = {"spelling": [subject.spelling], "thread": [threading.current_thread().name]}
        yield pd.DataFrame({"sample": [prompt.sample.id], **about})


def borrow(subject, prompts, borrowed):
    """Whose answers were at hand."""
    for prompt in prompts:
        yield pd.DataFrame({"own": [borrowed[prompt.sample.id].id], "all": [len(borrowed)]})
