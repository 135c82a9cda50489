"""Named numbers: how a notebook keeps them, and what an executed one has kept."""

import ast
from collections.abc import Mapping

import myst_nb
import zmq
from IPython import get_ipython


def glue_all(numbers: Mapping[str, float | str]) -> None:
    """Keep named numbers in the executed notebook, where ``{glue:text}`` finds them."""
    _keep_unread()
    for name, number in numbers.items():
        myst_nb.glue(name, number, display=False)


def _keep_unread() -> None:
    """Let this kernel keep all messages that nobody has read yet. Beyond some thousand, ZeroMQ
    throws away those that come, and says nothing.
    """
    thread = getattr(getattr(get_ipython(), "kernel", None), "iopub_thread", None)
    if thread is not None:
        thread.schedule(lambda: thread.socket.set(zmq.SNDHWM, 0))


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
