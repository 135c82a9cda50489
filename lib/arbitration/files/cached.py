"""What lies in the cache folder, how much it is, and how it is cleared.

Only what this project keeps there is counted and removed: the folder may be a reader's own, who set
``ARBITRATION_CACHE``. No symbolic link is followed. Locks stay, because a process may wait for one.
"""

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from arbitration.files.atomic import tell_unwritable
from arbitration.files.folders import cache
from arbitration.files.given import quote

#: What this project keeps in the cache, by its name there.
CONTENTS = {
    "base": "base weights of the embedded models; fetched again when a model is loaded",
    "mc2": "the data set MC²; fetched again when it is read",
    "nltk": "WordNet; fetched again when a dictionary is made",
    "parts": "measured rows, one file a prompt; what no record has is measured again, for hours",
    "revisions.json": "which revision of each hub model was loaded first; then the newest counts",
}


class InUse(RuntimeError):
    """Another process is making a file of the cache."""


@dataclass(frozen=True)
class Holding:
    """One of `CONTENTS` that is there.

    Attributes
    ----------
    name : str
    what : str
        What it is, and what its loss means.
    files : int
    size : int
        Bytes.
    """

    name: str
    what: str
    files: int
    size: int


def measure_cache() -> list[Holding]:
    """What the cache holds; empty if nothing was ever fetched or measured."""
    found = []
    for name, what in CONTENTS.items():
        place = cache() / name
        if os.path.lexists(place):
            sizes = list(_list_sizes(place))
            found.append(Holding(name, what, len(sizes), sum(sizes)))
    return found


def _list_sizes(place: Path) -> Iterator[int]:
    """The bytes of a file, of a link itself, or of all files in a folder; what goes away meanwhile
    has none.
    """
    try:
        state = place.lstat()
        inside = list(place.iterdir()) if stat.S_ISDIR(state.st_mode) else None
    except FileNotFoundError:
        return
    if inside is None:
        yield state.st_size
    for one in inside or ():
        yield from _list_sizes(one)


def clear_cache(names: Iterable[str]) -> int:
    """Remove some of what the cache holds.

    Parameters
    ----------
    names : iterable of str
        Of `CONTENTS`; what is not there needs no removing.

    Returns
    -------
    int
        Bytes that were removed.

    Raises
    ------
    ValueError
        For a name that the cache knows nothing by, before anything is removed.
    InUse
        If another process is making a file of the cache, before anything is removed.
    Unwritable
        If the system refuses to.
    """
    chosen = list(names)
    if unknown := [name for name in chosen if name not in CONTENTS]:
        why = f"the cache holds nothing called {quote(unknown[0])}; give {', '.join(CONTENTS)}"
        raise ValueError(why)
    with _hold_locks():
        freed = sum(one.size for one in measure_cache() if one.name in chosen)
        for name in chosen:
            place = cache() / name
            with tell_unwritable(place):
                _remove(place)
    return freed


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


@contextmanager
def _hold_locks() -> Iterator[None]:
    """Hold every lock that there is, so that nobody makes what is being removed."""
    folder = cache() / "locks"
    with ExitStack() as held, tell_unwritable(folder):
        for path in sorted(folder.glob("*.lock")):
            try:
                held.enter_context(FileLock(path, timeout=0, mode=0o666))
            except Timeout as error:
                why = (
                    f"another process is making {path.stem} in {cache()}, so nothing was removed; "
                    f"do it again when that has ended"
                )
                raise InUse(why) from error
        yield
