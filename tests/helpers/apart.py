"""Work in a process of its own, as a copy of this one, so that it may be killed, run out of disk or
lose its rights: what this one has imported and built is there at once.
"""

import ctypes
import itertools
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import torch

# A copy has the threads of no other: those that wait for work would be waited for in vain.
torch.set_num_threads(1)
#: Of Linux: to write where the permissions say no.
CAP_DAC_OVERRIDE = 1
CAPABILITIES_VERSION_3, PR_CAPBSET_DROP = 0x20080522, 24


def start_apart(work: Callable[[], int | None], **environment: str) -> tuple[int, int]:
    """Begin some work in a process of its own: its number, and where it prints to.

    Parameters
    ----------
    work : callable
        Its result is the exit status; 99 if it raises.
    **environment
        What it finds in its environment besides.
    """
    ours, theirs = os.pipe()
    process = os.fork()
    if process:
        os.close(theirs)
        return process, ours
    status = 99
    try:
        for stream in (1, 2):  # a pipe has no size that could be limited
            os.dup2(theirs, stream)
        sys.stdout = sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)
        os.environ.update(environment)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = work() or 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def await_end(process: int, ours: int) -> tuple[int, str]:
    """The exit status of what was started (of what kills it: the signal, negative), and what it
    printed.
    """
    with open(ours, encoding="utf-8", errors="replace") as printed:
        said = printed.read()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said


def run_apart(work: Callable[[], int | None], **environment: str) -> tuple[int, str]:
    """`start_apart` and `await_end`."""
    return await_end(*start_apart(work, **environment))


def run_together(*works: Callable[[], int | None]) -> None:
    """Some works at the same time, each in a process of its own; none of them may fail."""
    started = [start_apart(work) for work in works]
    for status, said in [await_end(*one) for one in started]:
        assert status == 0, said


def wait_for(mark: Path) -> None:
    """Wait until another process has made a file."""
    until = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < until, f"nobody made {mark.name}"
        time.sleep(0.01)


def wait_for_end(process: int) -> None:
    """Wait until a process that is nobody's child here is gone, or dead and not yet buried."""
    until, status = time.monotonic() + 20, Path(f"/proc/{process}/stat")
    with suppress(FileNotFoundError, ProcessLookupError):
        while status.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < until, "it lives on"
            time.sleep(0.05)


def strike_everywhere(
    strike: Callable[[], None],
    expected: int,
    work: Callable[[int], int | None],
    check: Callable[[int, str | None], None],
) -> int:
    """Let something happen to some work at its first file operation, let it run again, and look;
    then at its second, and so on until there are no more; how many there were.

    Parameters
    ----------
    strike : callable
    expected : int
        Exit status of the work to which it happens.
    work : callable
        Of the number of the attempt, which has a folder of its own.
    check : callable
        Of that number, and of what the work said to which it happened; None after it ran again.
    """
    for number in range(60):

        def struck(number=number):
            strike_at(number, strike)
            return work(number)

        status, said = run_apart(struck)
        if not status:
            return number
        assert status == expected, said
        check(number, said)
        status, said = run_apart(lambda number=number: work(number))
        assert status == 0, said
        check(number, None)
    why = "it never ended undisturbed"
    raise AssertionError(why)


def strike_at(number: int, strike: Callable[[], None]) -> None:
    """Let something happen at the file operation of a number, counted from 0: before a file gets
    its name, or when half of it is written.
    """
    count = itertools.count()

    def before(genuine):
        def call(*given, **more):
            if next(count) == number:
                strike()
            return genuine(*given, **more)

        return call

    def halfway(genuine):
        def call(owner, *given, **more):
            result = genuine(owner, *given, **more)
            if next(count) == number:
                path = next(one for one in (owner, *given) if isinstance(one, Path))
                os.truncate(path, path.stat().st_size // 2)
                strike()
            return result

        return call

    os.replace, os.link = before(os.replace), before(os.link)
    pd.DataFrame.to_parquet = halfway(pd.DataFrame.to_parquet)
    Path.write_bytes = halfway(Path.write_bytes)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    """As Ctrl-C does."""
    os.kill(os.getpid(), signal.SIGINT)


def limit_files(size: int) -> None:
    """A disk on which no file can grow beyond some bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def respect_permissions(for_good: bool = False) -> None:
    """Give up what lets root write where the permissions say no; others never have it. With
    `for_good`, programs that are started from here do not get it back either.
    """

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("process", ctypes.c_int)]

    if os.geteuid():
        return
    libc, header = ctypes.CDLL(None, use_errno=True), Header(CAPABILITIES_VERSION_3, 0)
    if for_good:
        assert libc.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) == 0
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then their upper halves
    assert libc.capget(ctypes.byref(header), sets) == 0
    for place in (0, 1):
        sets[place] &= ~(1 << CAP_DAC_OVERRIDE)
    assert libc.capset(ctypes.byref(header), sets) == 0, os.strerror(ctypes.get_errno())
