"""The directive ``authors``: how this machine's curves agree with those that the authors published,
path by path.

    ```{authors}
    :models: smol, smol-relay
    ```

The authors' numbers come from ``data/authors_curves.json``, ours by ``glue:text`` from the executed
notebooks; a missing one is a warning like any other.
"""

import re

import numpy as np
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from arbitration.files import folders
from claims import glued
from reproduction.claims import authors as authors_of_claims
from reproduction.numbers import authors

FORMATS = {"extreme": ".2f", "correlation": ".2f", "ratio": ".2f", "shift": "+.2f"}
WORDS = {
    "extreme": "extreme, nats",
    "correlation": "correlation over layers",
    "ratio": "ratio of extremes",
    "shift": "shift of the extreme, share of depth",
}


def measured(name, path, model):
    """One number of a path with its interval, as MyST."""
    keys = [f"authors_{name}_{path}{end}" for end in ("", "_low", "_high")]
    value, low, high = (glued(model, "sec3_knockout", key, FORMATS[name]) for key in keys)
    return f"{value} [{low},\N{NO-BREAK SPACE}{high}]"


def published(name, curve, among):
    """The same of the authors: an extreme with its layer; otherwise that of their 20 % run and of
    their other models.
    """
    if name == "extreme":
        at = int(np.abs(curve.nssd).argmax())
        return f"{curve.nssd[at]:.2f} at layer {at}"
    values = among[
        (among["following"] == curve.following) & (among["pathway"] == curve.pathway)
    ].set_index("run")[name]
    return ", ".join(
        format(values[run], FORMATS[name]) if run in values else "–"
        for run in ("20 %", "internvl3-14b")
    )


def table(models):
    """A block of lines for each path: its extreme and, where the authors' curve has a shape, what
    there is to compare.
    """
    among = authors.among_authors()
    lines = [
        "| closed path | | the authors | " + " | ".join(models) + " |",
        "|" + " --- |" * (3 + len(models)),
    ]
    for curve in authors_of_claims.published().values():
        path = curve.pathway.replace("→", "_") + f"_{curve.following}"
        label = f"{curve.pathway}, {curve.following} following"
        for name in (
            FORMATS if max(map(abs, curve.nssd)) >= authors_of_claims.FLAT else ("extreme",)
        ):
            cells = [
                label,
                WORDS[name],
                published(name, curve, among),
                *(measured(name, path, model) for model in models),
            ]
            lines.append("| " + " | ".join(cells) + " |")
            label = ""
    return lines


class Authors(SphinxDirective):
    """The whole comparison with the authors' main model, as one table."""

    option_spec = {"models": directives.unchanged_required}

    def run(self):
        models = re.split(r"[,\s]+", self.options.get("models", "smol, smol-relay").strip())
        self.env.note_dependency(str(folders.DATA / "authors_curves.json"))
        box = nodes.container(classes=["claim"])
        self.state.nested_parse(
            StringList(table(models), source=self.get_source_info()[0]), self.content_offset, box
        )
        return [box]


def setup(app):
    app.add_directive("authors", Authors)
    return {"parallel_read_safe": True}
