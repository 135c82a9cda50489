"""How the book is cited, from one source, and the licences of what ships."""

import copy
import fnmatch
import re

import pytest
from pybtex.database import parse_file, parse_string

from arbitration.files.folders import ROOT
from press import citation
from toy_book import build

#: Of the Citation File Format 1.2.0: what a file must have, and all that it may have.
REQUIRED = {"authors", "cff-version", "message", "title"}
ALLOWED = REQUIRED | set(
    "abstract commit contact date-released doi identifiers keywords license license-url "
    "preferred-citation references repository repository-artifact repository-code type url "
    "version".split()
)


def test_the_citation_has_the_fields_of_its_format():
    known = citation.read_citation()
    assert REQUIRED <= set(known) <= ALLOWED
    assert known["cff-version"] == "1.2.0" and known["type"] == "software"
    assert known["authors"] and all(known[name] for name in ("abstract", "keywords", "license"))
    for author in known["authors"] + known["references"][0]["authors"]:
        assert "name" in author or {"family-names", "given-names"} <= set(author)


def test_the_archive_s_record_says_the_same():
    assert citation.list_contradictions(citation.read_citation(), citation.read_zenodo()) == []


@pytest.mark.parametrize("field", ["title", "version", "license", "keywords", "creators"])
def test_a_contradiction_is_named(field):
    zenodo = copy.deepcopy(citation.read_zenodo())
    zenodo[field] = [{"name": "Somebody else"}] if field == "creators" else "another"
    (said,) = citation.list_contradictions(citation.read_citation(), zenodo)
    assert said.startswith("authors" if field == "creators" else field)


def test_the_entries_are_those_of_the_paper_and_of_the_book():
    known = citation.read_citation()
    (paper,) = parse_string(citation.write_bibtex(known, "paper"), "bibtex").entries.items()
    cited = parse_file(ROOT / "book" / "references.bib").entries[paper[0]]
    for field in ("title", "year", "journal"):
        assert paper[1].fields[field] == cited.fields[field]
    assert paper[1].persons == cited.persons
    released = known | {"date-released": "2027-01-31"}
    (book,) = parse_string(citation.write_bibtex(released, "book"), "bibtex").entries.values()
    assert book.fields["year"] == "2027" and known["version"] in book.fields["note"]
    assert str(book.persons["author"][0]) == "{" + known["authors"][0]["name"] + "}"


def test_the_page_shows_both_entries(tmp_path):
    (tmp_path / "index.md").write_text(
        "# Citing\n\n```{bibtex} paper\n```\n\n```{bibtex} book\n```\n", encoding="utf-8"
    )
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    assert "@article" in page and "@misc" in page and "Mufan" in page


def list_licensed():
    """The files that LICENSES.md names in its first table: (as named, licence)."""
    text = (ROOT / "LICENSES.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"## In the repository\n(.*?)\n## ", text, re.S)
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return [(name, row[-1].strip(" |")) for row in rows for name in re.findall("`(.+?)`", row[0])]


#: Folders and files in which nothing is by others, or derived from what is.
OWN = (
    "data/SHA256SUMS",
    "data/*/README.md",
    "data/*/*/README.md",
    "data/scenes/LICENSES.md",
    "data/benchmarks/*",
    "data/results/*",
    "data/columns.json",
    "data/questions.json",
    "data/paper_*.json",  # the paper's claims, in our own words
    "data/models/abilities.json",
    "data/models/config.json",
    "data/models/processor_config.json",
    "data/scenes/icons.json",
    "data/scenes/review.json",
    "data/scenes/samples.jsonl",
    "data/scenes/templates.json",
    "book/_static/*",
)


def test_every_file_that_ships_is_our_own_or_named_with_its_licence():
    licensed = dict(list_licensed())
    assert all(licensed.values()) and len(licensed) >= 14
    assert [name for name in licensed if not (ROOT / name).exists()] == []
    named = [f"{name}*" if name.endswith("/") else name for name in licensed]
    folders = (ROOT / "data", ROOT / "book" / "_static")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    names = [path.relative_to(ROOT).as_posix() for path in files]
    unnamed = [
        name for name in names if not any(fnmatch.fnmatch(name, one) for one in (*OWN, *named))
    ]
    assert len(names) > 500 and unnamed == []
