"""Where things lie, found from the package and never from the working directory."""

import os
from pathlib import Path, PurePath

from platformdirs import user_cache_path

#: Where the packages of this project lie, perhaps among those of others.
LIBRARIES = Path(__file__).resolve().parents[2]
#: What a wheel carries of a checkout's top level (`pyproject.toml`, tool.hatch); no checkout has
#: it here.
CARRIED = LIBRARIES / "arbitration" / "_carried"
INSTALLED = CARRIED.is_dir()
ROOT = CARRIED if INSTALLED else LIBRARIES.parent
DATA = ROOT / "data"
#: What is made goes into the checkout. Of an installed package nothing is written to: there it is
#: the folder that the command was typed in.
WORK = Path() if INSTALLED else ROOT
EXECUTED = WORK / "book" / "_executed"


def cache() -> Path:
    """Folder of fetched and derived files, where the system keeps such; ``ARBITRATION_CACHE`` moves
    it.
    """
    folder = os.environ.get("ARBITRATION_CACHE") or user_cache_path(
        "instruction-anchors", appauthor=False
    )
    return Path(folder).expanduser()


def output() -> Path:
    """Folder of a notebook's tables and figures; ``ARBITRATION_OUTPUT`` moves it (the book's runner
    does).
    """
    return Path(os.environ.get("ARBITRATION_OUTPUT") or WORK / "results").expanduser()


def of_model(name: str) -> Path:
    """Folder of one model's tables and figures, below `output`.

    Parameters
    ----------
    name : str
        As `Subject.name` has it: ``smol``, ``org/name`` or ``local/name``.

    Raises
    ------
    ValueError
        If the name leads out of the folder, as a path to a model does.
    """
    parts = PurePath(name).parts
    if not parts or ".." in parts or PurePath(name).is_absolute():
        what = f"the name {name!r} leads out of the folder of tables and figures, {output()}"
        todo = (
            "give the model's own name, `subject.name` (of a model in a folder: local/ and its "
            "name)"
        )
        why = f"{what}; {todo}"
        raise ValueError(why)
    return output() / name
