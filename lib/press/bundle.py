"""Every published table as one zip, with the meaning of every column.

    python -m press.bundle path/of/the.zip    as `make tables`

Records, the tables of the book's runs and the data of its figures. The same tables give the same
bytes: names are sorted, and no time is kept.
"""

import argparse
import csv
import io
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from arbitration import commands
from arbitration.files import atomic
from arbitration.files.folders import DATA, EXECUTED, ROOT
from press.citation import read_citation, write_bibtex
from press.columns import (
    FILE,
    Column,
    find_column,
    find_drawn,
    find_table,
    read_columns,
    read_tables,
)
from press.markdown import markdown

ONWARD = "the zip that was there, if any, is as it was; run the same command again"
#: Enclosed as they are.
BESIDE = ("CITATION.cff", "LICENSES.md")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can tell
README = """# The tables of “{title}”, version {version}

| folder | what |
|---|---|
| `records/<model>` | tables measured at full size; the JSON file of the same name says how |
| `runs/<model>` | the tables of the runs that the book shows, with such a file |
| `figures/<model>` | what each figure draws, as CSV too; the JSON file tells the figure in words |

`tables.csv` lists every table and what there is one row for. `columns.csv` has the type, unit and
meaning of every column of every table, and `columns.md` the same to read. `columns.json` is the
file of the project from which both are made. Tables are Parquet files:

```python
import pandas as pd

table = pd.read_parquet("records/smol/knockout.parquet")
peaks = table.groupby(["following", "pathway", "layer"])["nssd"].mean()
```

The tables are under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). `LICENSES.md` names
what is by others. Please cite:

```bibtex
{book}

{paper}
```
"""


@dataclass(frozen=True)
class Published:
    """A table of the book, and where it lies in the zip.

    Attributes
    ----------
    kind : str
        Its folder in the zip: records, runs or figures.
    model : str
        Such as ``smol`` or ``org/name``.
    path : Path
        The Parquet file. Beside it lie others of the same name: JSON, of a figure CSV.
    """

    kind: str
    model: str
    path: Path

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.model}/{self.path.name}"

    def describe(self, column: str) -> Column | None:
        """What a column of it means."""
        if self.kind == "figures":
            return find_drawn(self.path.stem, column)
        recorded = read_columns("of_records") if self.kind == "records" else ()
        own = [one for one in recorded if one.name == column]
        return next(iter(own), None) or find_column(find_table(self.path.stem) or "", column)

    def rows(self) -> str:
        """What there is one row for; of a figure, what it is."""
        if self.kind == "figures":
            return f"what is drawn in {self.path.stem}"
        table = find_table(self.path.stem)
        return read_tables()[table].rows if table else ""


def gather_published(
    executed: Path = EXECUTED, records: Path = DATA / "results"
) -> list[Published]:
    """Every table, sorted by its name in the zip."""
    found = [
        Published("records", path.parent.relative_to(records).as_posix(), path)
        for path in records.glob("**/*.parquet")
    ]
    for folder, kind in (("tables", "runs"), ("figures", "figures")):
        for path in executed.glob(f"**/{folder}/*.parquet"):
            model = path.parent.parent.relative_to(executed).as_posix()
            if not model.startswith("."):
                found.append(Published(kind, model, path))
    return sorted(found, key=lambda one: one.name)


def write_bundle(target: Path, published: Iterable[Published]) -> None:
    """Write the zip, whole or not at all.

    Raises
    ------
    ValueError
        If a column has no description; the message names all such.
    """
    listed = [("table", "rows", "columns", "there is one row for")]
    described = [("table", "column", "type", "unit", "meaning")]
    files: dict[str, bytes] = {name: (ROOT / name).read_bytes() for name in BESIDE}
    lacking = []
    for one in published:
        stored = pq.read_metadata(one.path)
        names = stored.schema.to_arrow_schema().names
        listed.append((one.name, stored.num_rows, len(names), one.rows()))
        for name in names:
            if (said := one.describe(name)) is None:
                lacking.append(f"{one.name}: {name}")
            else:
                described.append((one.name, name, said.type, said.unit, said.meaning))
        for path in sorted(one.path.parent.glob(f"{one.path.stem}.*")):
            if path.suffix in (".parquet", ".json", ".csv"):
                files[f"{one.kind}/{one.model}/{path.name}"] = path.read_bytes()
    if lacking:
        why = f"no description in data/{FILE} of {', '.join(lacking)}; write them there"
        raise ValueError(why)
    files |= {"tables.csv": write_csv(listed), "columns.csv": write_csv(described)}
    files["columns.json"] = (DATA / "columns.json").read_bytes()
    files["columns.md"] = write_meanings().encode()
    files["README.md"] = write_readme().encode()
    with atomic.partial(target) as free:
        with zipfile.ZipFile(free, "w") as bundle:
            for name in sorted(files):
                about = zipfile.ZipInfo(name, EPOCH)
                about.external_attr = 0o644 << 16
                bundle.writestr(about, files[name], zipfile.ZIP_DEFLATED, 9)
        free.replace(target)


def write_csv(rows: Iterable[Iterable]) -> bytes:
    """Rows as CSV, the first its head."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def write_meanings() -> str:
    """Every description, in the order of ``data/columns.json``, to read."""
    lines = ["# What every column means", ""]
    titles = {
        "columns": "Columns",
        "of_records": "Columns of records alone",
        "of_figures": "Columns of the data of figures alone",
    }
    for part, title in titles.items():
        rows = [["column", "in", "type", "unit", "meaning"]]
        for one in read_columns(part):
            where = ", ".join(f"`{name}`" for name in one.tables) or "all that have it"
            rows.append([f"`{one.name}`", where, one.type, one.unit, one.meaning])
        lines += [f"## {title}", "", *markdown(rows), ""]
    return "\n".join(lines)


def write_readme() -> str:
    """What lies where, and how to cite it."""
    citation = read_citation()
    entries = {which: write_bibtex(citation, which) for which in ("book", "paper")}
    return README.format(title=citation["title"], version=citation["version"], **entries)


def main(arguments: list[str] | None = None) -> int:
    """Write it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m press.bundle", description=__doc__)
    parser.add_argument("zip", type=Path)
    target = parser.parse_args(arguments).zip
    published = gather_published()
    if not any(one.kind == "runs" for one in published):
        print("error: the book has no tables yet; make it first: make book", file=sys.stderr)
        return 2
    try:
        write_bundle(target, published)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = target.stat().st_size / 1e6
    print(f"{len(published)} tables in {target} ({size:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(commands.status(main, ONWARD))
