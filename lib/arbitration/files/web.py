"""Single files from the web, kept with the checksum of their first download (`checksums`)."""

import hashlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from arbitration.files import checksums
from arbitration.files.atomic import write_whole

SECONDS = 60


class Absent(ConnectionError):
    """The server was reached and does not give out such a file."""


def body(url: str) -> bytes:
    """What a server sends for an address.

    Raises
    ------
    Absent
        If the server says that it has no such file (or keeps it to itself, as file stores say of
        files that they lack).
    ConnectionError
        For anything else that goes wrong on the way.
    """
    request = Request(url, headers={"User-Agent": "instruction-anchors"})
    try:
        with urlopen(request, timeout=SECONDS) as answer:
            return answer.read()
    except HTTPError as error:
        kind = Absent if error.code in (403, 404, 410) else ConnectionError
        why = f"{url}: the server answered {error.code} {error.reason}"
        raise kind(why) from error
    except (OSError, HTTPException) as error:
        why = f"{url}: {error}"
        raise ConnectionError(why) from error


def kept(
    url: str, path: Path, sound: Callable[[bytes], object], get: Callable[[str], bytes] = body
) -> Path:
    """The file of an address, downloaded unless it is here already.

    Parameters
    ----------
    url : str
    path : Path
        Where it is kept. A file that is there without a checksum (put there by hand) is taken if it
        is sound.
    sound : callable
        Looks at the content before it is kept and raises ValueError if it is not what it should be,
        as a network's log-in page.
    get : callable
        Address to content.

    Raises
    ------
    ConnectionError
        If it is not here and cannot be had.
    ValueError
        If the address now gives another file than at the first download, or one that is not sound.
    """
    if checksums.is_whole(path):
        return path
    recorded = checksums.read_checksum(path)
    by_hand = path.exists() and not recorded
    content = path.read_bytes() if by_hand else get(url)
    found = hashlib.sha256(content).hexdigest()
    if recorded not in (None, found):
        why = (
            f"{url} is not the file that it was when it was first downloaded (SHA-256 "
            f"{found[:12]}…, then {recorded[:12]}…), so results would not be"
            f" comparable; to take the new one delete {checksums.checksum_file(path)}"
        )
        raise ValueError(why)
    try:
        sound(content)
    except ValueError as error:
        why = f"{path if by_hand else url} is not what it should be: {error}"
        raise ValueError(why) from error
    checksums.write_checksum(path, found)
    write_whole(path, content)
    return path
