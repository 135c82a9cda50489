"""Files that are written whole or not at all, and locks that outlive no process."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from arbitration.files.folders import cache


@contextmanager
def partial(path: Path) -> Iterator[Path]:
    """A free name beside a file, to write to before it gets the file's own; what still has that
    name at the end is removed.

    Its folder is made. No two writers have the same name, also not two of the same number on
    machines that share a folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    free = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        yield free
    finally:
        free.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all, text in UTF-8."""
    with partial(path) as free:
        free.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(free, path)


def take_lock(name: str) -> FileLock:
    """A lock in the cache: who holds it is the only process that makes `name`. It is free again
    when its holder ends, however that ends.
    """
    folder = cache() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock", mode=0o666)
