"""The project's command: what a person runs by hand.

    instruction-anchors run sec4_heads -p model internvl3   one notebook, into results/

Where the package is not installed, `python -m press.command` is the same.
"""

import argparse
import sys

from arbitration import commands
from arbitration.files.folders import output
from press import KEPT


def main(arguments=None) -> int:
    commands.end_at_interrupt(KEPT)
    from press.run import conclude  # only now, because it imports papermill

    return conclude(lambda: follow_command(arguments))


def follow_command(arguments) -> int:
    """What the command does; its exit status."""
    from press.run import with_workers

    given = command_parser().parse_args(arguments)
    return with_workers(given, choose_run, run_by_hand)


def command_parser() -> argparse.ArgumentParser:
    """The command line."""
    from press import workers
    from press.run import add_parameters

    options = argparse.ArgumentParser(
        prog="instruction-anchors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = options.add_subparsers(required=True, metavar="COMMAND")
    run = kinds.add_parser("run", help="run one notebook; its tables and figures go to results/")
    run.add_argument("notebook", help="name without ending")
    add_parameters(run)
    workers.add_options(run)
    return options


def choose_run(given: argparse.Namespace) -> list:
    """The run that a command line asks for.

    Raises
    ------
    ValueError
        As `plan`.
    """
    from arbitration.models import embedded
    from press.planned import plan

    parameters = dict(given.parameter)
    model = parameters.pop("model", embedded.TRAINED[0])
    return plan([given.notebook], [model], parameters)


def run_by_hand(runs: list) -> int:
    """Execute a run where runs by hand write, and say where that is."""
    from press.run import run_all

    (run,), folder = runs, output().resolve()
    run_all(runs, folder)
    where = folder / run.named / run.source.name
    print(f"The executed notebook, with its tables and figures beside it: {where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
