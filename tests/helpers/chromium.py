"""Open pages in headless Chromium and note what happened: for the tests of the book."""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from press.chromium import NoBrowser, open_chromium

LOOK = """
const done = arguments[arguments.length - 1];
const report = () => done({
  formulas: [...document.querySelectorAll('.math')].map(e => [
    e.textContent.slice(0, 60),
    Boolean(e.querySelector('mjx-container')) && !e.querySelector('mjx-merror'),
  ]),
  pictures: [...document.images].map(e => [
    e.src.slice(0, 200), e.alt.trim(), e.complete && e.naturalWidth > 0,
  ]),
  contents: [...document.querySelectorAll('nav.bd-links a, .bd-sidebar-primary a')].map(
    e => e.href.split('#')[0]
  ),
});
const loaded = new Promise(ready =>
  document.readyState === 'complete' ? ready() : window.addEventListener('load', ready)
);
const fetched = () => Promise.all([...document.images].map(one => {
  one.loading = 'eager';
  return one.decode().catch(() => null);
}));
const drawn = window.MathJax && MathJax.startup ? MathJax.startup.promise : Promise.resolve();
loaded.then(() => drawn).then(fetched).then(report, report);
"""


@dataclass(frozen=True)
class Visit:
    """What a page did when it was opened."""

    requests: list  # addresses asked for outside the page's own files
    errors: list  # what the console calls severe: exceptions and failed requests
    formulas: list  # [text, was drawn]
    pictures: list  # [source, alternative text, was drawn]
    contents: list  # addresses in the table of contents


@contextmanager
def browser(profile: Path):
    """A headless Chromium that can resolve no host name, and logs what pages do."""
    try:
        with open_chromium(
            profile, goog_loggingPrefs={"browser": "ALL", "performance": "ALL"}
        ) as it:
            it.set_script_timeout(60)
            yield it
    except NoBrowser as error:
        pytest.fail(f"these tests open pages: {error}", pytrace=False)


def visit(session, page: Path) -> Visit:
    """Open a file and wait until its formulas are drawn."""
    session.get("about:blank")
    for kind in ("performance", "browser"):
        session.get_log(kind)
    session.get(page.as_uri())
    # On a busy machine the empty page may still be there; a page that leads on has another address.
    WebDriverWait(session, 60).until(lambda one: one.current_url.startswith("file:"))
    seen = session.execute_async_script(LOOK)
    events = [json.loads(entry["message"])["message"] for entry in session.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return Visit(
        requests=[url for url in asked if not url.startswith(("file:", "data:", "blob:"))],
        errors=[
            entry["message"] for entry in session.get_log("browser") if entry["level"] == "SEVERE"
        ],
        **seen,
    )
