"""The entry of one version in ``CHANGELOG.md``, as the notes of its release.

    python -m press.changelog v0.2.0

The tag must be that of the project's version.
"""

import re
import sys
import tomllib
from pathlib import Path

from arbitration.files.folders import ROOT


def read_entry(text: str, version: str) -> str:
    """What a changelog says of a version, without the heading.

    Parameters
    ----------
    text : str
        The changelog; each version has a heading ``## 0.2.0``, which may go on with a date.

    Raises
    ------
    ValueError
        If there is no such heading, or nothing under it.

    Examples
    --------
    >>> read_entry("## Unreleased\\n\\n## 0.2.0, 2027-01-01\\n\\n- More.\\n\\n## 0.1.0\\n", "0.2.0")
    '- More.'
    """
    entries = {}
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        heading, _, entry = part.partition("\n")
        entries[re.split(r"[\s,(]", heading)[0]] = entry.strip()
    if not entries.get(version):
        why = f"CHANGELOG.md says nothing of {version}; it has {', '.join(entries) or 'no entry'}"
        todo = f"Before the tag, write what changed under the heading '## {version}'"
        said = f"{why}. {todo}"
        raise ValueError(said)
    return entries[version]


def read_notes(tag: str, root: Path = ROOT) -> str:
    """The notes of the release of a tag.

    Raises
    ------
    ValueError
        If the tag is not that of the project's version, and as `read_entry`.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    if tag != f"v{version}":
        why = f"the tag {tag!r} is not v{version}, the version of pyproject.toml: change one"
        raise ValueError(why)
    return read_entry((root / "CHANGELOG.md").read_text(encoding="utf-8"), version)


if __name__ == "__main__":
    try:
        print(read_notes(*sys.argv[1:]))
    except ValueError as error:
        sys.exit(f"error: {error}")
