"""Where this project's repository is on the web, and at which commit: what the book's links need.

    python -m press.repository    says both; nothing where there is no address

A workflow of GitHub gives the address in its environment; elsewhere it is that of git's remote
``origin``. So the pages of a fork lead to the fork.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from arbitration.files.folders import ROOT

#: A remote as ssh spells it shortly: the host has a dot, unlike the drive of a path on Windows.
SHORT = re.compile(r"(?:[\w.-]+@)?([\w-]+\.[\w.-]+):(.+)")
#: What may be a part of a link, and of a command, as it is.
PLAIN = re.compile(r"[\w.~-]+(?:/[\w.~-]+)+", re.ASCII)


@dataclass(frozen=True)
class Repository:
    """A repository on the web, at one commit."""

    url: str
    commit: str

    @property
    def on_github(self) -> bool:
        """Whether it is on github.com, where others' services find it by its name."""
        return self.url.startswith("https://github.com/")

    @property
    def name(self) -> str:
        """Its path on its host, such as ``owner/name``."""
        return urlsplit(self.url).path.strip("/")


def read_address(remote: str) -> str:
    """The address on the web of a git remote, without user and password; empty where it has none.

    Examples
    --------
    >>> read_address("git@github.com:owner/name.git")
    'https://github.com/owner/name'
    >>> read_address("https://user:word@git.example.org/group/sub/name/")
    'https://git.example.org/group/sub/name'
    >>> read_address("/srv/name.git")
    ''
    """
    if "://" not in remote and (short := SHORT.fullmatch(remote)):
        remote = f"ssh://{short[1]}/{short[2]}"
    parts = urlsplit(remote)
    path = parts.path.strip("/").removesuffix(".git")
    known = parts.scheme in ("https", "http", "ssh", "git")
    if not (known and parts.hostname and PLAIN.fullmatch(path)):
        return ""
    if parts.scheme in ("ssh", "git"):  # its port is not that of the web
        return f"https://{parts.hostname}/{path}"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/{path}"


def ask_git(root: Path, *words: str) -> str:
    """What git says of the repository in a folder, and of none around it; empty if it says
    nothing.
    """
    command = ["git", f"--git-dir={root / '.git'}", *words]
    try:
        done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def find_repository(
    root: Path = ROOT, environment: Mapping[str, str] = os.environ
) -> Repository | None:
    """The repository that a checkout belongs to; None where its address or its commit is not known.

    Parameters
    ----------
    root : Path
        The checkout.
    environment : mapping of str to str
        May have ``GITHUB_REPOSITORY`` with ``GITHUB_SERVER_URL`` and ``GITHUB_SHA``, which go
        before what git says.
    """
    server = environment.get("GITHUB_SERVER_URL") or "https://github.com"
    named = environment.get("GITHUB_REPOSITORY")
    remote = f"{server}/{named}" if named else ask_git(root, "remote", "get-url", "origin")
    given = environment.get("GITHUB_SHA") if named else None
    url, commit = read_address(remote), given or ask_git(root, "rev-parse", "HEAD")
    return Repository(url, commit) if url and re.fullmatch("[0-9a-f]{40,64}", commit) else None


if __name__ == "__main__":
    if found := find_repository():
        print(found.url, found.commit)
