"""Run notebooks with papermill, and publish into the book those runs that finished.

    python -m press.run              every notebook on the embedded models
    python -m press.run --full       with the parameters of full.json: hours
    python -m press.run --recorded   the same from records, where these reach and are attested
    python -m press.run --notebook sec4_heads --model smol -p n 4
    python -m press.run --cluster 4  with four workers (`press.workers`)

A run whose source, code, data and parameters are those of the published one is not repeated.
"""

from arbitration import commands
from press import KEPT

if __name__ == "__main__":
    commands.end_at_interrupt(KEPT)

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import papermill

from arbitration.files.folders import EXECUTED
from arbitration.models import catalogue
from press import forked, workers
from press.command import add_parameters
from press.planned import SEVERAL, contributed_runs, full_parameters, plan, settled
from press.processes import end_with_starter, side_by_side
from press.publish import Run, fingerprint, is_current, listed, publish_run, seen, staged
from press.sockets import lend_sockets
from reproduction.results import records

KERNEL = {  # what a notebook's kernel finds in its environment
    # this interpreter's kernel, also when the user has another python3 kernel
    "JUPYTER_PREFER_ENV_PATH": "1",
    # ipykernel's debugger warns about frozen modules at every start
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    # tqdm looks for a widget; here its text bar is meant
    "PYTHONWARNINGS": "ignore:IProgress not found",
    # threads that spin while they wait make a busy machine ten times slower
    "OMP_WAIT_POLICY": "PASSIVE",
}


def execute(run: Run, executed: Path, **environment: str) -> None:
    """Run one notebook in a staging folder of its own and publish it.

    Parameters
    ----------
    **environment
        What its kernel finds in its environment besides.

    The kernel works in the folder that the command was typed in, from which relative paths start.
    The notebook writes its tables and figures where `arbitration.files.folders.output` says, which
    is the staging folder here; so a run that breaks off leaves the book with the last one that
    finished.

    Raises
    ------
    papermill.PapermillExecutionError
        When a cell raises; the message holds the cell and the traceback.
    RuntimeError
        When the run ended without finishing, or another one was published meanwhile.
    """
    # Taken now: what is edited while the notebook runs makes its result stale.
    made_from, before = fingerprint(run), seen(run, executed)
    before_it = dict(os.environ)
    with staged(run, executed) as staging, lend_sockets() as sockets:
        output = {"ARBITRATION_OUTPUT": str(staging / "output")}
        os.environ.update(KERNEL | output | environment)
        try:
            papermill.execute_notebook(
                run.source,
                staging / run.source.name,
                run.parameters,
                kernel_name="python3",
                progress_bar=False,
                # only what has finished is published, so none but the last writing counts
                request_save_on_cell_execute=False,
                stdout_file=sys.stdout,
                stderr_file=sys.stderr,
                # one that is asked to end prints how it was interrupted; its files are written
                # whole
                shutdown_kernel="immediate",
                # a cell that glues hundreds of numbers on a busy machine needs more than the
                # default 4 s
                iopub_timeout=300,
                config=sockets,
                # one that has no sockets would warn that it speaks TCP, on this machine only
                extra_arguments=["--log-level=ERROR"],
            )
        finally:
            os.environ.clear()
            os.environ.update(before_it)
        if not publish_run(run, staging, executed, made_from, before):
            why = "another run of the same was published meanwhile; the book has that one"
            print(f"{run.title}: {why}", flush=True)


def run_all(
    runs: list[Run], executed: Path, recorded: bool = False, asked: dict | None = None
) -> None:
    """Execute the runs that are not current, one after the other, saying which and since when.

    Parameters
    ----------
    recorded : bool
        The runs take every row from records (`execute_recorded`).
    asked : dict, optional
        Parameters that hold at the default n too, if a run comes to that.
    """
    start = time.monotonic()
    warm = forked.share_imports(len(runs))
    for number, run in enumerate(runs, 1):
        minutes, seconds = divmod(int(time.monotonic() - start), 60)
        current = is_current(run, executed) or (
            recorded
            and any(is_current(instead_of(run, asked, one), executed) for one in (False, True))
        )
        print(
            f"[{number}/{len(runs)}] {run.title}: {'unchanged' if current else 'running'} "
            f"({minutes}:{seconds:02d} elapsed)",
            flush=True,
        )
        if current:
            continue
        if recorded:
            execute_recorded(run, executed, asked, **warm)
        else:
            execute(run, executed, **warm)


def execute_recorded(
    run: Run, executed: Path, asked: dict | None = None, **environment: str
) -> None:
    """Run a notebook on rows from records alone; where these lack something, or do not say what is
    measured here, run it at its default n instead, and measure.
    """
    if not records.list_records(records.home() / run.named):
        print(f"{run.title}: at its default n, because nothing of it is recorded", flush=True)
        execute(instead_of(run, asked, measure=False), executed, **environment)
        return
    try:
        execute(run, executed, ARBITRATION_RECORDED="only", **environment)
    except papermill.PapermillExecutionError as error:
        if error.ename not in ("NotRecorded", "NotAttested"):
            raise
        print(f"{run.title}: at its default n instead, because {error.evalue}", flush=True)
        other = instead_of(run, asked, measure=error.ename == "NotAttested")
        execute(other, executed, **environment)


def instead_of(run: Run, asked: dict | None, measure: bool) -> Run:
    """A run at the notebook's default n, but for what was asked for; with `measure`, without any
    record.
    """
    given = {**(asked or {}), "model": run.parameters["model"]}
    given |= {"measure": True} if measure else {}
    return Run(run.source, run.model, settled(run.source, given))


def choosing_parser(about: str) -> argparse.ArgumentParser:
    """The command line of whatever runs notebooks: which, on which models, with which workers."""
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


def parser(about: str) -> argparse.ArgumentParser:
    """The command line."""
    options = choosing_parser(about)
    add_parameters(options)
    options.add_argument(
        "--full", action="store_true", help="with the parameters of full.json; -p goes before them"
    )
    options.add_argument(
        "--recorded",
        action="store_true",
        help="as --full, from records; what these lack is measured with the defaults",
    )
    options.add_argument("--into", type=Path, default=EXECUTED, help="folder of the published runs")
    return options


def requested_runs(given: argparse.Namespace) -> list[Run]:
    """The runs that a command line asks for.

    Raises
    ------
    ValueError
        As `plan`.
    """
    if given.into.exists() and not given.into.is_dir():
        why = f"--into {given.into} is a file; give a folder, which is made if it is not there"
        raise ValueError(why)
    full = full_parameters() if given.full or given.recorded else None
    return plan(given.notebook, given.model, dict(given.parameter), full=full)


def main(arguments=None) -> int:
    return conclude(lambda: run_command(arguments))


def conclude(work: Callable[[], int | None]) -> int:
    """The exit status of some work (`status`); 1, after what was wrong, when a run breaks off: of
    an error for readers its sentence.
    """
    end_with_starter()
    try:
        return commands.status(work, KEPT)
    except (papermill.PapermillExecutionError, RuntimeError) as error:
        broken = "error: the run above broke off; the last run that finished is kept."
        print(commands.read_sentence(error) or f"{error}\n{broken}", file=sys.stderr)
        return 1


def run_command(arguments) -> int:
    """What the command does; its exit status."""
    given = parser(__doc__).parse_args(arguments)
    return with_workers(given, requested_runs, lambda runs: run_chosen(runs, given))


def with_workers(
    given: argparse.Namespace,
    choose: Callable[[argparse.Namespace], list[Run]],
    work: Callable[[list[Run]], int],
) -> int:
    """The exit status of some work on the runs that a command line asks for, with its workers; 2 if
    there are no such runs or workers, after saying why.
    """
    with ExitStack() as lent:
        try:
            runs = choose(given)
            lent.enter_context(workers.lend_workers(given))
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        return work(runs)


def group_small(runs: list[Run]) -> dict[str, list[str]]:
    """What can go on side by side, as options of a command: the notebooks of each model, where
    there are several and a machine can hold all of them; else nothing.

    What measures several models by itself goes on beside them: the model that it is run on would
    end last, and leave cores idle.
    """
    found: dict[str, list[str]] = {}
    models = {run.model for run in runs}
    for run in runs:
        name = run.source.stem
        part = name if name in SEVERAL else run.model
        found.setdefault(part, ["--model", run.model]).append(f"--notebook={name}")
    return found if len(models) > 1 and models <= set(catalogue.EMBEDDED) else {}


def run_contributed(executed: Path) -> None:
    """Execute the notebooks on what others have recorded of their models; what their records do not
    reach is left out.
    """
    for run in contributed_runs(listed()):
        if is_current(run, executed):
            continue
        print(f"{run.title}: from its record", flush=True)
        try:
            execute(run, executed, ARBITRATION_RECORDED="only")
        except papermill.PapermillExecutionError as error:
            print(f"{run.title}: left out, because {error.evalue}", flush=True)


def run_chosen(runs: list[Run], given: argparse.Namespace) -> int:
    """Execute the runs of a command line, small models side by side; its exit status. The whole
    book from records shows contributed models too.
    """
    failed = run_own(runs, given)
    if given.recorded and not (given.notebook or given.model or failed):
        run_contributed(given.into.resolve())
    return failed


def run_own(runs: list[Run], given: argparse.Namespace) -> int:
    """Execute the runs that a command line names; the exit status."""
    if chosen := group_small(runs):
        start = time.monotonic()
        options = [part for pair in given.parameter for part in ("-p", *pair)]
        options += [f"--{name}" for name in ("full", "recorded") if getattr(given, name)]
        failed = side_by_side(chosen, [*options, f"--into={given.into}"])
        print(
            f"all runs {'ended, some broke off' if failed else 'are current'} after "
            f"{(time.monotonic() - start) / 60:.1f} minutes",
            flush=True,
        )
        return failed
    run_all(runs, given.into.resolve(), given.recorded, dict(given.parameter))
    return 0


if __name__ == "__main__":
    sys.exit(main())
