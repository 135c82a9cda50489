"""A toy book with the book's directives, built by Sphinx in a process of its own."""

import subprocess
from pathlib import Path

import myst_nb  # noqa: F401
import nbformat
from sphinx.cmd.build import main

import directives  # noqa: F401 - imported once, here, and not by each build
from apart import run_apart


def build(folder: Path, **settings: str) -> subprocess.CompletedProcess:
    """Build a folder's pages into its ``html``, warnings as errors; `settings` are Sphinx's, unless
    the folder has a ``conf.py`` of its own.
    """
    settings = {"extensions": "myst_nb,directives", "root_doc": "index"} | settings
    options = [word for name, value in settings.items() for word in ("-D", f"{name}={value}")]
    options = [] if (folder / "conf.py").is_file() else ["-C", *options]
    options += ["-E", "-W", "--keep-going", "-q", "-b", "html", str(folder), str(folder / "html")]
    status, said = run_apart(lambda: main(options))
    return subprocess.CompletedProcess(options, status, said, said)


def glue(name: str, value) -> nbformat.NotebookNode:
    """An output as a notebook keeps a named number."""
    kind = "application/papermill.record/text/plain"
    return nbformat.v4.new_output(
        "display_data",
        data={kind: repr(value)},
        metadata={"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}},
    )


def write_glued(path: Path, numbers: dict) -> None:
    """An executed notebook that has glued some numbers and words."""
    cell = nbformat.v4.new_code_cell("glue_all(numbers)")
    cell.outputs = [glue(*one) for one in numbers.items()]
    cells = [nbformat.v4.new_markdown_cell("# Run"), cell]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    nbformat.write(notebook, path)
