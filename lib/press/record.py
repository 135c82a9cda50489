"""Keep the numbers of finished full runs: ``data/results/<model>/<notebook>.json``, which the book
shows beside a reader's own.

    python -m press.record

It keeps every full run of the embedded models that is published in the book.

A run that was not made with the parameters of ``full.json``, or whose code or data have changed
since, is named and left out.
"""

import argparse
import json
import math
import sys
from importlib.metadata import version
from pathlib import Path

import nbformat

from arbitration.commands import make_printable
from arbitration.files import atomic
from arbitration.files.folders import DATA, EXECUTED
from press.glued import read_glued
from press.publish import Run, finished, is_current
from press.run import NOTEBOOKS, full_parameters, plan

PREFIX = "application/papermill.record/"
PACKAGES = ("torch", "transformers", "numpy", "pandas")


def record_run(run: Run, executed: Path) -> dict:
    """The numbers of a published run and where they come from.

    Raises
    ------
    ValueError
        If the run is not published, was not made with these parameters, or is no longer what its
        code and data would give.
    """
    path = executed / run.named / run.source.name
    if not path.is_file():
        why = "not there; make book FULL=1 runs it"
        raise ValueError(why)
    notebook = nbformat.read(path, as_version=4)
    about = notebook.metadata.get("papermill", {})
    if about.get("parameters") != run.parameters or not finished(notebook):
        why = (
            f"no full run: it was made with {about.get('parameters')}, a full run has "
            f"{run.parameters}"
        )
        raise ValueError(why)
    if not is_current(run, executed):
        why = "out of date: its code, data or files have changed since"
        raise ValueError(why)
    numbers = {
        name: None if isinstance(one, float) and math.isnan(one) else one
        for name, one in read_glued(notebook).items()
    }
    stamp = json.loads(
        (executed / run.named / f"{run.source.stem}.stamp.json").read_text(encoding="utf-8")
    )
    origin = {
        "parameters": run.parameters,
        "inputs": stamp["inputs"],
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in PACKAGES},
        "ended": about["end_time"],
        "seconds": about.get("duration"),
    }
    return {"provenance": origin, "numbers": numbers}


def main(
    arguments=None,
    executed: Path = EXECUTED,
    into: Path = DATA / "results",
    folder: Path = NOTEBOOKS,
) -> int:
    make_printable()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", default=[], help="default: the embedded models")
    given = parser.parse_args(arguments)
    try:
        runs = plan([], given.model, {}, folder, full_parameters(folder))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for run in runs:
        try:
            found = record_run(run, executed)
        except ValueError as error:
            print(f"{run.title}: not recorded: {error}")
            continue
        target = into / run.named / f"{run.source.stem}.json"
        atomic.write_whole(
            target, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        )
        print(f"{run.title}: {len(found['numbers'])} numbers recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
