"""Measure at full size, and keep every table's rows in ``data/results`` as soon as it is finished.

    python -m press.record                                        what the book shows: hours
    python -m press.record --model internvl3                      another model
    python -m press.record --notebook sec3_beliefs --model smol   one notebook

Rows that a record has already, and that a few prompts attest, are not measured again: the same
command goes on where it was stopped, also on another machine. Nothing is published in the book.
"""

import signal

# Ctrl-C while the rest is imported ends this without a traceback.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from press import workers
from press.processes import side_by_side
from press.publish import Run
from press.run import conclude, execute, full_parameters, plan

PROGRAM = ("-m", "press.record")


def command_line(about: str) -> argparse.ArgumentParser:
    """The command line, which `press.attest` shares."""
    options = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--notebook", action="append", default=[], help="name without ending; default: all"
    )
    options.add_argument(
        "--model", action="append", default=[], help="default: those that the book shows"
    )
    workers.add_options(options)
    return options


def full_runs(given: argparse.Namespace) -> list[Run]:
    """The runs at full size that a command line asks for.

    Raises
    ------
    ValueError
        As `run.plan`.
    """
    return plan(given.notebook, given.model, {}, full=full_parameters())


def record_all(runs: list[Run]) -> None:
    """Execute runs so that what they measure is recorded; what else they make is thrown away."""
    start = time.monotonic()
    for number, run in enumerate(runs, 1):
        minutes = (time.monotonic() - start) / 60
        print(f"[{number}/{len(runs)}] {run.title} ({minutes:.0f} minutes elapsed)", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            execute(run, Path(folder), ARBITRATION_RECORD="1")


def record(arguments=None) -> int:
    """What the command does; its exit status."""
    given = command_line(__doc__).parse_args(arguments)
    with ExitStack() as lent:
        try:
            runs = full_runs(given)
            lent.enter_context(workers.lend_workers(given))
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return record_chosen(runs)


def record_chosen(runs: list[Run]) -> int:
    """Record some runs, small models side by side; the exit status."""
    from arbitration.models import embedded

    chosen: dict[str, list[str]] = {}
    for run in runs:
        chosen.setdefault(run.model, []).append(run.source.stem)
    if len(chosen) > 1 and set(chosen) <= set(embedded.NAMES):
        return side_by_side(chosen, [], PROGRAM)
    record_all(runs)
    return 0


def main(arguments=None) -> int:
    return conclude(lambda: record(arguments))


if __name__ == "__main__":
    sys.exit(main())
