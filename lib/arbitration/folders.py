"""Where things are, found from the package, never from the working directory; and files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
EXECUTED = ROOT / "book" / "_executed"


def cache() -> Path:
    """Folder of fetched and derived files; ``ARBITRATION_CACHE`` moves it."""
    folder = os.environ.get("ARBITRATION_CACHE") or Path.home() / ".cache" / "instruction-anchors"
    return Path(folder).expanduser()


def output() -> Path:
    """Folder of a notebook's tables and figures; ``ARBITRATION_OUTPUT`` moves it (the book's runner does)."""
    return Path(os.environ.get("ARBITRATION_OUTPUT") or ROOT / "results").expanduser()


@contextmanager
def partial(path: Path) -> Iterator[Path]:
    """A free name beside a file, to write to before it gets the file's own; what still has that name at the end is removed.

    Its folder is made. No two writers have the same name, also not two of the same number on machines that share a folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    free = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        yield free
    finally:
        free.unlink(missing_ok=True)


def write(path: Path, content: bytes | str) -> None:
    """Write a file whole or not at all, text in UTF-8."""
    with partial(path) as free:
        free.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(free, path)


def alone(name: str) -> FileLock:
    """A lock in the cache: who holds it is the only process that makes `name`. It is free again when its holder ends, however that ends."""
    folder = cache() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock", mode=0o666)


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
        todo = "give the model's own name, `subject.name` (of a model in a folder: local/ and its name)"
        raise ValueError(f"{what}; {todo}")
    return output() / name
