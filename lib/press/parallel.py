"""Measure with several processes, each on a GPU of its own, and publish as `press.run` does: the
same tables, sooner.

    accelerate launch --num_processes 4 -m press.parallel --notebook sec3_knockout \\
        --model qwen2.5-vl
    torchrun --nproc_per_node 2 -m press.parallel --model smol       without GPUs

The arguments are those of `press.run`. Every process runs the notebooks' cells, and measures those
prompts of each table that are its own (`reproduction.results.team`); all parts go into the same
cache. What is no table by prompts, such as a search that goes on until it has found enough, each
process does for itself, with the answers that the others have left. When all are done, the first
process becomes `press.run`, which finds every part at hand. If a process breaks off, the launcher
ends the others; the same command then goes on where they stopped.
"""

import signal

# Ctrl-C while the rest is imported ends this without a traceback.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import gc
import os
import sys
import tempfile
import traceback
from unittest import mock

import nbformat

from arbitration.commands import make_printable
from press import processes, run
from press.publish import Run, is_current

#: What a launcher puts into a process's environment; `press.run` is one process again.
LAUNCHED = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
    "ROLE_RANK",
    "ROLE_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)


def here(one: Run) -> None:
    """Run a notebook's cells in this very process, without an output: what they measure stays in
    the cache.
    """
    scope: dict = {}
    with mock.patch("myst_nb.glue"):
        for cell in nbformat.read(one.source, as_version=4).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, one.title, "exec"), scope)
                if "parameters" in cell.metadata.get("tags", []):
                    scope.update(one.parameters)
    scope.clear()
    gc.collect()


def together(runs: list[Run]) -> None:
    """Measure what some runs need, this process its share, and wait for the others.

    Raises
    ------
    SystemExit
        With status 1, after saying which process broke off where, if a cell raises.
    """
    import torch

    from reproduction.results import team

    rank, size = team.join()
    place = os.environ.get("ARBITRATION_OUTPUT")
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # figures and whole tables: `press.run` makes them again, and publishes them
        os.environ["ARBITRATION_OUTPUT"] = folder
        try:
            for number, one in enumerate(runs, 1):
                if rank == 0:
                    print(
                        f"[{number}/{len(runs)}] {one.title}: measuring, {size} processes",
                        flush=True,
                    )
                here(one)
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
        except Exception:
            traceback.print_exc()
            print(
                f"error: process {rank + 1} of {size} broke off in {one.title}; the others "
                f"are ended. "
                "What has been measured is kept: the same command goes on from there.",
                file=sys.stderr,
                flush=True,
            )
            sys.exit(1)
        finally:
            os.environ.pop("ARBITRATION_OUTPUT")
            os.environ.update({"ARBITRATION_OUTPUT": place} if place else {})
    team.leave()


def main(arguments: list[str]) -> int:
    run.interruptible()
    make_printable()
    try:
        return split_command(arguments)
    except KeyboardInterrupt:
        if int(os.environ.get("RANK", 0)) == 0:
            print(f"stopped: {run.KEPT}", file=sys.stderr, flush=True)
        return 130


def split_command(arguments: list[str]) -> int:
    """What the command does; its exit status."""
    given = run.parser(__doc__).parse_args(arguments)
    try:
        runs = run.requested_runs(given)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    first = int(os.environ.get("RANK", 0)) == 0
    together([one for one in runs if not is_current(one, given.into.resolve())])
    if first:
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in LAUNCHED and not name.startswith("TORCHELASTIC_")
        }
        os.execve(sys.executable, [sys.executable, *processes.PROGRAM, *arguments], environment)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
