"""The directive ``columns``: what every column of every table means.

    ```{columns}
    ```

The descriptions stand in ``data/columns.json``. A table that a run has written for this book and
that lacks one is a warning, and the book is built with warnings as errors.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
from docutils import nodes
from sphinx.util import logging

from arbitration.files import folders
from directives.base import Directive
from press.markdown import markdown

LOG = logging.getLogger(__name__)
FILE = "columns.json"
#: The table that every notebook writes under its own name.
ORIGINS = "_origins"
#: Columns that stand in more tables than these are said to, with their number.
NAMED = 6


@dataclass(frozen=True)
class Column:
    """What a column means.

    Attributes
    ----------
    name, type, unit, meaning : str
        As MyST. The type is text, whole number, number, or true or false.
    tables : tuple of str
        The tables in which it means this; empty for all others that have it.
    """

    name: str
    type: str
    unit: str
    meaning: str
    tables: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The target of links to it."""
        return "-".join(["column", self.name, *self.tables[:1]])


@dataclass(frozen=True)
class Table:
    """What a table is.

    Attributes
    ----------
    rows : str
        What there is one row for.
    saved_by : str or None
        The notebook that writes it; None for one that is kept in records alone.
    measured_by : str
        The full name of the function that gives its rows.
    columns : str
        Their names, in order, with spaces between.
    """

    rows: str
    saved_by: str | None
    measured_by: str
    columns: str


@cache
def read_tables() -> dict[str, Table]:
    """Every table by its name; ``*_origins`` is one of each notebook."""
    return {name: Table(**record) for name, record in _read()["tables"].items()}


@cache
def read_columns(part: str = "columns") -> tuple[Column, ...]:
    """Every description, in the order of the file; `of_records`: those that only records have."""
    found = []
    for record in _read()[part]:
        found.append(Column(**record | {"tables": tuple(record.get("tables", ()))}))
    return tuple(found)


def _read() -> dict:
    return json.loads((folders.DATA / FILE).read_text(encoding="utf-8"))


def find_table(name: str) -> str | None:
    """Under which name a table is described, or None."""
    known = f"*{ORIGINS}" if name.endswith(ORIGINS) else name
    return known if known in read_tables() else None


def find_column(table: str, name: str) -> Column | None:
    """What a column of a table means: what is said of this table, else what is said of all."""
    found = [one for one in read_columns() if one.name == name]
    own = [one for one in found if table in one.tables]
    return next(iter(own or [one for one in found if not one.tables]), None)


def list_undescribed(tables: Mapping[str, Iterable[str]]) -> list[str]:
    """What is written and not described: names of tables, and of columns as ``table.column``.

    Parameters
    ----------
    tables : mapping
        For the name of each table the names of its columns.
    """
    lacking = []
    for name, columns in tables.items():
        known = find_table(name)
        if known is None:
            lacking.append(name)
            continue
        said = read_tables()[known].columns.split()
        here = [one for one in columns if one not in said or find_column(known, one) is None]
        lacking += [f"{name}.{one}" for one in here]
    return sorted(lacking)


def read_written(folder: Path) -> dict[str, list[str]]:
    """The columns of every table below a folder of runs, by the table's name; of several models all
    that one of them has.
    """
    found: dict[str, dict] = {}
    for path in sorted(folder.glob("**/tables/*.parquet")):
        names = pq.read_schema(path).names
        found.setdefault(path.stem, {}).update(dict.fromkeys(names))
    return {name: list(columns) for name, columns in found.items()}


def write_tables() -> list[str]:
    """An item for each table, as MyST."""
    items = []
    for name, table in read_tables().items():
        described = [find_column(name, one) for one in table.columns.split()]
        links = ", ".join(f"[`{one.name}`](#{one.label})" for one in described)
        saved = f"written by `{table.saved_by}`" if table.saved_by else "kept in records only"
        saved = saved.replace("`*`", "every notebook")
        code = table.measured_by.removeprefix("arbitration.").removeprefix("reproduction.")
        items += [f"`{name}`", f": one row for each {table.rows}; {saved}, from `{code}`."]
        items += [f"  {links}", ""]
    return items


def write_columns(columns: Iterable[Column]) -> list[str]:
    """A line for each column, as MyST."""
    rows = [["column", "meaning", "unit", "type", "tables"]]
    for one in columns:
        here = [
            name
            for name, table in read_tables().items()
            if one.name in table.columns.split() and find_column(name, one.name) == one
        ]
        named = ", ".join(f"`{name}`" for name in here)
        told = named if len(here) <= NAMED else f"{len(here)} tables"
        rows.append([f"`{one.name}`", one.meaning, one.unit, one.type, told or "every record"])
    return markdown(rows)


class Columns(Directive):
    """All tables, all their columns, and those that records have beside them."""

    def run(self):
        self.env.note_dependency(str(folders.DATA / FILE))
        lacking = list_undescribed(read_written(self.executed("")))
        if lacking:
            why = f"no description in data/{FILE}: {', '.join(lacking)}"
            LOG.warning(why, location=self.get_location(), type="columns")
        return [
            self.box(write_tables(), "claim", "columns"),
            nodes.rubric(text="Columns"),
            self.mark(read_columns()),
            nodes.rubric(text="Columns of records"),
            self.mark(read_columns("of_records")),
        ]

    def mark(self, columns):
        """The table of some columns, each line with a link's target."""
        box = self.box(write_columns(columns), "claim", "columns")
        (body,) = box.findall(nodes.tbody)
        for one, row in zip(columns, body.children, strict=True):
            row["ids"].append(nodes.make_id(one.label))
            place = (one.label, self.env.docname, row["ids"][0])
            self.env.domains["std"].note_hyperlink_target(*place, f"`{one.name}`")
        return box
