"""Write each notebook's .ipynb from its .py (percent format), the text that people edit.

    python -m press.pair            write them
    python -m press.pair --check    say which differ, and exit 1

The notebooks are those that the book lists (`press.publish.listed`); whatever else lies here, such
as what JupyterLab makes, is left alone. Converting always goes from ``.py`` to ``.ipynb``:
jupytext's own ``--sync`` trusts modification times, which a clone scrambles.
"""

from arbitration import commands

if __name__ == "__main__":
    KEPT = (
        "every notebook is whole, as it was or as its text says; the same command goes on from "
        "there"
    )
    commands.end_at_interrupt(KEPT)

import argparse
import sys
from pathlib import Path

import jupytext
import nbformat

from arbitration.files import atomic
from press.planned import NOTEBOOKS
from press.publish import listed

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def notebook_texts(folder: Path = NOTEBOOKS) -> list[Path]:
    """The ``.py`` halves of the book's notebooks, by name."""
    return [folder / f"{name}.py" for name in sorted(listed(folder.parent))]


def strays(folder: Path = NOTEBOOKS) -> list[str]:
    """Notebooks in the folder that the book does not list."""
    return sorted(
        path.name
        for path in folder.glob("*.ipynb")
        if path.with_suffix(".py") not in notebook_texts(folder)
    )


def convert(text: Path) -> str:
    """The ``.ipynb`` of a ``.py``: no outputs, and cell ids that only depend on the order of the
    cells.
    """
    notebook = jupytext.read(text)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
    notebook.metadata["kernelspec"] = KERNEL
    notebook.metadata["jupytext"] = {"formats": "ipynb,py:percent"}
    return nbformat.writes(notebook) + "\n"


def drifted(folder: Path = NOTEBOOKS) -> list[str]:
    """Names of the notebooks whose two halves differ, or that lack one half."""

    def differ(path: Path) -> bool:
        notebook = path.with_suffix(".ipynb")
        return not (path.exists() and notebook.exists()) or notebook.read_text(
            encoding="utf-8"
        ) != convert(path)

    return [path.stem for path in notebook_texts(folder) if differ(path)]


def main(arguments: list[str] | None = None) -> int:
    """Write the notebooks, or with ``--check`` only say which differ; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m press.pair", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if some differ")
    if parser.parse_args(arguments).check:
        return tell_drift(drifted())
    for path in notebook_texts():
        atomic.write_whole(path.with_suffix(".ipynb"), convert(path))
        print("wrote", path.with_suffix(".ipynb").name)
    if found := strays():
        print("left alone, because _toc.yml does not list them:", ", ".join(found))
    return 0


def tell_drift(names: list[str]) -> int:
    """Say which notebooks differ from their text and what to do; the exit status."""
    for name in names:
        print(f"notebooks/{name}.ipynb is not what {name}.py says", file=sys.stderr)
    if names:
        print("edit the .py, then run make pair: it writes every .ipynb anew", file=sys.stderr)
    return int(bool(names))


if __name__ == "__main__":
    sys.exit(commands.status(main, KEPT))
