"""Open pages in headless Chromium and note what happened: for the tests of the book."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

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
    """A headless Chromium that can resolve no host name."""
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.fail(
            (
                "these tests need Chromium and its driver; on Debian: apt-get install chromium "
                "chromium-driver"
            ),
            pytrace=False,
        )
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
        "--window-size=1400,1000",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=Service(driver))
    session.set_script_timeout(60)
    try:
        yield session
    finally:
        session.quit()


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
