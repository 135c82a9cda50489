"""Named numbers: how a notebook keeps them, and what an executed one has kept."""

import ast
from collections.abc import Mapping

import myst_nb


def glue_all(numbers: Mapping[str, float | str]) -> None:
    """Keep named numbers in the executed notebook, where ``{glue:text}`` finds them."""
    for name, number in numbers.items():
        myst_nb.glue(name, number, display=False)


def read_glued(notebook: dict) -> dict[str, float | str]:
    """The numbers and words that a notebook glued, by their names, as they were before they were
    printed.

    Parameters
    ----------
    notebook : dict
        As `nbformat` or `json` reads it.
    """
    found = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if name := output.get("metadata", {}).get("scrapbook", {}).get("name"):
                (text,) = (
                    "".join(text)
                    for kind, text in output["data"].items()
                    if kind.endswith("text/plain")
                )
                found[name] = _value(text)
    return found


def _value(text):
    try:
        return float(text)
    except ValueError:
        return ast.literal_eval(text)
