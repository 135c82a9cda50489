"""Files that count only when they are as they were made: beside each lies its checksum.

It lies in ``<name>.sha256``, in the form that ``sha256sum --check`` reads, and is written before
the file gets its name.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from arbitration.files.atomic import partial, remove_partial, take_lock, write_whole


class Damaged(ValueError):
    """A file is not what was written."""


def is_whole(path: Path) -> bool:
    """Whether a file is here and as it was when its checksum was recorded."""
    return path.exists() and digest(path) == read_checksum(path)


def digest(path: Path) -> str:
    """SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tell_state(path: Path) -> tuple[int, ...]:
    """What changes whenever a file is written, also while the clock stands still, or after it was
    set back: nobody can choose the time at which a file's entry changed. Nothing of a file that is
    not there.
    """
    try:
        state = path.stat()
    except FileNotFoundError:
        return ()
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def checksum_file(path: Path) -> Path:
    """Where a file's checksum lies."""
    return path.with_name(path.name + ".sha256")


def write_checksum(path: Path, checksum: str) -> None:
    """Write a checksum beside its file, before the file itself is there."""
    write_whole(checksum_file(path), f"{checksum}  {path.name}\n")


def read_checksum(path: Path) -> str | None:
    """The checksum beside a file; None without one, also if its file was left empty."""
    if not checksum_file(path).exists():
        return None
    words = checksum_file(path).read_text(encoding="utf-8", errors="replace").split()
    return words[0] if words else None


def make_once(paths: Sequence[Path], make: Callable[[dict[Path, Path]], object]) -> None:
    """Make files once, also when several processes want them; again when one is no longer what was
    made.

    Parameters
    ----------
    paths : sequence of Path
        Of one folder. The first gives the lock its name.
    make : callable
        Writes those that are lacking. It is given their paths, each with the name under which it is
        written before it counts.
    """
    if all(map(is_whole, paths)):
        return
    with take_lock(paths[0].name), ExitStack() as names:
        # Others may have made them meanwhile; what is left half written, a process that was killed
        # left: no other is here.
        lacking = [path for path in paths if not is_whole(path)]
        free = {}
        for path in lacking:
            remove_partial(path)
            free[path] = names.enter_context(partial(path))
        if free:
            make(free)
        for path, made in free.items():
            made.chmod(_mode(path))
            write_checksum(path, digest(made))
            os.replace(made, path)


def _mode(path: Path) -> int:
    """That of a new file here, but only its owner may write it: nltk refuses other data."""
    with partial(path) as new:
        new.touch()
        return new.stat().st_mode & ~0o022
