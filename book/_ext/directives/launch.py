"""What stands under the title of every notebook's page: the ways to run the notebook oneself.

The theme's own launch buttons would lead to the page's file, which is the executed notebook and in
no repository.
"""

import json
import re
import shlex
from functools import cache
from html import escape
from pathlib import Path

from directives.sources import spell
from press.launch import address_binder, address_colab, write_launched
from press.planned import NOTEBOOKS
from press.repository import Repository, find_repository

FOLDER = "notebooks"  # of the site
PAGE = re.compile(r"book/_executed/.+/(\w+)")


def name_notebook(page: str) -> str:
    """The notebook whose run a page shows; empty for other pages."""
    found = PAGE.fullmatch(page)
    return found[1] if found and (NOTEBOOKS / f"{found[1]}.ipynb").is_file() else ""


@cache
def find_once(source: str) -> Repository | None:
    """The book's repository, looked up once a build."""
    return find_repository(Path(source))


def show_repository(app, config):
    """Give every page a link to the repository, if its address is known."""
    if repository := find_once(str(app.srcdir)):
        icon = {"name": "Repository", "url": repository.url, "icon": "fa-solid fa-code-branch"}
        config.html_theme_options = {**config.html_theme_options, "icon_links": [icon]}


def list_ways(repository: Repository | None, name: str, file: str, command: str) -> list[str]:
    """The ways to run a notebook, each as HTML; those that need the repository's address only with
    it.

    Parameters
    ----------
    file : str
        The notebook's own file, from the page.
    command : str
        What repeats the run that the page shows.
    """
    ways = []
    if repository and (colab := address_colab(repository, name)):
        ways.append(f'<a href="{escape(colab)}">Open in Colab</a>')
    if repository:
        binder = escape(address_binder(repository, name))
        ways.append(f'<a href="{binder}">Open in Binder</a> (<code>smol</code> only)')
    ways.append(f'<a href="{escape(file)}" download>Download the notebook</a>')
    given = f'type="button" data-copied="{escape(command)}"'
    return [*ways, f"<button {given}>Copy the papermill command</button>"]


def write_papermill(notebook: dict, name: str) -> str:
    """The command of papermill that repeats a run, from the project's folder.

    Parameters
    ----------
    notebook : dict
        As `json` reads the executed one.
    """
    given = notebook["metadata"].get("papermill", {}).get("parameters", {})
    words = [f"-p {key} {shlex.quote(spell(given[key]))}" for key in sorted(given)]
    return " ".join([f"papermill notebooks/{name}.ipynb out.ipynb", *words])


def add_launch(app, page, template, context, doctree):
    """Put the ways to run a notebook under the title of its page."""
    if not (name := name_notebook(page)) or "body" not in context:
        return
    notebook = json.loads(Path(app.env.doc2path(page)).read_text(encoding="utf-8"))
    file = context["pathto"](f"{FOLDER}/{name}.ipynb", 1)
    command = write_papermill(notebook, name)
    ways = list_ways(find_once(str(app.srcdir)), name, file, command)
    items = "".join(f"<li>{way}</li>" for way in ways)
    launch = f'<nav class="launch" aria-label="Run this notebook"><ul>{items}</ul></nav>'
    context["body"] = context["body"].replace("</h1>", f"</h1>{launch}", 1)


def write_notebooks(app, error):
    """Write the notebooks that the pages offer."""
    names = sorted({*map(name_notebook, app.env.found_docs)} - {""})
    if not error and app.builder.format == "html" and names:
        write_launched(names, Path(app.outdir) / FOLDER, find_once(str(app.srcdir)))
