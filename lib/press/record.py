"""Measure at full size, and keep every table's rows in ``data/results`` as soon as it is finished.

    python -m press.record                                        what the book shows: hours
    python -m press.record --model internvl3                      another model
    python -m press.record --notebook sec3_beliefs --model smol   one notebook

Rows that a record has already, and that a few prompts attest, are not measured again: the same
command goes on where it was stopped, also on another machine. Nothing is published in the book.
"""

from arbitration import commands
from press import KEPT

if __name__ == "__main__":
    commands.end_at_interrupt(KEPT)

import argparse
import sys
import tempfile
import time
from pathlib import Path

from press import forked
from press.planned import full_parameters, plan
from press.processes import side_by_side
from press.publish import Run
from press.run import choosing_parser, conclude, execute, group_small, with_workers

PROGRAM = ("-m", "press.record")


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
    warm = forked.share_imports(len(runs))
    for number, run in enumerate(runs, 1):
        minutes = (time.monotonic() - start) / 60
        print(f"[{number}/{len(runs)}] {run.title} ({minutes:.0f} minutes elapsed)", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            execute(run, Path(folder), ARBITRATION_RECORD="1", **warm)


def record(arguments=None) -> int:
    """What the command does; its exit status."""
    given = choosing_parser(__doc__).parse_args(arguments)
    return with_workers(given, full_runs, record_chosen)


def record_chosen(runs: list[Run]) -> int:
    """Record some runs, small models side by side; the exit status."""
    if chosen := group_small(runs):
        return side_by_side(chosen, [], PROGRAM)
    record_all(runs)
    return 0


def main(arguments=None) -> int:
    return conclude(lambda: record(arguments))


if __name__ == "__main__":
    sys.exit(main())
