"""Files that are written whole or not at all, and locks that outlive no process."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from arbitration.files.folders import cache

#: Why a file cannot be written, and what to do about it.
UNWRITABLE = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "your share of the disk is used up: make room",
    errno.EFBIG: "a file may not become that large here: raise the limit (ulimit -f)",
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM),
        "it is read-only: allow writing, or give another folder (ARBITRATION_CACHE and "
        "ARBITRATION_OUTPUT name those of fetched and measured files and of tables and figures)",
    ),
}


class Unwritable(OSError):
    """The system refuses to write a file: which, why and what to do, for people."""

    def __str__(self) -> str:
        return self.strerror


@contextmanager
def tell_unwritable(path: Path) -> Iterator[None]:
    """Say which file or folder cannot be written, and what to do, where the system refuses to.

    Raises
    ------
    Unwritable
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, Unwritable) or error.errno not in UNWRITABLE:
            raise
        what = f"{path} cannot be written, because {UNWRITABLE[error.errno]}"
        why = f"{what}; then the same command goes on from what has been kept"
        raise Unwritable(error.errno, why) from error


@contextmanager
def partial(path: Path) -> Iterator[Path]:
    """A free name beside a file, to write to before it gets the file's own; what still has that
    name at the end is removed.

    Its folder is made. No two writers have the same name, also not two of the same number on
    machines that share a folder.
    """
    free = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    with tell_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield free
        finally:
            free.unlink(missing_ok=True)


def remove_partial(path: Path) -> None:
    """Remove what writers of a file that were killed have left beside it. Only for whoever holds
    the lock that its writers take: else one of them may be at it.
    """
    for left in path.parent.glob(f".{path.name}.*.partial"):
        left.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all, text in UTF-8."""
    with partial(path) as free:
        free.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(free, path)


@contextmanager
def take_lock(name: str) -> Iterator[None]:
    """Hold a lock in the cache: whoever holds it is the only process that makes `name`. It is free
    again when its holder ends, however that ends.
    """
    folder = cache() / "locks"
    lock = FileLock(folder / f"{name}.lock", mode=0o666)
    with tell_unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
