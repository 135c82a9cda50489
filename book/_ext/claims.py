"""The directive ``claims``: each claim of a section, with the paper's numbers beside those measured
on each model.

    ```{claims} 3.1
    :models: smol, smol-relay
    :only: relay, compensation
    ```

``questions`` does the same for what is asked in this book beside the paper's claims
(`arbitration.paper.questions`).

It writes ordinary MyST with ``glue:text`` roles, so every measured number comes from an executed
notebook, and one that is missing is a warning like any other; the claims themselves are
`arbitration.paper.claims`.
"""

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from arbitration.files import folders
from press.markdown import markdown
from reproduction.claims import recorded, reported

STATIC = Path(__file__).resolve().parent.parent / "_static"


def heading(model):
    """A model's name above its column."""
    return f"{model} (planted)" if model == "smol-relay" else model


def glued(model, notebook, key, form):
    return f"{{glue:text}}`_executed/{model}/{notebook}.ipynb::{key}:{form}`"


def cell(quantity, model, notebook):
    """A measured number with its interval and layer, as MyST."""
    text = glued(model, notebook, quantity.key, quantity.format)
    if quantity.interval:
        text += (
            f" [{glued(model, notebook, quantity.key + '_low', quantity.format)},\N{NO-BREAK SPACE}"
        )
        text += f"{glued(model, notebook, quantity.key + '_high', quantity.format)}]"
    if quantity.layer:
        layer = glued(model, notebook, quantity.key + "_layer", ".0f")
        text += f" at\N{NO-BREAK SPACE}layer\N{NO-BREAK SPACE}{layer}"
    return text


def judged(key, model, notebook):
    """A verdict with the size of its effect and n, where it is about one number."""
    word = f"**{glued(model, notebook, key, 's')}**"
    if key.startswith(recorded.NUMBERLESS):
        return word
    return f"{word}, {glued(model, notebook, key.removesuffix('_verdict') + '_size', 's')}"


def table(claim, models):
    """One claim's table: a line for each quantity, the numbers of samples, and the verdicts."""
    rows = [["measured", "paper", *map(heading, models)]]
    rows += [
        [q.label, q.reported, *(cell(q, model, claim.notebook) for model in models)]
        for q in claim.quantities
    ]
    rows += [
        [
            "samples, "
            + " / ".join(name.rsplit("_", 1)[-1] for name in claim.samples)
            + " following",
            "–",
            *(
                " / ".join(glued(model, claim.notebook, name, ".0f") for name in claim.samples)
                for model in models
            ),
        ]
    ]
    rows += [
        [f"*{rule}?*", "", *(judged(key, model, claim.notebook) for model in models)]
        for rule, key in claim.verdicts
    ]
    return markdown(rows)


class Claims(SphinxDirective):
    """All claims of a section, or those named by `only`, each under its statement."""

    lead, known = "The paper's claim", staticmethod(reported.claims)
    required_arguments = 1
    option_spec = {"models": directives.unchanged_required, "only": directives.unchanged_required}

    def run(self):
        models = re.split(r"[,\s]+", self.options.get("models", "smol, smol-relay").strip())
        found = reported.of_section(self.arguments[0], self.known)
        only = (
            re.split(r"[,\s]+", self.options["only"].strip())
            if "only" in self.options
            else [claim.id for claim in found]
        )
        unknown = sorted(set(only) - {claim.id for claim in found})
        if unknown:
            why = (
                f"section {self.arguments[0]} has none called {', '.join(unknown)}; "
                f"it has {', '.join(claim.id for claim in found)}"
            )
            raise self.error(why)
        for file in ("paper_reported.json", "questions.json"):
            self.env.note_dependency(str(folders.DATA / file))
        boxes = []
        for claim in found:
            if claim.id not in only:
                continue
            figure = f" (Fig. {claim.figure})" if claim.figure != "–" else ""
            lines = [f"**{self.lead}{figure}.** {claim.statement}", "", *table(claim, models), ""]
            name = f"claim-{claim.id}"
            box = nodes.container(classes=["claim"], ids=[name])
            self.env.domains["std"].note_hyperlink_target(
                name, self.env.docname, name, f"claim {claim.id}"
            )
            self.state.nested_parse(
                StringList(lines, source=self.get_source_info()[0]), self.content_offset, box
            )
            boxes.append(box)
        return boxes


class Questions(Claims):
    """The same for the questions of this book."""

    lead, known = "Asked here", staticmethod(reported.questions)


def setup(app):
    app.add_directive("claims", Claims)
    app.add_directive("questions", Questions)
    app.connect("builder-inited", lambda app: app.config.html_static_path.append(str(STATIC)))
    app.add_css_file("claims.css")
    return {"parallel_read_safe": True}
