"""The directive ``measured``: a figure of the paper, drawn from this machine's runs, one picture
per model and theme.

    ```{measured} fig3
    :models: smol, smol-relay
    What the figure shows.
    ```

Each model's picture is ``_executed/<model>/figures/<name>-light.svg`` with its sister
``-dark.svg``, described by the alternative text in ``<name>.json``. The pictures in the notebooks'
own pages get the same text. What is missing is a warning, and the book is built with warnings as
errors.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required
from sphinx.util import logging

from directives.base import MODELS, Directive

LOG = logging.getLogger(__name__)


def number(name: str) -> str:
    """The paper's number of a figure, from its name: ``fig5b`` is ``5b``, ``fig9_blocking`` is
    ``9``.
    """
    found = re.match(r"fig(\d+[a-z]?)", name)
    return found[1] if found else name


def description(figures: Path, name: str) -> str:
    """The alternative text stored beside a figure; empty when there is none."""
    record = figures / f"{name}.json"
    return (
        json.loads(record.read_text(encoding="utf-8")).get("alt", "").strip()
        if record.is_file()
        else ""
    )


class Measured(Directive):
    """One figure, as measured on each of the models."""

    required_arguments = 1
    has_content = True
    option_spec = MODELS | {"number": unchanged_required}

    def run(self):
        name = self.arguments[0]
        title = f"Figure {self.options.get('number', number(name))}"
        box = self.box([], "measured", label=name, title=title)
        for model in self.models():
            box += self.pictures(name, model)
        caption = nodes.paragraph(classes=["measured-caption"])
        caption += nodes.strong(text=f"{title}. ")
        body = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, body)
        first, *rest = body.children or [nodes.paragraph()]
        caption += first.children
        box.extend([caption, *rest])
        return [box]

    def pictures(self, name, model):
        figures = self.executed(model) / "figures"
        alt = description(figures, name)
        files = {theme: figures / f"{name}-{theme}.svg" for theme in ("light", "dark")}
        missing = [path.name for path in files.values() if not path.is_file()] + (
            [] if alt else [f"{name}.json with alt"]
        )
        if missing:
            why = (
                f"figure {name!r} of model {model!r} is not there ({', '.join(missing)}): "
                f"run its notebook"
            )
            LOG.warning(why, location=self.get_location(), type="measured")
            return [nodes.paragraph(text=f"{name} has not been measured on {model}.")]
        for path in (*files.values(), figures / f"{name}.json"):
            self.env.note_dependency(str(path))
        page = Path(self.env.doc2path(self.env.docname))
        return [
            nodes.image(
                uri=path.relative_to(page.parent).as_posix(), alt=alt, classes=[f"only-{theme}"]
            )
            for theme, path in files.items()
        ]


def describe_outputs(app, doctree):
    """Give the pictures that a notebook shows the text of the figure that their cell publishes by
    name.
    """
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for box in doctree.findall(
        lambda node: isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"
    ):
        source = "".join(cells[box["cell_index"]]["source"])
        named = re.findall(r"""["'](fig\w+)["']""", source)
        alts = list(filter(None, (description(path.parent / "figures", name) for name in named)))
        for image in box.findall(nodes.image):
            if not image.get("alt") and alts:
                image["alt"] = alts.pop(0)
            if not image.get("alt"):
                LOG.warning(
                    "a picture without alternative text: publish it as a figure, or give "
                    "the cell the metadata "
                    f'mystnb={{"image": {{"alt": …}}}}. The cell: {source[:80]!r}',
                    location=box,
                    type="measured",
                )
