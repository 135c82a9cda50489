"""Write each notebook's .ipynb from its .py (percent format), the text that people edit.

A notebook is any ``.py`` in this folder with a ``# %%`` cell. Converting always goes from ``.py`` to ``.ipynb``:
jupytext's own ``--sync`` trusts modification times, which a clone scrambles.
"""

from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).resolve().parent
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def texts(folder: Path = HERE) -> list[Path]:
    """The ``.py`` halves of the notebooks in a folder, by name."""
    return [path for path in sorted(folder.glob("*.py")) if "\n# %%" in path.read_text(encoding="utf-8")]


def convert(text: Path) -> str:
    """The ``.ipynb`` of a ``.py``: no outputs, and cell ids that only depend on the order of the cells."""
    notebook = jupytext.read(text)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
    notebook.metadata["kernelspec"] = KERNEL
    notebook.metadata["jupytext"] = {"formats": "ipynb,py:percent"}
    return nbformat.writes(notebook) + "\n"


def drifted(folder: Path = HERE) -> list[str]:
    """Names of the notebooks whose two halves differ, or that lack one half."""
    halves = {path.stem: path for path in texts(folder)}
    lonely = {path.stem for path in folder.glob("*.ipynb")} - set(halves)
    different = {
        name for name, path in halves.items()
        if not path.with_suffix(".ipynb").exists()
        or path.with_suffix(".ipynb").read_text(encoding="utf-8") != convert(path)
    }
    return sorted(lonely | different)


if __name__ == "__main__":
    for path in texts():
        path.with_suffix(".ipynb").write_text(convert(path), encoding="utf-8")
        print("wrote", path.with_suffix(".ipynb").name)
