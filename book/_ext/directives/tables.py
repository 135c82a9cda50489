"""The directives ``conventions`` and ``controls``: the tables of these names, in tabs, one for each
model whose run measured them.

    ```{conventions}
    ```

They read ``_executed/<model>/tables/<name>.parquet``; a table that is missing is a warning, and the
book is built with warnings as errors.
"""

import pandas as pd
from docutils import nodes

from directives.base import MODELS, Directive, glued
from press.markdown import markdown
from reproduction.numbers.controls import KINDS
from reproduction.numbers.estimates import DIRECTIONS

UNMEASURED = "not measured, n = 0"


def write_conventions(table: pd.DataFrame) -> list[str]:
    """The table of `compare_conventions` as lines of Markdown, both directions side by side: value
    [interval], then what changes against the default.

    Raises
    ------
    ValueError
        If a direction lacks a line that the other has.
    """
    head = [
        "measure",
        "convention",
        "choice",
        *(f"{d} following{end}" for d in DIRECTIONS for end in ("", ": change")),
    ]
    keys = ["measure", "convention", "choice"]
    sides = {d: rows.set_index(keys) for d, rows in table.groupby("following")}
    alone = set(sides["text"].index) ^ set(sides["vision"].index)
    if alone:
        named = ", ".join(" / ".join(line) for line in sorted(alone))
        why = f"the table has lines for one direction only: {named}"
        raise ValueError(why)
    rows, before = [head], None
    for line in sides["text"].index:
        cells = [line[0] if line[0] != before else "", *line[1:]]
        for d in DIRECTIONS:
            row = sides[d].loc[line]
            cells += [_measured(row), _changed(row)]
        rows.append(cells)
        before = line[0]
    return markdown(rows)


def write_controls(table: pd.DataFrame) -> list[str]:
    """The table of `compare_controls` as lines of Markdown, the kinds side by side: value
    [interval], n.
    """
    kinds = [kind for kind in KINDS if kind in set(table["kind"])]
    cells = table.set_index(["following", "measure", "kind"])
    rows, before = [["following", "measure", *kinds]], None
    for following, measure in dict.fromkeys(zip(table["following"], table["measure"])):
        row = [following if following != before else "", measure]
        for kind in kinds:
            place = (following, measure, kind)
            row.append(_measured(cells.loc[place]) if place in cells.index else "–")
        rows.append(row)
        before = following
    return markdown(rows)


def _measured(row):
    if not row["n"]:
        return UNMEASURED
    text = "{value:.2f} [{value_low:.2f}, {value_high:.2f}], n = {n:.0f}".format(**row)
    if pd.notna(row.get("median")):
        text += "; median {median:.2f}; lead {lead:.2f}".format(**row)
    return text


def _changed(row):
    if not row["n"]:
        return "not measured"
    if row["change"] in ("default", "none", "not measured"):
        return row["change"]
    interval = "{difference:+.2f} [{difference_low:+.2f}, {difference_high:+.2f}]".format(**row)
    return f"{interval}, {row['change']}"


class Conventions(Directive):
    """The table of each model."""

    table, notebook, write = "conventions", "appE_ablations", staticmethod(write_conventions)
    option_spec = MODELS

    def run(self):
        return [self.tabs({one: ([], [self.show(one)]) for one in self.models(self.notebook)})]

    def show(self, model) -> nodes.Node:
        """A model's table."""
        path = self.executed(model) / "tables" / f"{self.table}.parquet"
        if not path.is_file():
            self.warn(
                f"the table of {self.table} of model {model!r} is not there ({path.name}): "
                f"run {self.notebook}"
            )
            return nodes.paragraph(text=f"The {self.table} have not been measured on {model}.")
        self.env.note_dependency(str(path))
        lines = [*self.summary(model), "", *self.write(pd.read_parquet(path))]
        return self.box(lines, "claim", self.table)

    def summary(self, model) -> list[str]:
        """How many alternatives move their measure."""
        text, vision = (glued(model, self.notebook, f"moved_{way}", "s") for way in DIRECTIONS)
        told = (
            f"Under a text instruction {text} alternatives move their measure, under a vision "
            f"instruction {vision}."
        )
        return [told]


class Controls(Conventions):
    """The table of controls of each model."""

    table, notebook, write = "controls", "controls", staticmethod(write_controls)

    def summary(self, model) -> list[str]:
        return []
