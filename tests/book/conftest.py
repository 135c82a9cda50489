"""The browser, and the book that it opens: built once for all tests of all workers."""

import pytest
from filelock import FileLock

from browser_book import build_book
from chromium import browser


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture(scope="session")
def html(chromium, tmp_path_factory, worker_id):
    """The folder of the book's pages, away from the reader's own book."""
    alone = worker_id == "master"
    home = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    source, built = home / "browsed", home / "browsed.built"
    with FileLock(home / "browsed.lock"):
        if not source.exists():
            build_book(source, "--recorded")
            built.touch()
    assert built.exists(), "another worker's book was not built"
    return source / "_build" / "html"
