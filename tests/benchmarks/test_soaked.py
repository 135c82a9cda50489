"""What the page on reliability says of the soak is what the soak has found."""

import json

import pytest

import soak


@pytest.fixture(scope="module")
def found():
    return json.loads(soak.TARGET.read_text(encoding="utf-8"))


def test_it_lasted_two_hours_and_did_every_deed(found):
    assert found["minutes"] >= 120
    done = {deed.__name__: found.get(deed.__name__, 0) for deed in soak.DEEDS}
    assert min(done.values()) > 0, done
    assert found["compared"] > 0 and found["rounds"] > sum(done.values()) / 2


def test_nothing_was_lost_and_nothing_differed(found):
    assert found["faults"] == [] and found["parts_lost"] == 0
    assert found["measured_again"] > 0, "damage was never met"


def test_the_page_shows_its_counts(found):
    shown = soak.TARGET.with_suffix(".md").read_text(encoding="utf-8")
    assert shown == "\n".join(soak.write_summary(found)) + "\n"
    page = (soak.folders.ROOT / "book" / "reliability.md").read_text(encoding="utf-8")
    assert "```{include} ../data/benchmarks/soak.md\n```" in page
