"""Under the title of every notebook's page stand the ways to run it oneself."""

import json

import pytest
from bs4 import BeautifulSoup
from selenium.webdriver.support.expected_conditions import alert_is_present
from selenium.webdriver.support.ui import WebDriverWait

import toy_book
from press.planned import NOTEBOOKS
from toy_notebook import contents

COMMIT = "0123456789abcdef0123456789abcdef01234567"
COMMAND = (
    "papermill notebooks/steer.ipynb out.ipynb -p instruction 'Say \"<b>\".' -p model org/net "
    "-p shares '[0.05]'"
)
GITHUB = ("GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "GITHUB_SHA")


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A toy book of a page, a run of the notebook `steer`, and one of a notebook that is gone."""
    for name in GITHUB:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "book" / "_executed" / "org" / "net"
    folder.mkdir(parents=True)
    for name in ("steer", "gone"):
        toy_book.write_glued(folder / f"{name}.ipynb", {})
    ran = json.loads((folder / "steer.ipynb").read_text(encoding="utf-8"))
    given = {"shares": [0.05], "model": "org/net", "instruction": 'Say "<b>".'}
    ran["metadata"]["papermill"] = {"parameters": given}
    (folder / "steer.ipynb").write_text(json.dumps(ran), encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(contents("steer"))
    listed = "\n".join(f"book/_executed/org/net/{name}" for name in ("index", "steer", "gone"))
    (tmp_path / "index.md").write_text(f"# Book\n\n```{{toctree}}\n{listed}\n```\n")
    return tmp_path


def build(source):
    """The pages by their name."""
    done = toy_book.build(source, html_theme="sphinx_book_theme", nb_execution_mode="off")
    assert done.returncode == 0, done.stderr
    html = source / "html"
    return {
        path.stem: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(html.rglob("*.html"))
    }


def ways(page):
    """What stands there, and where it leads."""
    found = page.select("h1 + nav.launch li > *:first-child")
    return {one.get_text(): one.get("href") or one["data-copied"] for one in found}


def test_without_an_address_what_needs_it_is_left_out(source):
    pages = build(source)
    shown = ways(pages["steer"])
    assert list(shown) == ["Download the notebook", "Copy the papermill command"]
    assert shown["Copy the papermill command"] == COMMAND
    assert not pages["index"].select("nav.launch") and not pages["gone"].select("nav.launch")
    assert not pages["index"].select("a[title=Repository]")
    page = source / "html" / "book" / "_executed" / "org" / "net" / "steer.html"
    file = (page.parent / shown["Download the notebook"]).resolve()
    assert file == source / "html" / "notebooks" / "steer.ipynb"
    assert file.read_text(encoding="utf-8") == (NOTEBOOKS / "steer.ipynb").read_text("utf-8")


def test_a_workflow_gives_all_four_and_every_page_the_repository(source, monkeypatch):
    for name, value in zip(GITHUB, ("owner/name", "https://github.com", COMMIT)):
        monkeypatch.setenv(name, value)
    pages = build(source)
    shown = ways(pages["steer"])
    assert list(shown) == [
        "Open in Colab",
        "Open in Binder",
        "Download the notebook",
        "Copy the papermill command",
    ]
    assert shown["Open in Colab"].endswith("github/owner/name/blob/launch/steer.ipynb")
    assert f"gh/owner/name/{COMMIT}?labpath=notebooks%2Fsteer.ipynb" in shown["Open in Binder"]
    (link,) = pages["index"].select("a[title=Repository]")
    assert link["href"] == "https://github.com/owner/name"
    file = source / "html" / "notebooks" / "steer.ipynb"
    assert f"git+https://github.com/owner/name@{COMMIT}" in file.read_text(encoding="utf-8")


def test_another_host_than_github_has_no_colab(source, monkeypatch):
    values = ("owner/name", "https://git.example.org", COMMIT)
    for name, value in zip(GITHUB, values):
        monkeypatch.setenv(name, value)
    pages = build(source)
    assert list(ways(pages["steer"]))[0] == "Open in Binder"
    (link,) = pages["index"].select("a[title=Repository]")
    assert link["href"] == "https://git.example.org/owner/name"


@pytest.mark.browser
def test_the_button_copies_the_command_or_shows_it(source, chromium):
    build(source)
    page = source / "html" / "book" / "_executed" / "org" / "net" / "steer.html"
    clipboard = "Object.defineProperty(navigator, 'clipboard', {value: {writeText: %s}})"
    for closed in (False, True):
        chromium.get(page.as_uri())
        write = "async (words) => { window.copied = words; }"
        chromium.execute_script(clipboard % ("() => Promise.reject()" if closed else write))
        button = chromium.find_element("css selector", ".launch button")
        chromium.execute_script("arguments[0].click()", button)
        wait = WebDriverWait(chromium, 20)
        if closed:
            asked = wait.until(alert_is_present())
            assert asked.text == "Copy the papermill command"
            asked.dismiss()
        else:
            wait.until(lambda session: button.text == "Copied")
            assert chromium.execute_script("return window.copied") == COMMAND
            wait.until(lambda session: button.text == "Copy the papermill command")
