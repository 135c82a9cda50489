"""The browser, and the book that it opens: built once for all of its tests."""

import pytest

from browser_book import build_book
from chromium import browser


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture(scope="session")
def html(chromium, tmp_path_factory):
    """The folder of the book's pages, away from the reader's own book."""
    return build_book(tmp_path_factory.mktemp("browsed"), "--recorded")
