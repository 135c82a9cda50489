"""What must hold before a release, beside the tests and `make check`.

    python -m press.release path/to/cffconvert    as `make release-check`

One version everywhere, a dated entry in the changelog, a valid ``CITATION.cff`` that the archive's
record agrees with, well-formed references, and links that lead somewhere. What could not be
checked without a network is said, and is no success.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from pybtex.database import parse_string

from arbitration import commands
from arbitration.files.folders import ROOT
from press.audit import UNREACHED
from press.citation import list_contradictions, read_citation, read_zenodo
from press.links import check_links

ONWARD = "nothing was changed; run the same command again"
DAY = r"\d{4}-\d{2}-\d{2}"
ARXIV = re.compile(r"\d{2}(0[1-9]|1[0-2])\.\d{4,5}(v\d+)?")
DOI = re.compile(r"10\.\d{4,9}/\S+")


def list_faults(root: Path = ROOT) -> list[str]:
    """What contradicts a release of this version, a sentence for each."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version, citation = project["version"], read_citation(root)
    found = list_contradictions(citation, read_zenodo(root))
    for name, written in {"version": version, "license": project["license"]}.items():
        if citation[name] != written:
            found.append(
                f"{name}: CITATION.cff has {citation[name]!r}, pyproject.toml has {written!r}; "
                "make them equal"
            )
    day = citation.get("date-released", "")
    if not re.fullmatch(DAY, day):
        found.append("CITATION.cff has no date-released; write the day of the release, YYYY-MM-DD")
    entry = re.compile(rf"^## {re.escape(version)}\D+({DAY})$", re.M)
    dated = entry.search((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if not dated:
        wanted = f"## {version}, {day or 'YYYY-MM-DD'}"
        found.append(f"CHANGELOG.md has no entry of this version; head it with {wanted!r}")
    elif day and dated[1] != day:
        found.append(f"CHANGELOG.md dates it {dated[1]}, CITATION.cff {day}; make them equal")
    return found + list_malformed((root / "book" / "references.bib").read_text(encoding="utf-8"))


def list_malformed(bibliography: str) -> list[str]:
    """Identifiers of references that cannot be right, a sentence for each."""
    found = []
    for key, entry in parse_string(bibliography, "bibtex").entries.items():
        fields = dict(entry.fields)
        numbers = re.findall(r"arxiv:\s*([^\s,}]+)", " ".join(fields.values()), re.I)
        if fields.get("archiveprefix", fields.get("archivePrefix", "")).lower() == "arxiv":
            numbers.append(fields.get("eprint", ""))
        for number in numbers:
            if not ARXIV.fullmatch(number):
                found.append(
                    f"references.bib, {key}: {number} is no arXiv identifier; it is YYMM.NNNNN"
                )
        if not DOI.fullmatch(doi := fields.get("doi", "10.1000/none")):
            found.append(f"references.bib, {key}: {doi} is no DOI; it begins with 10.")
    return found


def validate_citation(program: Path, root: Path = ROOT) -> int:
    """Hold ``CITATION.cff`` against its schema: 0, 1, or `UNREACHED` without cffconvert."""
    if not program.is_file():
        print(f"CITATION.cff was not validated: {program} is not there; can it be installed?")
        return UNREACHED
    command = [program, "--validate", "-i", root / "CITATION.cff"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    said = (done.stdout + done.stderr).strip().splitlines() or ["cffconvert said nothing"]
    print(f"CITATION.cff: {said[-1]}")
    return 1 if done.returncode else 0


def main(arguments: list[str] | None = None) -> int:
    """Check all of it, say what was found; 0, 1 if something is wrong, `UNREACHED` if something
    could not be checked.
    """
    parser = argparse.ArgumentParser(prog="python -m press.release", description=__doc__)
    parser.add_argument("cffconvert", type=Path)
    program = parser.parse_args(arguments).cffconvert
    faults = list_faults()
    print("\n".join(faults) or "one version everywhere, and every reference is well formed")
    statuses = [1 if faults else 0, validate_citation(program), check_links()]
    return 1 if 1 in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(commands.status(main, ONWARD))
