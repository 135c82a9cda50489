"""The executed notebooks in the table of contents: whatever has been run, by model.

``_toc.yml`` names the notebooks in their order (``meta: notebooks``), and takes the page of every
model by a pattern. Each model that has a run gets such a page here, with its notebooks below it.
"""

from pathlib import Path

from sphinx_external_toc.api import Document, FileItem, TocTree

from arbitration.files import atomic
from directives.base import list_models, write_heading
from press.publish import listed

EXECUTED = "book/_executed"


def write_indices(app, config):
    """Write the page of every model that has a run."""
    executed = Path(app.srcdir) / EXECUTED
    for model in list_models(executed):
        text = write_index(model)
        page = executed / model / "index.md"
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            atomic.write_whole(page, text)


def write_index(model: str) -> str:
    """A model's own page."""
    return f"# {write_heading(model)}\n\n```{{run}} {model}\n```\n"


def add_notebooks(app, config):
    """Put each model's notebooks below its page; a notebook that the book no longer has is no
    page.
    """
    if not hasattr(config, "external_site_map"):
        return
    site, executed = config.external_site_map, Path(app.srcdir) / EXECUTED
    if not executed.is_dir():
        return
    wanted = set()
    names = listed(Path(app.srcdir))
    for model in list_models(executed):
        folder = f"{EXECUTED}/{model}"
        found = [name for name in names if (executed / model / f"{name}.ipynb").is_file()]
        pages = [f"{folder}/{name}" for name in found]
        wanted |= {f"{page}.ipynb" for page in pages} | {f"{folder}/index.md"}
        for page in pages:
            site[page] = Document(page)
        tree = TocTree(items=[FileItem(page) for page in pages])
        site[f"{folder}/index"] = Document(f"{folder}/index", subtrees=[tree])
    there = {
        path.relative_to(app.srcdir).as_posix()
        for path in executed.rglob("*")
        if path.suffix in (".ipynb", ".md")
    }
    config.exclude_patterns = [
        one for one in config.exclude_patterns if one not in wanted
    ] + sorted(there - wanted)
