"""The directive ``verdicts``: every claim of the paper with the verdict that its predictions get on
each model.

    ```{verdicts}
    :models: smol, smol-relay
    ```

With ``:only:`` and some claims' ids it is a short table of those, each with a link to its tests.

Claims and both rules are those of `reproduction.claims.predicted`: what is shown is rule 2, and
beside it the verdict that rule 1 gives. The measured numbers are read from the executed notebooks,
where they are glued; a notebook or a number that is missing is a warning, and the book is built
with warnings as errors.
"""

from collections import Counter

from arbitration.files import folders
from directives.base import MODELS, ONLY, Directive, split_names, write_heading
from directives.judged import badge, judge, tabulate_tests
from press.markdown import markdown
from reproduction.claims.predicted import predicted_claims, rule_changes
from reproduction.claims.reported import reported_claims
from reproduction.claims.rules import VERDICTS, worst


class Verdicts(Directive):
    """The counts of verdicts, the table of claims, and each claim with its predictions."""

    option_spec = MODELS | ONLY

    def run(self):
        models = self.models()
        chosen = (
            [self.known(name) for name in split_names(self.options["only"])]
            if "only" in self.options
            else predicted_claims()
        )
        for file in ("paper_claims.json", "paper_claims_2.json"):
            self.env.note_dependency(str(folders.DATA / file))
        found = {
            (claim.id, model): [self.test(prediction, model) for prediction in claim.predictions]
            for claim in chosen
            for model in models
        }
        words = {place: worst(tested.word for tested in tests) for place, tests in found.items()}
        first = self.first_words([claim.id for claim in chosen], models)
        short = self.list_claims(chosen, models, words, first)
        if "only" in self.options:
            return [self.box(markdown(short), "claim")]
        lines = [*self.count(chosen, models, found, words), "", *markdown(short)]
        return [
            self.box(lines, "claim", label="claims-verdicts", title="the verdicts on all claims"),
            *(self.claim(claim, models, found, words, first) for claim in chosen),
        ]

    def first_words(self, chosen, models):
        """The verdicts of rule 1 by claim and model."""
        return {
            (claim.id, model): worst(
                self.test(prediction, model, rule=1).word for prediction in claim.predictions
            )
            for claim in predicted_claims(1)
            if claim.id in chosen
            for model in models
        }

    def list_claims(self, chosen, models, words, first):
        """One line a claim: the verdict by rule 2 and, in brackets, that by rule 1; and on how many
        of the models that measured it the claim holds.
        """
        names = [f"{write_heading(model)} (rule 1)" for model in models]
        rows = [["claim", "the paper", *names, "holds in"]]
        for claim in chosen:
            cells = [f"{badge(words[claim.id, one])} ({first[claim.id, one]})" for one in models]
            found = Counter(words[claim.id, one] for one in models)
            holds = f"{found['holds']} of {len(models) - found['not measured']}"
            link = f"[{claim.statement}](#verdict-{claim.id})"
            rows.append([link, self.escaped(claim.reported), *cells, holds])
        return rows

    def count(self, chosen, models, found, words):
        """How many claims and tests have which verdict, and how many would mislead by chance."""
        names = [write_heading(model) for model in models]
        counts = [
            (
                Counter(words[claim.id, model] for claim in chosen),
                Counter(one.word for claim in chosen for one in found[claim.id, model]),
            )
            for model in models
        ]
        rows = [["verdict", *(f"{name}: claims (tests)" for name in names)]]
        for word in reversed(VERDICTS):
            cells = [f"{whole[word]} ({single[word]})" for whole, single in counts]
            rows.append([badge(word), *cells])
        tests = [prediction for claim in chosen for prediction in claim.predictions]
        several = sum(prediction.several for prediction in tests)
        nothing = sum(prediction.within is not None for prediction in tests)
        effects = len(tests) - several - nothing
        chance = (
            f"{len(chosen)} claims rest on {len(tests)} tests a model: {effects} of an effect, "
            f"{nothing} of next to nothing, {several} of whether several answers are one. Were "
            f"there no effect at all, about {effects / 40:.1f} of the {effects} intervals, one in "
            f"forty, would still lie wholly on the predicted side, and as many on the other."
        )
        return [*markdown(rows), "", chance]

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

    def claim(self, claim, models, found, words, first):
        """One claim's box: where it stands, its verdicts, why rule 2 differs, and a line for each
        test.
        """
        labels = [
            *claim.figures,
            *(f"claim-{one.id}" for one in reported_claims() if one.id == claim.id),
            *(f"tests-{one.id}" for one in reported_claims() if one.id == claim.id),
        ]
        said = ", ".join([claim.where, *(f"[](#{label})" for label in labels)])
        verdicts = "; ".join(
            f"{write_heading(one)} {badge(words[claim.id, one])} (rule 1: {first[claim.id, one]})"
            for one in models
        )
        lines = [
            f"**{claim.statement}** ({said})",
            "",
            f"The paper: {self.escaped(claim.reported)}. Here: {verdicts}. {claim.why}",
            "",
        ]
        for change in rule_changes():
            if change.claim == claim.id:
                lines += [f"*Why rule 2 differs.* {change.why}", ""]
        label, title = f"verdict-{claim.id}", f"verdict on {claim.id}"
        box = self.box(lines, "claim", label=label, title=title)
        if claim.predictions:
            lines = tabulate_tests(claim, {model: found[claim.id, model] for model in models})
            box += self.fold("The tests that decide it", lines, "claim")
        return box

    def test(self, prediction, model, rule=2):
        """One prediction on a model; what its run lacks is a warning."""
        numbers = self.numbers(model, prediction.notebook)
        tested = judge(prediction, numbers, rule)
        if numbers and tested.missing:
            self.warn(
                f"{prediction.notebook} of model {model!r} glues no number "
                f"{', '.join(tested.missing)}"
            )
        return tested

    @staticmethod
    def escaped(text):
        """An asterisk is the mark of a number that was read from the authors' curves."""
        return text.replace("*", r"\*")
