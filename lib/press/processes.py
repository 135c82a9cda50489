"""Several runs of one command at the same time, one a model, and how they are stopped: they end
with the command that started them, however it ends.
"""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

PROGRAM = ("-m", "press.run")
#: Tells a process that its input ends with the command that started it.
STARTED = "ARBITRATION_STARTED"


def side_by_side(
    parts: Mapping[str, list[str]], options: list[str], program: Sequence[str] = ()
) -> int:
    """Run a command once for each part of its work at the same time, the cores shared among them.

    Two cores are kept busier by two models than by one: half of a notebook's time is
    single-threaded. What the processes print comes out line by line under the part's name; of a
    progress bar, which rewrites its line, a state every ten seconds.

    Parameters
    ----------
    parts : mapping
        By the name of each, such as a model's, the options that choose it.
    options : list of str
        What else is given to all.
    program : sequence of str
        Python's arguments that begin the command; `PROGRAM` unless given.

    Returns
    -------
    int
        The worst exit status; of a process that a signal ended, 128 and the signal's number.
    """
    threads = str(max(1, (os.cpu_count() or 1) // len(parts)))
    running, stopped = {}, threading.Event()
    width = max(map(len, parts))
    try:
        for part, own in parts.items():
            command = [sys.executable, *(program or PROGRAM), *own, *options]
            environment = {
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "PYTHONUNBUFFERED": "1",
                "PYTHONIOENCODING": "utf-8",
                STARTED: "1",
            }
            # In a group of its own, so that Ctrl-C reaches it once, from here.
            running[part] = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                process_group=0,
            )
        readers = [
            threading.Thread(target=pass_on, args=(f"{part:{width}} | ", process.stdout, stopped))
            for part, process in running.items()
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        return max(read_status(part, process.wait()) for part, process in running.items())
    except BaseException:
        stopped.set()
        end(list(running.values()))
        raise
    finally:
        for process in running.values():
            process.stdin.close()


def end_with_starter() -> None:
    """End this process when the command that started it (`side_by_side`) is gone, also by `kill
    -9`. It would publish beside the same command's next start, which does not know of it.
    """
    if os.environ.pop(STARTED, None):
        threading.Thread(target=_await_end, daemon=True).start()


def _await_end() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def read_status(part: str, returncode: int) -> int:
    """A process's exit status as a shell gives it; that a signal ended it is printed."""
    if returncode >= 0:
        return returncode
    print(f"{part} was ended by signal {-returncode}; what it had measured is kept", flush=True)
    return 128 - returncode


def end(processes: list[subprocess.Popen], patience: float = 20.0) -> None:
    """Interrupt processes, so that they end their kernels and clean up, and kill those that have
    not ended after some seconds.
    """
    for process in processes:
        process.send_signal(signal.SIGINT)
    until = time.monotonic() + patience
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


def pass_on(label: str, stream, stopped: threading.Event, every: float = 10.0) -> None:
    """Print a process's lines under a label, and its progress bars now and then; read on in silence
    when `stopped`, so that it can end.
    """
    shown = float("-inf")
    for line in io.TextIOWrapper(
        stream, encoding="utf-8", errors="replace", newline=""
    ):  # a line ends at \r too
        bar = line.endswith("\r")
        if line.strip() and not stopped.is_set() and (not bar or time.monotonic() - shown > every):
            # One write: another thread's line could come before the end of this one.
            print(f"{label}{line.strip()}\n", end="", flush=True)
            shown = time.monotonic() if bar else shown
