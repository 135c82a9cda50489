"""How the paper and this book are cited: ``CITATION.cff`` as BibTeX, and what the archive's record
(``.zenodo.json``) says otherwise.
"""

import json
from pathlib import Path

import yaml
from pybtex.database import BibliographyData, Entry, Person

from arbitration.files.folders import ROOT

FILE = "CITATION.cff"
ZENODO = ".zenodo.json"
#: What both may be cited as, and the key of its entry.
KEYS = {"paper": "zhang2026anchors", "book": "instructionanchorsbook"}
#: Fields of a CFF record that BibTeX has by the same name.
SAME = ("title", "journal", "year", "doi", "url")


def read_citation(root: Path = ROOT) -> dict:
    """``CITATION.cff``; a date in it is text, as it is written there."""
    text = (root / FILE).read_text(encoding="utf-8")
    return yaml.load(text, Loader=yaml.BaseLoader)


def write_bibtex(citation: dict, which: str) -> str:
    """The entry of the paper or of the book.

    Parameters
    ----------
    citation : dict
        As `read_citation` gives it. The paper is the first of its references.
    which : str
        One of `KEYS`.
    """
    record = citation["references"][0] if which == "paper" else citation
    fields = {name: record[name] for name in SAME if name in record}
    if which == "book":
        fields |= {"note": f"Version {record['version']}"}
        fields |= {"year": record["date-released"][:4]} if "date-released" in record else {}
    kind = "article" if record["type"] == "article" else "misc"
    entry = Entry(kind, fields=fields, persons={"author": list(map(_person, record["authors"]))})
    return BibliographyData({KEYS[which]: entry}).to_string("bibtex").strip()


def _person(author: dict) -> Person:
    if "name" in author:  # a group, in braces, so that no program looks for its family name
        return Person(last=f"{{{author['name']}}}")
    return Person(first=author["given-names"], last=author["family-names"])


def list_contradictions(citation: dict, zenodo: dict) -> list[str]:
    """What the archive's record says otherwise than ``CITATION.cff``, a sentence for each."""
    authors = [_spell(one) for one in citation["authors"]]
    creators = [one["name"] for one in zenodo.get("creators", ())]
    pairs = {name: (citation.get(name), zenodo.get(name)) for name in ("title", "version")}
    pairs |= {
        "license": (citation.get("license"), zenodo.get("license")),
        "keywords": (citation.get("keywords"), zenodo.get("keywords")),
        "authors": (authors, creators),
    }
    return [
        f"{name}: {FILE} has {here!r}, {ZENODO} has {there!r}; make them equal"
        for name, (here, there) in pairs.items()
        if here != there
    ]


def _spell(author: dict) -> str:
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


def read_zenodo(root: Path = ROOT) -> dict:
    """The record that an archive of releases takes from the repository."""
    return json.loads((root / ZENODO).read_text(encoding="utf-8"))
