"""The notebooks as they are opened away from a checkout: on Colab, on Binder, or downloaded.

A notebook in the repository cannot know the commit that it will have, nor the address of the fork
that it is in, and Colab opens notebooks of GitHub only and tells them neither. So the build of the
book writes each notebook once more, with a first cell that installs the project at the book's
commit. The pages offer that file as the download, and the workflow ``book.yml`` puts the same files
on the branch `BRANCH`, where Colab finds them. Binder builds the repository itself, at the commit.
"""

from pathlib import Path
from urllib.parse import quote

import nbformat

from press.planned import NOTEBOOKS
from press.repository import Repository

BRANCH = "launch"

INSTALL = """\
# Installs the project at the commit of the book, unless it is installed already.
from importlib.util import find_spec

if not find_spec("arbitration"):
    %pip install --quiet "instruction-anchors[book] @ git+{url}@{commit}"
"""


def write_launched(names: list[str], folder: Path, repository: Repository | None) -> None:
    """Write notebooks into a folder, each of which runs by itself.

    Parameters
    ----------
    names : list of str
        Without ending.
    repository : Repository, optional
        What their first cell installs; without it they are as in the checkout.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        if repository:
            text = INSTALL.format(url=repository.url, commit=repository.commit).strip()
            notebook.cells.insert(0, nbformat.v4.new_code_cell(text, id="install"))
        nbformat.write(notebook, folder / f"{name}.ipynb")


def address_colab(repository: Repository, name: str) -> str:
    """Where Colab opens a notebook; empty if the repository is not on GitHub."""
    if not repository.on_github:
        return ""
    home = "https://colab.research.google.com/github"
    return f"{home}/{repository.name}/blob/{BRANCH}/{name}.ipynb"


def address_binder(repository: Repository, name: str) -> str:
    """Where Binder opens a notebook, in an environment of the repository's ``.binder``."""
    place = f"gh/{repository.name}" if repository.on_github else f"git/{quote(repository.url, '')}"
    path = quote(f"notebooks/{name}.ipynb", "")
    return f"https://mybinder.org/v2/{place}/{repository.commit}?labpath={path}"
