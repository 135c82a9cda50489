"""The notes of a release: the changelog's entry of its version."""

import pytest

from press.changelog import read_entry, read_notes

TEXT = """# Changelog

## Unreleased

- Later.

## 0.2.0, 2027-01-01

### Pages

- One.

## 0.1.0 (2026-12-01)

- First.

## 0.0.9
"""


def test_an_entry_ends_where_the_next_version_begins():
    assert read_entry(TEXT, "0.2.0") == "### Pages\n\n- One."
    assert read_entry(TEXT, "0.1.0") == "- First."


@pytest.mark.parametrize("version", ["0.2", "0.2.1", "0.0.9"])
def test_a_version_of_which_nothing_is_said_is_refused(version):
    why = f"says nothing of {version}; it has Unreleased, 0.2.0, 0.1.0, 0.0.9. .* '## {version}'"
    with pytest.raises(ValueError, match=why):
        read_entry(TEXT, version)


def test_the_tag_is_that_of_the_projects_version(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(TEXT)
    assert read_notes("v0.2.0", tmp_path).endswith("- One.")
    for tag in ("0.2.0", "v0.1.0", ""):
        with pytest.raises(ValueError, match="is not v0.2.0, the version of pyproject.toml"):
            read_notes(tag, tmp_path)
