"""What a reader gives: paths as they are typed, JSON as others write it, and how both are quoted
when they are wrong.
"""

import json
import os
import re
import reprlib
from pathlib import Path

_QUOTES = reprlib.Repr()
_QUOTES.maxstring = _QUOTES.maxother = _QUOTES.maxlong = 120
#: Characters of another program's message that are passed on.
SAID = 300


def quote(value) -> str:
    """A value as a message shows it: of a very long one, its beginning and its end.

    Examples
    --------
    >>> quote("ten"), len(quote("ten" * 1000))
    ("'ten'", 120)
    """
    return _QUOTES.repr(value)


def quote_error(error: BaseException) -> str:
    """What another program says went wrong: its first two sentences, in one line.

    Examples
    --------
    >>> quote_error(ValueError("no key\\n   of that name"))
    'no key of that name'
    """
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join(re.split(r"(?<=[.!?])\s+(?=[A-Z])", said)[:2])
    line = " ".join(line.split()) or type(error).__name__
    return line if len(line) <= SAID else f"{line[:SAID]} …"


def find_path(typed: str | Path) -> Path:
    """A path that was typed, absolute and with its links followed; whether anything is there is
    for others to see.

    Raises
    ------
    ValueError
        For what no file can be called: nothing, no text, another user's home that is not here, too
        long a name.
    """
    if not isinstance(typed, (str, os.PathLike)) or not str(typed).strip():
        why = f"{quote(typed)} is no path; give that of a file or a folder, as text"
        raise ValueError(why)
    try:
        path = Path(typed).expanduser().resolve()
        path.exists()  # asks the system about the name
    except (OSError, RuntimeError, ValueError) as error:
        why = f"{quote(str(typed))} cannot be a path ({quote_error(error)}); give another one"
        raise ValueError(why) from error
    return path


def parse_json(content: str | bytes):
    """What some JSON says; a mark at its start, as some editors write it, says nothing.

    Raises
    ------
    ValueError
        If it is no JSON, nested too deep to be read, or gives one name in an object twice, of which
        a reader would see one and Python take the other.
    """
    text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once)
    except RecursionError:
        why = "it is nested too deep"
        raise ValueError(why) from None


def _once(pairs: list[tuple[str, object]]) -> dict:
    """An object whose names are all different."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        why = f"the name {quote(twice)} is given twice"
        raise ValueError(why)
    return found
