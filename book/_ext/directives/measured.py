"""The directive ``measured``: a figure of the paper, drawn from this machine's runs, in tabs, one
for each model that has it.

    ```{measured} fig3
    What the figure shows.
    ```

Each model's picture is ``_executed/<model>/figures/<name>-light.svg`` with its sister
``-dark.svg``, described by the alternative text in ``<name>.json``; under it stand its sources
(`directives.sources`). The pictures in the notebooks' own pages get the same text. With
``:models: smol`` it is the picture of that model alone, without tabs; a figure that a page shows
again needs a ``:label:`` of its own. ``:authors: fig3_published`` adds a tab with that figure. What
is missing is a warning, and the book is built with warnings as errors.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required
from sphinx.util import logging

from directives.base import MODELS, Directive
from directives.sources import label_cell, write_sources

LOG = logging.getLogger(__name__)
#: How the cells of notebooks name the figures that they publish.
NAMED = re.compile(r"""["'](fig\w+)["']""")


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


def read_size(picture: Path) -> dict[str, str]:
    """Width and height of an SVG in pixels, as attributes; nothing where it does not say them."""
    start = picture.read_text(encoding="utf-8")[:2000]
    found = re.findall(r'\b(width|height)="([\d.]+)pt"', start)
    return {name: f"{float(size) * 4 / 3:.0f}" for name, size in found}


class Pictured(Directive):
    """A directive that shows figures."""

    def picture(self, name: str, model: str) -> list[nodes.Node]:
        """A model's figure in both themes."""
        figures = self.executed(model) / "figures"
        alt = description(figures, name)
        files = {theme: figures / f"{name}-{theme}.svg" for theme in ("light", "dark")}
        missing = [path.name for path in files.values() if not path.is_file()] + (
            [] if alt else [f"{name}.json with alt"]
        )
        if missing:
            self.warn(
                f"figure {name!r} of model {model!r} is not there ({', '.join(missing)}): "
                f"run its notebook"
            )
            return [nodes.paragraph(text=f"{name} has not been measured on {model}.")]
        for path in (*files.values(), figures / f"{name}.json"):
            self.env.note_dependency(str(path))
        page = Path(self.env.doc2path(self.env.docname))
        found = []
        for theme, path in files.items():
            uri = path.relative_to(page.parent).as_posix()
            image = nodes.image(uri=uri, alt=alt, classes=[f"only-{theme}"])
            # Its room is kept before it is fetched, so that nothing moves under a reader's eyes.
            image.attributes |= read_size(path)
            found.append(image)
        return found

    def figure(self, name: str, model: str) -> list[nodes.Node]:
        """A model's figure with its sources under it."""
        lines = write_sources(self.executed(""), model, name)
        return [*self.picture(name, model), self.box(lines, "figure-sources")]

    def figure_models(self, name: str) -> list[str]:
        """The models that have a figure, and those that must have it."""
        models = self.models()
        if "models" in self.options:
            return models
        trained = self.models("-")
        drawn = [
            model
            for model in models
            if (self.executed(model) / "figures" / f"{name}.json").is_file()
        ]
        return [model for model in models if model in trained or model in drawn]

    def caption(self, name: str, title: str) -> list[nodes.Node]:
        """The directive's content, after the figure's number."""
        caption = nodes.paragraph(classes=["measured-caption"])
        caption += nodes.strong(text=f"{title}. ")
        body = self.parse(self.content, nodes.Element())
        first, *rest = body.children or [nodes.paragraph()]
        caption += first.children
        return [caption, *rest]


class Measured(Pictured):
    """One figure, as measured on each of the models."""

    required_arguments = 1
    has_content = True
    option_spec = MODELS | dict.fromkeys(("number", "label", "authors"), unchanged_required)

    def run(self):
        name = self.arguments[0]
        title = f"Figure {self.options.get('number', number(name))}"
        label = self.options.get("label", name)
        box = self.box([], "measured", label=label, title=title)
        models = self.figure_models(name)
        pictures = {model: self.figure(name, model) for model in models}
        if theirs := self.options.get("authors"):
            pictures["the authors"] = self.figure(theirs, models[0])
        if len(pictures) == 1:
            box += pictures[models[0]]
        else:
            box += self.tabs({one: ([], shown) for one, shown in pictures.items()})
        box += self.caption(name, title)
        return [box]


def describe_outputs(app, doctree):
    """Give the pictures that a notebook shows the text of the figure that their cell publishes by
    name, and the cell a place that links can name.
    """
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    model = app.env.docname.split("_executed/")[-1].rpartition("/")[0]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for box in doctree.findall(
        lambda node: isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"
    ):
        source = "".join(cells[box["cell_index"]]["source"])
        named = NAMED.findall(source)
        for name in named:
            label = label_cell(model, name)
            box["ids"].append(nodes.make_id(label))
            app.env.domains["std"].note_hyperlink_target(
                label, app.env.docname, box["ids"][-1], f"the cell of {name}"
            )
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
