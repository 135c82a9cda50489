"""The directives ``claim`` and ``tests``: what the paper claims, what each model's run says about
it, and all tests of it.

    ```{claim} anchor-text
    ```

    ```{tests} anchor-text
    ```

``claim`` writes tabs, one a model, whose labels bear the verdict (`reproduction.claims.rules`, rule
2); in each stands the test that decides. ``tests`` writes, folded, the paper's numbers beside those
measured on each model, the tests that decide, and the finer tests of the section.
``question`` is ``claim`` for what is asked in this book beside the paper's claims
(`reproduction.claims.reported.questions`): its tabs count the verdicts of its tests.

Beside an extreme of NSSD stand the median sample and the lead lost, in nats, from the same table; a
line says what NSSD would be if every sample gained or lost 10 nats of lead, and the share of sure
samples. *Seen from* is the size from which an effect would have been seen (`rules.seen_from`).

Every measured number comes from an executed notebook by ``glue:text``, or is read from it; one that
is missing is a warning.
"""

from functools import partial

from arbitration.files import folders
from directives.base import MODELS, Directive, glued, show_verdict, write_heading
from directives.judged import (
    NO_WIDTH,
    Tested,
    badge,
    count_words,
    judge_claim,
    tabulate_tests,
    tell_decisive,
)
from press.markdown import markdown
from reproduction.claims import predicted, reported
from reproduction.claims.predicted import predicted_claims
from reproduction.claims.rules import worst
from reproduction.numbers.estimates import DIRECTIONS


def cell(quantity, model, notebook):
    """A measured number with its interval and layer, as MyST."""
    text = glued(model, notebook, quantity.key, quantity.format)
    if quantity.interval:
        text += (
            f" [{glued(model, notebook, quantity.key + '_low', quantity.format)},\N{NO-BREAK SPACE}"
        )
        text += f"{glued(model, notebook, quantity.key + '_high', quantity.format)}]"
    if quantity.layer:
        layer = glued(model, notebook, f"{quantity.key}_layer", ".0f")
        text += f" at\N{NO-BREAK SPACE}layer\N{NO-BREAK SPACE}{layer}"
    kind = next((kind for kind in LEADS if quantity.key.startswith(kind)), None)
    if notebook == "sec3_knockout" and kind:
        lead = quantity.key.replace(kind, LEADS[kind], 1)
        median, lost, low, high = (
            glued(model, notebook, key, quantity.format)
            for key in (f"{quantity.key}_median", lead, f"{lead}_low", f"{lead}_high")
        )
        text += f"; median {median}; lead lost {lost} [{low},\N{NO-BREAK SPACE}{high}]"
    if quantity.key.startswith(BESIDE.get(notebook, ())) and quantity.interval:
        if not quantity.key.endswith(("_control", "_over")):
            median, lost = (
                glued(model, notebook, f"{quantity.key}_{what}", quantity.format)
                for what in ("median", "lead")
            )
            text += f"; median {median}; lead lost {lost}"
    return text


#: Elsewhere the lead lost stands beside NSSD at its own layer (`estimates.tell_beside`).
BESIDE = {
    "appC_windows": ("extreme_",),
    "appF_meaning": ("into_", "out_"),
    "appG_reviews": ("part_",),
}


#: Extremes of NSSD, and those of the lead lost that stand beside them.
LEADS = {"peak_": "lead_", "trough_": "lead_trough_"}


def room_cell(model, notebook):
    """NSSD if every sample gained, and if every sample lost, 10 nats of lead."""
    told = []
    for way in DIRECTIONS:
        sure, least, most = (
            glued(model, notebook, f"{name}_{way}", ".2f") for name in ("sure", "least", "most")
        )
        told.append(f"{way}: {least}, {most} (sure in {sure})")
    return "; ".join(told)


def samples_cell(claim, model):
    """The numbers of samples, as MyST."""
    return " / ".join(glued(model, claim.notebook, name, ".0f") for name in claim.samples)


def find_predicted(name: str) -> predicted.Claim:
    """A claim of the paper, with the tests that decide it."""
    return next(one for one in predicted_claims() if one.id == name)


class Compared(Directive):
    """A directive about one claim of the paper, or one question of this book."""

    required_arguments = 1
    option_spec = MODELS

    def found(self, name: str) -> reported.Comparison:
        """The claim or question of a name."""
        for file in ("paper_claims.json", "paper_claims_2.json", "paper_reported.json"):
            self.env.note_dependency(str(folders.DATA / file))
        self.env.note_dependency(str(folders.DATA / "questions.json"))
        known = {one.id: one for one in (*reported.reported_claims(), *reported.questions())}
        if name not in known:
            why = f"there is no claim and no question {name!r}; there are: {', '.join(known)}"
            raise self.error(why)
        return known[name]

    def judge(self, claim: predicted.Claim, model: str) -> list[Tested]:
        """The tests that decide a claim, on a model."""
        return judge_claim(claim, partial(self.numbers, model))

    def words(self, claim, model) -> list[str]:
        """The verdicts of a claim's finer tests on a model; of one that is missing a warning."""
        numbers = self.numbers(model, claim.notebook)
        missing = [finer.key for finer in claim.verdicts if finer.key not in numbers]
        if numbers and missing:
            self.warn(f"{claim.notebook} of model {model!r} glues no {', '.join(missing)}")
        return [numbers.get(finer.key, "not measured") for finer in claim.verdicts]


class Claim(Compared):
    """A claim's tabs: a verdict a model, and the test that decides it."""

    def run(self):
        claim = self.found(self.arguments[0])
        known = find_predicted(claim.id)
        figure = f", Fig. {claim.figure}" if claim.figure != "–" else ""
        said = f"*The paper* ({known.where}{figure}): {claim.statement}"
        if known.reported != "–":
            said += " It reports: " + known.reported.replace("*", r"\*") + "."
        box = self.box([said], "claimed", label=f"claim-{claim.id}", title=f"claim {claim.id}")
        box += self.tabs({model: self.tab(known, model) for model in self.models(claim.notebook)})
        return [box]

    def tab(self, claim, model):
        """What stands on a model's tab, and in it."""
        tests = self.judge(claim, model)
        word = show_verdict(worst(one.word for one in tests))
        said = f"{tell_decisive(tests)} [How it was decided](#verdict-{claim.id})."
        return [word], [self.box([said], "decisive")]


class Question(Compared):
    """A question's tabs: how many of its tests got which verdict."""

    def run(self):
        claim = self.found(self.arguments[0])
        box = self.box(
            [f"*Asked here:* {claim.statement}"],
            "claimed",
            label=f"claim-{claim.id}",
            title=f"question {claim.id}",
        )
        if claim.verdicts:
            box += self.tabs({one: self.tab(claim, one) for one in self.models(claim.notebook)})
        return [box]

    def tab(self, claim, model):
        words = self.words(claim, model)
        first = claim.verdicts[0].what
        lines = [f"{count_words(words)}. The first, *{first}*: {{verdict}}`{words[0]}`."]
        return [], [self.box(lines, "decisive")]


class Tests(Compared):
    """All that is measured of a claim or question, and the finer tests of its section, folded."""

    def run(self):
        claim = self.found(self.arguments[0])
        about = any(claim is one for one in reported.reported_claims())
        models = self.models(claim.notebook)
        lines = self.table(claim, models)
        if about:
            known = find_predicted(claim.id)
            found = {one: self.judge(known, one) for one in models}
            lines = [
                f"**The tests that decide it** ([verdict](#verdict-{claim.id})):",
                "",
                "```{container} deciding",
                *tabulate_tests(known, found),
                "```",
                "",
                "**What was measured**, and finer tests, which have no part in the verdict:",
                "",
                *lines,
            ]
        title = "All numbers and tests of this " + ("claim" if about else "question")
        fold = self.fold(title, lines, "claim")
        self.mark(fold, f"tests-{claim.id}", f"all tests of {claim.id}")
        return [fold]

    def table(self, claim, models):
        """A line for each quantity, the numbers of samples, and the verdicts."""
        rows = [["measured", "paper", *map(write_heading, models)]]
        for quantity in claim.quantities:
            cells = [cell(quantity, model, claim.notebook) for model in models]
            rows.append([quantity.label, quantity.reported.replace("*", r"\*"), *cells])
        sides = " / ".join(name.rsplit("_", 1)[-1] for name in claim.samples)
        cells = [samples_cell(claim, model) for model in models]
        rows.append([f"samples, {sides} following", "–", *cells])
        if claim.notebook == "sec3_knockout":
            cells = [room_cell(model, claim.notebook) for model in models]
            rows.append(["*NSSD if all gained, or lost, 10 nats of lead*", "–", *cells])
        words = {model: self.words(claim, model) for model in models}
        for number, finer in enumerate(claim.verdicts):
            cells = [
                self.verdict(finer.key, words[model][number], model, claim.notebook)
                for model in models
            ]
            rows.append([f"*{finer.what}?*", "", *cells])
        return markdown(rows)

    def verdict(self, key, word, model, notebook):
        """A verdict with the size of its effect and n, where it is about one number."""
        if key.startswith(reported.NUMBERLESS) or word == "not measured":
            return badge(word)
        name = key.removesuffix("_verdict")
        size = glued(model, notebook, f"{name}_size", "s")
        seen = f"seen from {glued(model, notebook, f'{name}_seen', '.2f')}"
        wide = self.numbers(model, notebook).get(f"{name}_seen", 1.0)
        return f"{badge(word)} {size}, {seen if wide else NO_WIDTH}"
