"""The directive ``summary``: what a page finds, in two lines at its top.

    ```{summary}
    Closing context→instruction costs `smol` {glue:text}`…` nats.
    ```

The content is the sentence with the numbers that decide. Under it stands, for each model, how many
of the page's claims and how many of the tests of its questions got which verdict. The page's own
text says which these are: every ``claim`` and ``question`` in it; or else the option ``claims``.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from docutils import nodes

from directives.base import MODELS, heading, show_verdict, split_names
from directives.claims import Compared, find_predicted
from directives.judged import NBSP
from reproduction.claims.reported import Comparison
from reproduction.claims.rules import VERDICTS, worst

FENCE = re.compile(r"^```\{(claim|question)\} (\S+)$", re.MULTILINE)


def list_asked(text: str, kind: str) -> list[str]:
    """The names of all claims, or of all questions, in a page's text.

    Examples
    --------
    >>> list_asked("Text.\\n```{claim} relay\\n```\\n```{tests} relay\\n```", "claim")
    ['relay']
    """
    return [name for found, name in FENCE.findall(text) if found == kind]


class Summary(Compared):
    """What a page finds."""

    required_arguments = 0
    has_content = True
    option_spec = MODELS | {"claims": split_names}

    def run(self):
        text = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
        box = nodes.container(classes=["summary"])
        self.parse(["**Finding.** " + self.content[0], *self.content[1:]], box)
        named = self.options.get("claims") or list_asked(text, "claim")
        claims = [self.found(name) for name in named]
        questions = [self.found(name) for name in list_asked(text, "question")]
        if claims:
            what = f"Verdicts on its {len(claims)} claims" if claims[1:] else "Verdict on its claim"
            box += self.count_line(what, claims, self.verdict)
        if questions := [one for one in questions if one.verdicts]:
            box += self.count_line("Verdicts on the tests of its questions", questions, self.words)
        return [box]

    def verdict(self, claim: Comparison, model: str) -> list[str]:
        """The verdict on a claim of the paper."""
        return [worst(one.word for one in self.judge(find_predicted(claim.id), model))]

    def count_line(self, what: str, asked: list[Comparison], judge: Callable) -> nodes.paragraph:
        """How often each verdict was given on each model, the best first."""
        words = defaultdict(list)
        for one in asked:
            for model in self.models(one.notebook):
                words[model] += judge(one, model)
        line = nodes.paragraph(classes=["summary-verdicts"])
        before = f"{what}: "
        for model, given in words.items():
            line += nodes.Text(f"{before}{heading(model)} ")
            found = Counter(given)
            for number, word in enumerate(filter(found.get, reversed(VERDICTS))):
                line += nodes.Text(f"{', ' * (number > 0)}{found[word]}{NBSP}")
                line += show_verdict(word)
            before = "; "
        return line
