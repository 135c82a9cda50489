"""The data that ship with the project, held against the checksums that are committed with them.

A wrong bit may leave a file that reads well and says something else: another answer, form or
bound. ``data/SHA256SUMS`` has the SHA-256 of each file, in the form that ``sha256sum --check``
reads; ``make checksums`` writes it anew.
"""

import hashlib
import re
from functools import cache
from pathlib import Path

from arbitration.files import folders
from arbitration.files.checksums import Damaged

#: Beside the data that it is about. No number depends on it, but on the files themselves.
SUMS = "SHA256SUMS"
#: What counts: all that numbers and verdicts are made from, and what columns mean. Trained weights
#: (`embedded.SHIPPED`) and records (`records.read_record`) have checksums of their own.
COVERED = (
    "scenes/*.json*",
    "scenes/*/*.png",
    "text/*.txt",
    "models/*.json",
    "architectures/*.json",
    "paper_*.json",
    "authors_curves.json",
    "columns.json",
    "questions.json",
)
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_OWN = (
    "; samples of your own, with a corrected dictionary beside them, go by `-p data FOLDER` "
    "(book/own_data.md)"
)


def list_shipped() -> dict[str, Path]:
    """The files that count, by their paths below ``data/``, sorted."""
    found = {path for pattern in COVERED for path in folders.DATA.glob(pattern)}
    return {path.relative_to(folders.DATA).as_posix(): path for path in sorted(found)}


def sums_file() -> Path:
    return folders.DATA / SUMS


def read_sums() -> dict[str, str]:
    """The checksums of the files that ship, by their paths below ``data/``.

    Raises
    ------
    Damaged
        If their file is not there, or holds something else.
    """
    path = sums_file()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = {name: checksum for checksum, name in (_LINE.fullmatch(x).groups() for x in lines)}
    except (OSError, UnicodeDecodeError, AttributeError) as error:
        why = f"{path} is no list of checksums; {_tell_remedy(f'data/{SUMS}')}"
        raise Damaged(why) from error
    return found


def check_shipped(*names: str) -> None:
    """Stop unless some files, or all files of some folders, are those that ship. They are
    compared once in a process: the 645 files of the scenes in 0.03 s.

    Parameters
    ----------
    *names : str
        Paths below ``data/``, such as ``"scenes"``.

    Raises
    ------
    Damaged
        Naming the first file that is not, and what to do.
    """
    for name in names:
        _check(name)


@cache
def _check(name: str) -> None:
    known = read_sums()
    names = [one for one in known if one == name or one.startswith(f"{name}/")]
    wrong = [one for one in names or [name] if _digest(folders.DATA / one) != known.get(one)]
    if wrong:
        _refuse(wrong)


def read_shipped(path: Path) -> str:
    """The text of a file that ships, after its checksum was compared.

    Parameters
    ----------
    path : Path
        Below ``data/``.

    Raises
    ------
    Damaged
        If it is another, or is not there.
    """
    name = path.relative_to(folders.DATA).as_posix()
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != read_sums().get(name):
        _refuse([name])
    return content.decode("utf-8")


def _digest(path: Path) -> str:
    """Of a small file, which is read at once: of 645 that takes half as long as piece by piece."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"


def _refuse(names: list[str]) -> None:
    first, others = names[0], len(names) - 1
    more = f", nor are {others} other files that ship" if others else ""
    place = first.partition("/")[0] if others else first
    why = (
        f"{folders.DATA / first} is not the file that ships, by its SHA-256 in data/{SUMS}{more}, "
        f"and is not used; {_tell_remedy(f'data/{place} data/{SUMS}')}"
        f"{_OWN if first.startswith('scenes/') else ''}; a deliberate change of what "
        f"ships is made known by `make checksums`"
    )
    raise Damaged(why)


def _tell_remedy(places: str) -> str:
    if folders.INSTALLED:
        return "install the package again: pip install --force-reinstall instruction-anchors"
    return f"take it back from the repository: git checkout -- {places}"
