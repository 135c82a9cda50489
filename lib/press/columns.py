"""What every column of every table means: ``data/columns.json``, and what of a table it lacks."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

from arbitration.files import folders
from arbitration.files.shipped import read_shipped

FILE = "columns.json"
#: The table that every notebook writes under its own name.
ORIGINS = "_origins"


@dataclass(frozen=True)
class Column:
    """What a column means.

    Attributes
    ----------
    name, type, unit, meaning : str
        As MyST. The type is text, whole number, number, or true or false.
    tables : tuple of str
        The tables, and figures, in which it means this; empty for all others that have it.
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
    """Every description, in the order of the file; `of_records` and `of_figures`: those that only
    records, or the data of figures, have.
    """
    found = []
    for record in _read()[part]:
        found.append(Column(**record | {"tables": tuple(record.get("tables", ()))}))
    return tuple(found)


def _read() -> dict:
    return json.loads(read_shipped(folders.DATA / "columns.json"))


def find_table(name: str) -> str | None:
    """Under which name a table is described, or None."""
    known = f"*{ORIGINS}" if name.endswith(ORIGINS) else name
    return known if known in read_tables() else None


def find_column(table: str, name: str) -> Column | None:
    """What a column of a table means: what is said of this table, else what is said of all."""
    found = [one for one in read_columns() if one.name == name]
    own = [one for one in found if table in one.tables]
    return next(iter(own or [one for one in found if not one.tables]), None)


def find_drawn(figure: str, name: str) -> Column | None:
    """What a column of a figure's data means: as `find_column`, or as a figure alone has it."""
    own = [one for one in read_columns("of_figures") if one.name == name and figure in one.tables]
    return next(iter(own), None) or find_column(figure, name)


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
