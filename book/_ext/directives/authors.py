"""The directive ``authors``: how this machine's curves agree with those that the authors published,
path by path.

    ```{authors}
    ```

The authors' numbers come from ``data/authors_curves.json``, ours by ``glue:text`` from the executed
notebooks; a missing one is a warning like any other.
"""

import numpy as np

from arbitration.files import folders
from directives.base import MODELS, Directive, glued, write_heading
from press.markdown import markdown
from reproduction.claims.authors import FLAT, published
from reproduction.numbers.authors import among_authors

FORMATS = {"extreme": ".2f", "correlation": ".2f", "ratio": ".2f", "shift": "+.2f"}
WORDS = {
    "extreme": "extreme, nats",
    "correlation": "correlation over layers",
    "ratio": "ratio of extremes",
    "shift": "shift of the extreme, share of depth",
}


def compare_authors(models):
    """A block of lines for each path: its extreme and, where the authors' curve has a shape, what
    there is to compare.
    """
    among = among_authors()
    rows = [["closed path", "", "the authors", *map(write_heading, models)]]
    for curve in published().values():
        path = curve.pathway.replace("→", "_") + f"_{curve.following}"
        label = f"{curve.pathway}, {curve.following} following"
        shaped = max(map(abs, curve.nssd)) >= FLAT
        for name in FORMATS if shaped else ["extreme"]:
            ours = [quote_measured(name, path, model) for model in models]
            rows.append([label, WORDS[name], quote_published(name, curve, among), *ours])
            label = ""
    return markdown(rows)


def quote_measured(name, path, model):
    """One number of a path with its interval, as MyST."""
    keys = [f"authors_{name}_{path}{end}" for end in ("", "_low", "_high")]
    value, low, high = (glued(model, "sec3_knockout", key, FORMATS[name]) for key in keys)
    return f"{value} [{low},\N{NO-BREAK SPACE}{high}]"


def quote_published(name, curve, among):
    """The same of the authors: an extreme with its layer; otherwise that of their 20 % run and of
    their other models.
    """
    if name == "extreme":
        at = int(np.abs(curve.nssd).argmax())
        return f"{curve.nssd[at]:.2f} at layer {at}"
    here = (among["following"] == curve.following) & (among["pathway"] == curve.pathway)
    values = among[here].set_index("run")[name]
    return ", ".join(
        format(values[run], FORMATS[name]) if run in values else "–"
        for run in ("20 %", "internvl3-14b")
    )


class Authors(Directive):
    """The whole comparison with the authors' main model, as one table."""

    option_spec = MODELS

    def run(self):
        self.env.note_dependency(str(folders.DATA / "authors_curves.json"))
        lines = compare_authors(self.models("sec3_knockout"))
        return [self.fold("How well each curve agrees, path by path", lines, "claim")]
