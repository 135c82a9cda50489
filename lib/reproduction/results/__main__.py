"""Look at records: list them, check them, unite two stores of them.

    python -m reproduction.results list              every record: parts, size, when, by which code
    python -m reproduction.results verify            whether files are whole, and a sample of rows
    python -m reproduction.results verify --hashes   whether files are whole, without a model
    python -m reproduction.results merge FOLDER      take in the records of another store

`verify` measures rows by running the notebooks that ask for them, as ``make attest`` does. Of what
two stores both have, `merge` keeps what is here, prints every value that differs by more than
`attest.compare_rows` allows, and ends with status 1 if there is one.
"""

from arbitration import commands

if __name__ == "__main__":
    KEPT = "every record is whole, as it was or as it becomes; the same command goes on from there"
    commands.end_at_interrupt(KEPT)

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm

from reproduction.results import attest, records
from reproduction.results.recorded import bound_rounding


def describe_records(folder: Path) -> pd.DataFrame:
    """One line for each record: model, table, parts, rows, KiB, minutes, recorded, code."""
    lines = []
    for path in records.list_records(folder):
        record = records.read_record(path)
        parts = record.rows.drop_duplicates(records.KEY)
        made = record.made.values()
        lines.append(
            {
                "model": _model_of(path, folder),
                "table": path.stem,
                "parts": len(parts),
                "rows": len(record.rows),
                "KiB": round(path.stat().st_size / 1024),
                "minutes": round(float(parts["seconds"].sum()) / 60, 1),
                "recorded": ", ".join(sorted({one["when"] for one in made})),
                "code": ", ".join(sorted({one["code"] for one in made})),
            }
        )
    return pd.DataFrame(lines)


def print_records() -> int:
    table = describe_records(records.home())
    print(table.to_string(index=False) if len(table) else f"no record in {records.home()}")
    return 0


def verify_records(hashes: bool) -> int:
    """Read every record, so that its hash is compared; then measure a sample of rows."""
    damaged = 0
    paths = records.list_records(records.home())
    for path in tqdm(paths, desc="records"):
        try:
            records.read_record(path)
        except ValueError as error:
            print(error, file=sys.stderr)
            damaged += 1
    print(f"{len(paths) - damaged} of {len(paths)} records are whole")
    if damaged or hashes:
        return min(damaged, 1)
    # The rooms of measuring do not know the press; its command is asked as a reader would.
    return subprocess.run([sys.executable, "-m", "press.attest"], check=False).returncode


def merge_records(other: Path) -> int:
    """Take in what another store has and this one has not."""
    if not records.list_records(other):
        print(f"error: no record in {other}; give a folder as data/results is", file=sys.stderr)
        return 2
    for path in records.list_records(other):
        refuse_misplaced(path, other)
    faults = []
    for path in tqdm(records.list_records(other), desc="records"):
        theirs = records.read_record(path)
        model, table = _model_of(path, other), path.stem
        ours = records.read_record(records.record_path(model, table))
        for case, about in theirs.cases.items():
            known = ours.parts(case) if ours else {}
            new = []
            for (prompt, content), rows in theirs.parts(case).items():
                if (prompt, content) in known:
                    where = f"{model}, {table}"
                    near = bound_rounding(getattr(torch, about["dtype"]))
                    found = attest.compare_rows(prompt, known[prompt, content], rows, near)[1]
                    faults += [f"{where}: {one}" for one in found]
                else:
                    new.append(theirs.read_part(case, (prompt, content)))
            added = records.add_parts(model, table, case, about, new)
            if added:
                tqdm.write(f"{model}, {table}: {added} parts taken in")
    print("\n".join(faults), end="\n" if faults else "")
    print(f"{len(faults)} values differ; what was here is kept" if faults else "both stores agree")
    return 1 if faults else 0


def refuse_misplaced(path: Path, store: Path) -> None:
    """Refuse a record that is damaged, or lies in a store where no record of its model does.

    Raises
    ------
    ValueError
        Says what to do.
    """
    rows, model = records.read_record(path).rows, _model_of(path, store)
    named = rows["model"].iloc[0] if "model" in rows and len(rows) else model
    if model == "." or model != named:
        why = (
            f"{path} lies where the records of {model!r} would, and is of {named!r}; give the "
            f"folder that holds the models' folders, as data/results does"
        )
        raise ValueError(why)


def _model_of(path: Path, store: Path) -> str:
    """The model whose records lie where a record does."""
    return path.parent.relative_to(store).as_posix()


def main(arguments=None) -> int:
    options = argparse.ArgumentParser(
        prog="python -m reproduction.results",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ways = options.add_subparsers(dest="way", required=True)
    ways.add_parser("list", help="every record")
    verify = ways.add_parser("verify", help="whether records are whole and true")
    verify.add_argument("--hashes", action="store_true", help="measure nothing")
    ways.add_parser("merge", help="take in another store").add_argument("folder", type=Path)
    given = options.parse_args(arguments)
    try:
        if given.way == "list":
            return print_records()
        if given.way == "verify":
            return verify_records(given.hashes)
        return merge_records(given.folder)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(commands.status(main, KEPT))
