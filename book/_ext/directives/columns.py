"""The directive ``columns``: what every column of every table means.

    ```{columns}
    ```

The descriptions stand in ``data/columns.json`` (`press.columns`). A table that a run has written
for this book and that lacks one is a warning, and the book is built with warnings as errors.
"""

from collections.abc import Iterable

from docutils import nodes
from sphinx.util import logging

from arbitration.files import folders
from directives.base import Directive
from press.columns import (
    FILE,
    Column,
    find_column,
    list_undescribed,
    read_columns,
    read_tables,
    read_written,
)
from press.markdown import markdown

LOG = logging.getLogger(__name__)
#: Columns that stand in more tables than these are said to, with their number.
NAMED = 6


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
        named = ", ".join(f"`{name}`" for name in here or one.tables)
        told = named if len(here) <= NAMED else f"{len(here)} tables"
        rows.append([f"`{one.name}`", one.meaning, one.unit, one.type, told or "every record"])
    return markdown(rows)


class Columns(Directive):
    """All tables, all their columns, and those that only records or the data of figures have."""

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
            nodes.rubric(text="Columns of the data of figures"),
            self.mark(read_columns("of_figures")),
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
