"""Measure a part of every recorded table again, here, and say how far it is from its record.

    python -m press.attest                  2 prompts of each direction and table
    python -m press.attest --prompts 20     more of them; --prompts all: every one
    python -m press.attest --model smol --notebook sec4_heads

Nothing is published and nothing recorded. The exit status is 1 if a record disagrees.
"""

from arbitration import commands
from press import KEPT

if __name__ == "__main__":
    commands.end_at_interrupt(KEPT)

import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import papermill

from press.publish import Run
from press.record import full_runs
from press.run import choosing_parser, conclude, execute, with_workers
from reproduction.results.attest import read_count


def attest_run(run: Run, prompts: str) -> tuple[str, pd.DataFrame | None]:
    """What comes of one notebook: "attested", "not recorded: …" or "disagrees: …"; and where the
    rows of its tables come from, unless something is lacking.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            asked = {"ARBITRATION_RECORDED": "only", "ARBITRATION_ATTEST": prompts}
            execute(run, Path(folder), **asked)
        except papermill.PapermillExecutionError as error:
            if error.ename == "NotRecorded":
                return f"not recorded: {error.evalue}", None
            if error.ename == "NotAttested":
                return f"disagrees: {error.evalue}", None
            raise
        tables = Path(folder) / run.named / "tables"
        return "attested", pd.read_parquet(tables / f"{run.source.stem}_origins.parquet")


def attest_all(runs: list[Run], prompts: str) -> int:
    """Attest some runs, printing a line for each table; 1 if one disagrees."""
    start, wrong = time.monotonic(), 0
    for number, run in enumerate(runs, 1):
        said, origins = attest_run(run, prompts)
        seconds = time.monotonic() - start
        print(f"[{number}/{len(runs)}] {run.title}: {said} ({seconds:.0f} s elapsed)", flush=True)
        for one in () if origins is None else origins.itertuples():
            print(f"    {one.table}: {one.origin}", flush=True)
        wrong += said.startswith("disagrees")
    return 1 if wrong else 0


def attest(arguments=None) -> int:
    """What the command does; its exit status."""
    options = choosing_parser(__doc__)
    options.add_argument("--prompts", default="2", help="of each direction and table, or all")
    given = options.parse_args(arguments)

    def choose(given):
        read_count("--prompts", given.prompts)
        return full_runs(given)

    return with_workers(given, choose, lambda runs: attest_all(runs, given.prompts))


def main(arguments=None) -> int:
    return conclude(lambda: attest(arguments))


if __name__ == "__main__":
    sys.exit(main())
