"""A headless Chromium, found by name, that reaches nothing outside this machine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 600  # that a command may take, such as printing a book on a busy machine


class NoBrowser(RuntimeError):
    """There is no Chromium, or no driver of it."""


@contextmanager
def open_chromium(profile: Path, **capabilities) -> Iterator[webdriver.Chrome]:
    """A session of Chromium, which can resolve no host name.

    Parameters
    ----------
    profile : Path
        A folder for what the browser keeps.
    **capabilities
        Further ones of the driver, by name with ``_`` for ``:``.

    Raises
    ------
    NoBrowser
        Before anything is started.
    """
    browser, driver = (
        next(filter(None, map(shutil.which, NAMES)), None),
        shutil.which("chromedriver"),
    )
    if not (browser and driver):
        what = "Chromium and its driver are needed, and not there"
        why = f"{what}; on Debian and Ubuntu: apt-get install chromium chromium-driver"
        raise NoBrowser(why)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
        "--window-size=1400,1000",
    ):
        options.add_argument(argument)
    for name, value in capabilities.items():
        options.set_capability(name.replace("_", ":"), value)
    session = webdriver.Chrome(options=options, service=Service(driver))
    session.set_script_timeout(SECONDS)
    session.command_executor.client_config.timeout = SECONDS
    try:
        yield session
    finally:
        session.quit()
