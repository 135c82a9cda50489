"""The book of a run on two samples: no page needs a number that so few do not give."""

import pytest

from browser_book import build_book


@pytest.mark.slow
def test_every_page_is_built_without_a_warning(tmp_path):
    html = build_book(tmp_path / "small", "-p", "n", "2")
    assert (html / "book" / "claims.html").stat().st_size > 10_000
