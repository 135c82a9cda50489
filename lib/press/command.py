"""The project's command: what a person runs by hand.

    instruction-anchors run sec4_heads -p model internvl3   one notebook, into results/
    instruction-anchors cache                               what was fetched and kept, and how much

Where the package is not installed, `python -m press.command` is the same.
"""

import argparse
import sys

from arbitration import commands
from arbitration.files import cached, folders
from arbitration.models import catalogue
from press import KEPT, workers

#: Of what the cache holds, what takes hours to make again.
MEASURED = "parts"
#: What is said to somebody who stops the clearing of the cache.
CLEARED = "what was removed is gone; the same command goes on from there"


def main(arguments=None) -> int:
    commands.end_at_interrupt(KEPT)
    given = command_parser().parse_args(arguments)
    return given.work(given)


def command_parser() -> argparse.ArgumentParser:
    """The command line."""
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
    run.set_defaults(work=run_notebook)
    cache = kinds.add_parser("cache", help="say where fetched and measured files are kept")
    cache.add_argument(
        "--clear",
        nargs="*",
        metavar="NAME",
        help="remove what has these names; without, all but measured rows",
    )
    cache.set_defaults(work=tend_cache)
    return options


def add_parameters(options: argparse.ArgumentParser) -> None:
    """How a command line gives a notebook's parameters."""
    options.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE")
    )


def run_notebook(given: argparse.Namespace) -> int:
    """Run the notebook of a command line; the exit status."""
    from press.run import conclude, with_workers  # only now, because it imports papermill

    return conclude(lambda: with_workers(given, choose_run, run_by_hand))


def choose_run(given: argparse.Namespace) -> list:
    """The run that a command line asks for.

    Raises
    ------
    ValueError
        As `plan`.
    """
    from press.planned import plan

    parameters = dict(given.parameter)
    model = parameters.pop("model", catalogue.TRAINED[0])
    return plan([given.notebook], [model], parameters)


def run_by_hand(runs: list) -> int:
    """Execute a run where runs by hand write, and say where that is."""
    from press.run import run_all

    (run,), folder = runs, folders.output().resolve()
    run_all(runs, folder)
    where = folder / run.named / run.source.name
    print(f"The executed notebook, with its tables and figures beside it: {where}")
    return 0


def tend_cache(given: argparse.Namespace) -> int:
    """Say what the cache holds, or clear it; the exit status."""
    try:
        return commands.status(lambda: print(tell_cache(given.clear)), CLEARED)
    except (ValueError, cached.InUse) as error:
        print(f"{commands.ERROR}{error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1


def tell_cache(names: list[str] | None) -> str:
    """What the cache holds, a line each; with names, what was freed by clearing these; by clearing
    all that can be fetched again, if there are none.

    Raises
    ------
    ValueError, InUse, Unwritable
        As `cached.clear_cache`.
    """
    if names is not None:
        freed = cached.clear_cache(names or cached.CONTENTS.keys() - {MEASURED})
        return f"{freed / 1e6:.1f} MB are freed in {folders.cache()}"
    held = cached.measure_cache()
    lines = [f"{one.size / 1e6:10.1f} MB  {one.name}: {one.what}" for one in held]
    total = sum(one.size for one in held) / 1e6
    return "\n".join([*lines, f"The cache is {folders.cache()}, with {total:.1f} MB."])


if __name__ == "__main__":
    sys.exit(main())
