"""The directive ``finding``: a finding of the front page in one sentence, with its verdicts and a
small figure.

    ```{finding} Alignment does not show an anchor
    :figure: fig5a
    :verdicts: alignment, anchor-text
    :if: smol alignment holds; smol necessity contradicted
    :page: sec3_anchors
    The sentence, with the numbers of the run.
    ```

A verdict is that of a claim on each model, or, as ``notebook.key``, one that a run has glued. The
heading is typed, and supposes the verdicts after ``if``; where a run has others, it says so.
"""

from functools import partial

from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required

from directives.base import MODELS, heading, show_verdict, split_names
from directives.judged import judge_claim
from directives.measured import Pictured
from reproduction.claims import reported
from reproduction.claims.predicted import predicted_claims
from reproduction.claims.rules import VERDICTS, worst
from reproduction.numbers.estimates import DIRECTIONS


def name_test(key: str) -> str:
    """What a glued verdict is on: as the sections' tests say it, or the direction alone."""
    comparisons = (*reported.reported_claims(), *reported.questions())
    for comparison in comparisons:
        for finer in comparison.verdicts:
            if finer.key == key:
                return finer.what[0].upper() + finer.what[1:]
    way = next((way for way in DIRECTIONS if f"_{way}_" in key), "")
    return f"{way.capitalize()} following" if way else "As tested"


def read_supposed(text: str) -> list[tuple[str, str, str]]:
    """Model, name and verdict of each thing that a heading supposes.

    Raises
    ------
    ValueError
        If one of them is something else.
    """
    found = []
    for supposed in filter(None, map(str.strip, text.split(";"))):
        parts = supposed.split(maxsplit=2)
        if len(parts) < 3 or parts[2] not in VERDICTS:
            why = (
                f"`if` supposes {supposed!r}; write a model, a claim or notebook.key, and one of "
                f"{', '.join(VERDICTS)}, with ; between several"
            )
            raise ValueError(why)
        found.append(tuple(parts))
    return found


class Finding(Pictured):
    """One finding."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = MODELS | dict.fromkeys(("figure", "verdicts", "if", "page"), unchanged_required)

    def run(self):
        name, verdicts = self.options["figure"], split_names(self.options["verdicts"])
        page = self.options["page"]
        title = nodes.paragraph(classes=["finding-title"])
        title += self.parse_line(f"[{self.arguments[0]}]({page}.md)")
        title += self.tell_unmet()
        told = nodes.container(classes=["finding-told"])
        told += self.parse(self.content, nodes.Element()).children
        judged = nodes.container(classes=["finding-judged"])
        judged += [self.verdict_line(one) for one in verdicts]
        shown = nodes.container(classes=["finding-shown"])
        models = self.figure_models(name)
        pictures = {model: ([], self.picture(name, model)) for model in models}
        shown += self.tabs(pictures) if len(models) > 1 else pictures[models[0]][1]
        box = nodes.container(classes=["finding"])
        box += [title, told, shown, judged]
        return [box]

    def parse_line(self, text: str) -> list[nodes.Node]:
        """What one line of MyST says, without its paragraph."""
        return self.parse([text], nodes.Element())[0].children

    def tell_unmet(self) -> list[nodes.Node]:
        """What the heading supposes and this run does not show."""
        told: list[nodes.Node] = []
        try:
            supposed = read_supposed(self.options.get("if", ""))
        except ValueError as error:
            raise self.error(str(error)) from error
        for model, name, expected in supposed:
            what, words = self.judge_one(name)
            found = words.get(model, "not measured")
            if found != expected:
                told += [nodes.Text(f" Not in this run: {heading(model)}, ")]
                told += self.parse_line(what)
                told += [nodes.Text(" "), show_verdict(found)]
        return told

    def verdict_line(self, name: str) -> nodes.paragraph:
        """What is judged, and the verdict on each of this book's models that were measured."""
        line = nodes.paragraph(classes=["finding-verdict"])
        what, words = self.judge_one(name)
        line += self.parse_line(what)
        for number, (model, word) in enumerate(words.items()):
            before = " " if number == 0 else "; "
            line += [nodes.Text(f"{before}{heading(model)} "), show_verdict(word)]
        return line

    def judge_one(self, name: str) -> tuple[str, dict[str, str]]:
        """A claim in the paper's place, or what a glued verdict is on; and the verdict by model."""
        notebook, _, key = name.partition(".")
        if key:
            words = {}
            for model in self.models(notebook):
                numbers = self.numbers(model, notebook)
                if numbers and key not in numbers:
                    self.warn(f"{notebook} of model {model!r} glues no {key}")
                words[model] = numbers.get(key, "not measured")
            return f"{name_test(key)}:", words
        known = {claim.id: claim for claim in predicted_claims()}
        if name not in known:
            why = f"there is no claim {name!r}; there are: {', '.join(known)}"
            raise self.error(why)
        words = {}
        for model in self.models():
            tests = judge_claim(known[name], partial(self.numbers, model))
            words[model] = worst(one.word for one in tests)
        return f"*The paper:* [{known[name].statement}](#verdict-{name})", words
