"""The directive ``verdicts``: every claim of the paper with the verdict that its predictions get on
each model.

    ```{verdicts}
    :models: smol, smol-relay
    ```

With ``:only:`` and some claims' ids it is a short table of those, each with a link to its tests.

Claims and rule are those of `reproduction.claims.predicted`. The measured numbers are read from the
executed notebooks, where they are glued; a notebook or a number that is missing is a warning, and
the book is built with warnings as errors.
"""

import json
import re
from collections import Counter
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from arbitration.files import folders
from claims import heading
from press.markdown import markdown
from reproduction.claims.predicted import predicted_claims
from reproduction.claims.rules import VERDICTS, verdict, worst

LOG = logging.getLogger(__name__)


def glued(path):
    """The numbers that an executed notebook glues, by name; what is no number is left out."""
    numbers = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            record = output.get("metadata", {}).get("scrapbook")
            if record:
                try:
                    numbers[record["name"]] = float(
                        "".join(output["data"][record["mime_prefix"] + "text/plain"])
                    )
                except ValueError:
                    continue
    return numbers


def listed(text):
    """The names in an option."""
    return re.split(r"[,\s]+", text.strip())


def plain(number):
    """Three decimals, without a minus before zero."""
    return f"{round(number, 3) + 0.0:.3f}"


def expected(prediction):
    """A prediction in a table's cell."""
    unit = f" {prediction.unit}" if prediction.unit else ""
    if prediction.within:
        return "{:g} to {:g}".format(*prediction.within) + unit
    text = (
        f"above {prediction.above:g}"
        if prediction.above is not None
        else f"below {prediction.below:g}"
    )
    return text + unit + (f" (paper: {prediction.paper:g})" if prediction.paper is not None else "")


class Verdicts(SphinxDirective):
    """The counts of verdicts, the table of claims, and each claim with its predictions."""

    option_spec = {"models": directives.unchanged_required, "only": directives.unchanged_required}

    def run(self):
        models = listed(self.options.get("models", "smol, smol-relay"))
        chosen = (
            [self.known(name) for name in listed(self.options["only"])]
            if "only" in self.options
            else predicted_claims()
        )
        self.env.note_dependency(str(folders.DATA / "paper_claims.json"))
        self.numbers = {}
        found = {
            (claim.id, model): [
                self.measured(prediction, model) for prediction in claim.predictions
            ]
            for claim in chosen
            for model in models
        }
        words = {place: worst(word for _, word in tests) for place, tests in found.items()}
        names = [heading(model) for model in models]

        short = [["claim", "the paper", *names]]
        short += [
            [
                f"[{claim.statement}](#verdict-{claim.id})",
                self.escaped(claim.reported),
                *(f"**{words[claim.id, model]}**" for model in models),
            ]
            for claim in chosen
        ]
        if "only" in self.options:
            return [self.box(markdown(short))]

        counts = {
            model: (
                Counter(words[claim.id, model] for claim in chosen),
                Counter(word for claim in chosen for _, word in found[claim.id, model]),
            )
            for model in models
        }
        lines = markdown(
            [
                ["verdict", *(f"{name}: claims (tests)" for name in names)],
                *(
                    [
                        f"*{word}*",
                        *(f"{whole[word]} ({single[word]})" for whole, single in counts.values()),
                    ]
                    for word in reversed(VERDICTS)
                ),
            ]
        )
        tests = [prediction for claim in chosen for prediction in claim.predictions]
        effects = sum(prediction.within is None for prediction in tests)
        lines += [
            "",
            (
                f"{len(chosen)} claims rest on {len(tests)} tests a model: {effects} of an "
                f"effect, {len(tests) - effects} of next to nothing. Were there no "
                f"effect at all, about {effects / 40:.1f} of the {effects} intervals, one in "
                f"forty, would still lie wholly on the predicted side, and as many on the "
                f"other."
            ),
            "",
            *markdown(short),
        ]
        return [
            self.box(lines, "claims-verdicts", "the verdicts on all claims"),
            *(self.claim(claim, models, found, words) for claim in chosen),
        ]

    def known(self, name):
        """The claim of that id."""
        found = [claim for claim in predicted_claims() if claim.id == name]
        if not found:
            why = (
                f"there is no claim {name!r} in data/paper_claims.json; there are: "
                f"{', '.join(claim.id for claim in predicted_claims())}"
            )
            raise self.error(why)
        return found[0]

    def claim(self, claim, models, found, words):
        """One claim's box: where it stands, its verdicts, and a line for each test."""
        said = ", ".join([claim.where, *(f"[](#{label})" for label in claim.shown)])
        verdicts = "; ".join(f"{heading(model)} **{words[claim.id, model]}**" for model in models)
        lines = [
            f"**{claim.statement}** ({said})",
            "",
            f"The paper: {self.escaped(claim.reported)}. Here: {verdicts}. {claim.why}",
            "",
        ]
        if claim.predictions:
            rows = zip(claim.predictions, *(found[claim.id, model] for model in models))
            lines += markdown(
                [
                    ["test", "predicted", *map(heading, models)],
                    *(
                        [
                            prediction.what,
                            expected(prediction),
                            *(f"{cell}: **{word}**" for cell, word in cells),
                        ]
                        for prediction, *cells in rows
                    ),
                ]
            )
        return self.box(lines, f"verdict-{claim.id}", f"verdict on {claim.id}")

    def measured(self, prediction, model):
        """What a model's notebook measured for one prediction, as a cell, and the verdict."""
        path = (
            Path(self.env.doc2path(self.env.docname)).parent
            / "_executed"
            / model
            / f"{prediction.notebook}.ipynb"
        )
        if path not in self.numbers:
            if path.is_file():
                self.env.note_dependency(str(path))
            else:
                self.warn(f"{prediction.notebook} of model {model!r} is not there: run it")
            self.numbers[path] = glued(path) if path.is_file() else {}
        numbers = self.numbers[path]
        keys = [*prediction.keys, *prediction.n]
        missing = [key for key in keys if key not in numbers]
        if path.is_file() and missing:
            self.warn(
                f"{prediction.notebook} of model {model!r} glues no number {', '.join(missing)}"
            )
        value, low, high, *n = (numbers.get(key) for key in keys)
        word = "not measured" if missing else verdict(value, low, high, **prediction.rule)
        if word == "not measured":
            return "–", word
        counted = " / ".join(f"{number:.0f}" for number in n)
        return (
            (
                f"{plain(value)} [{plain(low)},\N{NO-BREAK SPACE}{plain(high)}], "
                f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{counted}"
            ),
            word,
        )

    def warn(self, text):
        LOG.warning(text, location=self.get_location(), type="verdicts")

    def box(self, lines, name=None, title=None):
        box = nodes.container(classes=["claim"], ids=[name] if name else [])
        if name:
            self.env.domains["std"].note_hyperlink_target(name, self.env.docname, name, title)
        self.state.nested_parse(
            StringList(lines, source=self.get_source_info()[0]), self.content_offset, box
        )
        return box

    @staticmethod
    def escaped(text):
        """An asterisk is the mark of a number that was read from the authors' curves."""
        return text.replace("*", r"\*")


def setup(app):
    app.add_directive("verdicts", Verdicts)
    return {"parallel_read_safe": True}
