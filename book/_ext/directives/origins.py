"""The directives ``origins`` and ``records``: whether numbers were recorded elsewhere or measured
here, and how much of a record was measured again.

    ```{origins} sec3_knockout, sec3_beliefs
    ```

writes a line for each of these notebooks and each model that it was run on, as the notebook says
itself; ``records`` writes a table of all tables of all notebooks, and with ``:short:`` a sentence
about them. They read ``_executed/<model>/tables/<notebook>_origins.parquet``; a notebook without
one is a warning, and the book is built with warnings as errors.
"""

from pathlib import Path

import pandas as pd
from docutils import nodes
from docutils.parsers.rst.directives import flag
from sphinx.util import logging

from directives.base import Directive, glued, list_models, split_names, write_heading
from press.markdown import escape_words, markdown
from reproduction.results.attest import tell_largest

LOG = logging.getLogger(__name__)
ENDING = "_origins.parquet"


class Origins(Directive):
    """Where the numbers of some notebooks come from."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        lines = []
        for notebook in split_names(self.arguments[0]):
            executed = self.executed("")
            shown = [one for one in list_models(executed) if self.table(one, notebook).is_file()]
            if not shown:
                why = f"no run of {notebook} says where its rows come from: run it"
                LOG.warning(why, location=self.get_location(), type="measured")
            for model in shown:
                self.env.note_dependency(str(self.table(model, notebook)))
                said = glued(model, notebook, "origin", "s")
                lines.append(f"- {write_heading(model)}, `{notebook}`: {said}.")
        title = "**Where these numbers come from** ([records](records.md)):"
        return [self.box([title, "", *lines], "origins")]

    def table(self, model: str, notebook: str) -> Path:
        return self.executed(model) / "tables" / f"{notebook}{ENDING}"


def list_tables(executed: Path) -> list[Path]:
    """The files in which runs say where their rows come from, of all models, such as
    ``org/name``; what is running has published none.
    """
    found = sorted(executed.rglob(f"tables/*{ENDING}"))
    return [path for path in found if not path.relative_to(executed).parts[0].startswith(".")]


def gather_origins(executed: Path) -> pd.DataFrame:
    """Where the rows of every table of every notebook come from: notebook, and the columns of
    `reproduction.results.attest.list_attestations`; no row where nothing was run.
    """
    frames = []
    for path in list_tables(executed):
        notebook = path.name.removesuffix(ENDING)
        frames.append(pd.read_parquet(path).assign(notebook=notebook))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def write_records(origins: pd.DataFrame) -> list[str]:
    """The table of `gather_origins` as lines of Markdown."""
    rows = [["model", "notebook", "table", "where its rows come from"]]
    keys = ["model", "notebook", "table", "origin"]
    for row in origins.sort_values(keys)[keys].astype(str).to_numpy().tolist():
        rows.append([escape_words(row[0]), *row[1:3], escape_words(row[3])])
    return markdown(rows)


def tell_records(origins: pd.DataFrame) -> str:
    """`gather_origins` in a sentence."""
    of, here = origins[origins["taken"] > 0], int(origins["here"].sum())
    taken, checked = (int(of[name].sum()) for name in ("taken", "checked"))
    faulty = int((origins["faults"] > 0).sum())
    if not len(of):
        whole = f"{here:,} prompts of {len(origins)} table" + "s" * (len(origins) != 1)
        return f"In this build everything was measured here: {whole}."
    words = (
        f"In this build {len(of)} of {len(origins)} tables are recorded; {checked:,} of their "
        f"{taken:,} "
        f"prompts were measured again here, with a largest difference of "
        f"{tell_largest(of['largest'].max())}"
    )
    words += f"; {here:,} prompts were measured here alone" if here else ""
    disagree = "record disagrees and was" if faulty == 1 else "records disagree and were"
    return words + (f"; {faulty} {disagree} left aside." if faulty else ".")


class Records(Directive):
    """Where the rows of every table come from."""

    option_spec = {"short": flag}

    def run(self):
        origins = gather_origins(self.executed(""))
        if not len(origins):
            why = "no notebook says where its rows come from: run them"
            LOG.warning(why, location=self.get_location(), type="measured")
            return [nodes.paragraph(text="Nothing has been measured.")]
        for path in list_tables(self.executed("")):
            self.env.note_dependency(str(path))
        short = "short" in self.options
        return [self.box([tell_records(origins)] if short else write_records(origins), "origins")]
