"""What the directives share: how a page quotes a measured number, what they are given, and the box
that they write.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from arbitration.models import embedded
from press.glued import read_glued

#: Options of directives that show several models, or some claims only.
MODELS = {"models": unchanged_required}
ONLY = {"only": unchanged_required}


def heading(model: str) -> str:
    """A model's name above its column."""
    kinds = {"smol-relay": "planted", "smol-masked": "mask on"}
    return f"{model} ({kinds[model]})" if model in kinds else model


def glued(model: str, notebook: str, key: str, form: str) -> str:
    """A number that a model's executed notebook glued, as MyST; a missing one is a warning."""
    return f"{{glue:text}}`_executed/{model}/{notebook}.ipynb::{key}:{form}`"


def listed(text: str) -> list[str]:
    """The names in an option."""
    return re.split(r"[,\s]+", text.strip())


class Directive(SphinxDirective):
    """A directive of this book."""

    def models(self) -> list[str]:
        """The models whose numbers are shown: those of the option, or those of the book."""
        given = self.options.get("models")
        return list(embedded.TRAINED) if given is None else listed(given)

    def executed(self, model: str) -> Path:
        """The folder of a model's executed notebooks, tables and figures."""
        return Path(self.env.doc2path(self.env.docname)).parent / "_executed" / model

    def read_numbers(self, path: Path) -> dict:
        """The numbers and words of an executed notebook; none where it is not there."""
        if not path.is_file():
            return {}
        self.env.note_dependency(str(path))
        return read_glued(json.loads(path.read_text(encoding="utf-8")))

    def box(self, lines: list[str], *classes: str, label: str = "", title: str = ""):
        """A container with what the lines of MyST say, and a link's target where it has a label."""
        box = nodes.container(classes=list(classes))
        if label:
            box["ids"] = [nodes.make_id(label)]
            self.env.domains["std"].note_hyperlink_target(
                label.lower(), self.env.docname, box["ids"][0], title
            )
        source = self.get_source_info()[0]
        self.state.nested_parse(StringList(lines, source=source), self.content_offset, box)
        return box
