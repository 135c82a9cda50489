"""What the directives share: which models are shown, the numbers of their runs, verdicts as badges,
and the boxes, tabs and folds that they write.
"""

import functools
import json
import re
from collections.abc import Iterable
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx_design.shared import create_component

from arbitration.models import catalogue
from press.glued import read_glued
from press.markdown import escape_words

LOG = logging.getLogger(__name__)

#: Options of directives that show several models, or some claims only.
MODELS = {"models": unchanged_required}
ONLY = {"only": unchanged_required}
#: What stands beside a verdict's word, so that it is told without colour too.
SHAPES = {
    "holds": "●",
    "weaker": "◐",
    "not seen": "○",
    "contradicted": "✕",
    "not measured": "–",
}


def heading(model: str) -> str:
    """A model's name above its column and on its tab."""
    kinds = {"smol-relay": "planted", "smol-masked": "mask on"}
    return f"{model} ({kinds[model]})" if model in kinds else model


def write_heading(model: str) -> str:
    """The same in a line of MyST."""
    return escape_words(heading(model))


def glued(model: str, notebook: str, key: str, form: str) -> str:
    """A number that a model's executed notebook glued, as MyST; a missing one is a warning."""
    return f"{{glue:text}}`_executed/{model}/{notebook}.ipynb::{key}:{form}`"


def split_names(text: str) -> list[str]:
    """The names in an option."""
    return re.split(r"[,\s]+", text.strip())


def list_models(executed: Path, notebook: str = "*") -> list[str]:
    """The models that have a run, of one notebook or of any, such as ``org/name``: those of this
    book first.

    Parameters
    ----------
    executed : Path
        The folder of all executed notebooks.
    """
    paths = (path.relative_to(executed) for path in executed.rglob(f"{notebook}.ipynb"))
    found = {path.parent.as_posix() for path in paths if not path.parts[0].startswith(".")}
    return sort_models(found)


def sort_models(found: set[str]) -> list[str]:
    """Names of models, those of this book first."""
    return [name for name in catalogue.EMBEDDED if name in found] + sorted(
        found - {*catalogue.EMBEDDED}
    )


def show_verdict(word: str) -> nodes.inline:
    """A verdict as a badge: word, shape and colour."""
    kind = word.replace(" ", "-")
    badge = nodes.inline(classes=["verdict", f"verdict-{kind}"])
    badge += nodes.Text(f"{SHAPES[word]}\N{NO-BREAK SPACE}{word.replace(' ', chr(0xA0))}")
    return badge


def verdict_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role ``{verdict}`holds```."""
    if text not in SHAPES:
        why = f"{text!r} is no verdict; there are: {', '.join(SHAPES)}"
        return [], [inliner.reporter.error(why, line=lineno)]
    return [show_verdict(text)], []


def read_numbers(notebook: Path) -> dict:
    """The numbers and words that an executed notebook glued; none where it is not there."""
    if not notebook.is_file():
        return {}
    return _read(notebook, notebook.stat().st_mtime_ns)


@functools.cache
def _read(notebook, _):
    return read_glued(json.loads(notebook.read_text(encoding="utf-8")))


class Directive(SphinxDirective):
    """A directive of this book."""

    def models(self, notebook: str = "*") -> list[str]:
        """The models that are shown: those of the option; or the trained ones of this book, which
        must be there, and all others that have a run, in the order of `list_models`.
        """
        if (given := self.options.get("models")) is not None:
            return split_names(given)
        found = list_models(self.executed(""), notebook)
        return [*catalogue.TRAINED, *(name for name in found if name not in catalogue.TRAINED)]

    def executed(self, model: str) -> Path:
        """The folder of a model's executed notebooks, tables and figures."""
        return Path(self.env.doc2path(self.env.docname)).parent / "_executed" / model

    def numbers(self, model: str, notebook: str) -> dict:
        """What a model's run has glued (`read_numbers`); a run that is missing is a warning, if the
        model is one of this book's, or named by the page.
        """
        path = self.executed(model) / f"{notebook}.ipynb"
        self.env.note_dependency(str(path))
        if not path.is_file() and (model in catalogue.EMBEDDED or "models" in self.options):
            self.warn(f"{notebook} of model {model!r} is not there: run it")
        return read_numbers(path)

    def warn(self, text: str) -> None:
        """A warning at this directive, once; the book is built with warnings as errors."""
        told = self.__dict__.setdefault("told", set())
        if text not in told:
            told.add(text)
            LOG.warning(text, location=self.get_location(), type="measured")

    def parse(self, lines: Iterable[str], into: nodes.Element) -> nodes.Element:
        """What lines of MyST say, inside a node."""
        source = self.get_source_info()[0]
        self.state.nested_parse(StringList(list(lines), source=source), self.content_offset, into)
        return into

    def box(self, lines: list[str], *classes: str, label: str = "", title: str = ""):
        """A container with what the lines of MyST say, and a link's target where it has a label."""
        box = nodes.container(classes=list(classes))
        if label:
            self.mark(box, label, title)
        return self.parse(lines, box)

    def mark(self, node: nodes.Element, label: str, title: str) -> None:
        """Make a node a link's target."""
        node["ids"] = [nodes.make_id(label)]
        self.env.domains["std"].note_hyperlink_target(
            label.lower(), self.env.docname, node["ids"][0], title
        )

    def tabs(self, tabs: dict[str, tuple[list[nodes.Node], list[nodes.Node]]]) -> nodes.Element:
        """Tabs, one a model, that all change together on every page.

        Parameters
        ----------
        tabs : dict of str to (list of Node, list of Node)
            For each model what stands on its tab beside its name, and in it.
        """
        box = create_component("tab-set", classes=["sd-tab-set", "models"])
        self.set_source_info(box)
        for model, (beside, inside) in tabs.items():
            name = heading(model)
            label = nodes.rubric(name, nodes.Text(name), classes=["sd-tab-label"])
            for node in beside:
                label += [nodes.Text(" "), node]
            label["sync_id"], label["sync_group"] = model, "model"
            content = create_component("tab-content", classes=["sd-tab-content"], children=inside)
            box += create_component("tab-item", classes=["sd-tab-item"], children=[label, content])
            box[-1]["selected"] = False
        return box

    def fold(self, title: str, lines: list[str], *classes: str) -> nodes.Element:
        """A dropdown with what the lines of MyST say."""
        fence = "`" * 8
        whole = [
            f"{fence}{{dropdown}} {title}",
            f":class-container: {' '.join(('fold', *classes))}",
        ]
        return self.parse([*whole, "", *lines, fence], nodes.container())[0]
