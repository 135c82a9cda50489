"""What must hold before a release, and that what could not be checked is no success."""

import shutil

import pytest

from arbitration.files.folders import ROOT
from press import links, release

FILES = ("pyproject.toml", "CITATION.cff", ".zenodo.json", "CHANGELOG.md", "book/references.bib")
REACHED = {"uri": "https://a.example", "status": "working", "info": "", "filename": "a.md"}
GONE = REACHED | {"uri": "https://b.example", "status": "broken", "lineno": 3}
GONE["info"] = "404 Client Error: Not Found for url: https://b.example"
UNREACHED = GONE | {"uri": "https://c.example", "info": "Failed to resolve 'c.example'"}
LOCAL = {"uri": "records.md", "status": "local", "info": ""}


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture
def ready(tmp_path):
    """The project's files as they are when all is ready for a release."""
    (tmp_path / "book").mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / "CITATION.cff").open("a", encoding="utf-8") as file:
        file.write("date-released: 2027-01-31\n")
    edit(tmp_path / "CHANGELOG.md", "## Unreleased", "## 0.1.0, 2027-01-31")
    assert release.list_faults(tmp_path) == []
    return tmp_path


@pytest.mark.parametrize(
    "file, old, new, said",
    [
        ("pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"', "version: CITATION.cff"),
        ("CITATION.cff", "version: 0.1.0", "version: 0.2.0", "version: CITATION.cff"),
        (".zenodo.json", "0.1.0", "0.2.0", "version: CITATION.cff"),
        ("pyproject.toml", 'license = "Apache-2.0"', 'license = "MIT"', "license: CITATION.cff"),
        ("CITATION.cff", "date-released: 2027-01-31", "", "no date-released"),
        ("CITATION.cff", "date-released: 2027-01-31", "date-released: 2027-02-01", "dates it"),
        ("CHANGELOG.md", "## 0.1.0, 2027-01-31", "## Unreleased", "no entry of this version"),
        ("book/references.bib", "arXiv:2602.03677", "arXiv:2602.0367x", "no arXiv identifier"),
        ("book/references.bib", "year={2026}", "year={2026}, doi={12.1/x}", "is no DOI"),
    ],
)
def test_what_contradicts_a_release_is_named(ready, file, old, new, said):
    edit(ready / file, old, new)
    assert any(said in one for one in release.list_faults(ready))


def test_the_versions_and_references_are_right_before_any_release():
    """A day and an entry are written when there is one."""
    rest = [one for one in release.list_faults() if "date-released" not in one]
    assert [one for one in rest if not one.startswith("CHANGELOG.md has no entry")] == []


@pytest.mark.parametrize(
    "found, status, said",
    [
        ([REACHED, LOCAL], 0, "1 links to other sites looked up, 0 gone"),
        ([REACHED, GONE], 1, "a.md, line 3: https://b.example is gone"),
        ([REACHED, UNREACHED], 3, "cannot be reached from here: https://c.example"),
        ([GONE, UNREACHED], 1, "1 links to other sites looked up, 1 gone"),
    ],
)
def test_a_link_that_was_not_looked_up_is_no_success(found, status, said, capsys):
    assert links.judge_links(found) == status
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("code, status", [(0, 0), (1, 1), (None, 3)])
def test_the_citation_is_held_against_its_schema(code, status, tmp_path, capsys):
    program = tmp_path / "cffconvert"
    if code is not None:
        program.write_text(f"#!/bin/sh\necho seen $3\nexit {code}\n")
        program.chmod(0o755)
    assert release.validate_citation(program) == status
    said = capsys.readouterr().out
    assert "was not validated" in said if code is None else str(ROOT / "CITATION.cff") in said


@pytest.mark.parametrize(
    "faults, schema, links_there, status",
    [([], 0, 0, 0), (["x"], 0, 0, 1), ([], 0, 3, 3), ([], 1, 3, 1), ([], 3, 0, 3)],
)
def test_the_status_is_the_worst_of_all(faults, schema, links_there, status, monkeypatch):
    monkeypatch.setattr(release, "list_faults", lambda: faults)
    monkeypatch.setattr(release, "validate_citation", lambda _: schema)
    monkeypatch.setattr(release, "check_links", lambda: links_there)
    assert release.main(["cffconvert"]) == status
