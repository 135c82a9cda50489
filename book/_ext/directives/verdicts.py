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
from collections import Counter

from sphinx.util import logging

from arbitration.files import folders
from directives.base import MODELS, ONLY, Directive, heading, listed
from press.glued import read_glued
from press.markdown import markdown
from reproduction.claims.predicted import predicted_claims
from reproduction.claims.reported import reported_claims
from reproduction.claims.rules import VERDICTS, verdict, worst

LOG = logging.getLogger(__name__)


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


class Verdicts(Directive):
    """The counts of verdicts, the table of claims, and each claim with its predictions."""

    option_spec = MODELS | ONLY

    def run(self):
        models = self.models()
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
            return [self.box(markdown(short), "claim")]

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
        chance = (
            f"{len(chosen)} claims rest on {len(tests)} tests a model: {effects} of an "
            f"effect, {len(tests) - effects} of next to nothing. Were there no "
            f"effect at all, about {effects / 40:.1f} of the {effects} intervals, one in "
            f"forty, would still lie wholly on the predicted side, and as many on the "
            f"other."
        )
        lines += ["", chance, "", *markdown(short)]
        return [
            self.box(lines, "claim", label="claims-verdicts", title="the verdicts on all claims"),
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
        labels = [
            *claim.figures,
            *(f"claim-{one.id}" for one in reported_claims() if one.id == claim.id),
        ]
        said = ", ".join([claim.where, *(f"[](#{label})" for label in labels)])
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
        label, title = f"verdict-{claim.id}", f"verdict on {claim.id}"
        return self.box(lines, "claim", label=label, title=title)

    def measured(self, prediction, model):
        """What a model's notebook measured for one prediction, as a cell, and the verdict."""
        path = self.executed(model) / f"{prediction.notebook}.ipynb"
        if path not in self.numbers:
            self.numbers[path] = self.read(path)
            if not path.is_file():
                self.warn(f"{prediction.notebook} of model {model!r} is not there: run it")
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

    def read(self, path):
        """The numbers of an executed notebook, without its words; none where it is not there."""
        if not path.is_file():
            return {}
        self.env.note_dependency(str(path))
        glued = read_glued(json.loads(path.read_text(encoding="utf-8")))
        return {name: one for name, one in glued.items() if isinstance(one, float)}

    def warn(self, text):
        LOG.warning(text, location=self.get_location(), type="verdicts")

    @staticmethod
    def escaped(text):
        """An asterisk is the mark of a number that was read from the authors' curves."""
        return text.replace("*", r"\*")
