"""The book, built from its records and opened in a browser that has no network."""

import fnmatch
import json
import re
import sys

import pandas as pd
import pytest
from bs4 import BeautifulSoup

import by_hand
from arbitration.files.folders import ROOT
from arbitration.models import catalogue
from browser_book import ODD, PRIVATE
from chromium import visit
from directives.base import SHAPES
from leaks import find_leaks
from press.planned import book_runs
from press.publish import listed
from reproduction.claims import predicted

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def visits(chromium, html):
    """What each of the book's pages did, by its name."""
    pages = sorted((html / "book").rglob("*.html"))
    named = re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text())
    named += [f"book/_executed/{model}/{notebook}" for model, notebook in book_runs(listed())]
    named += [f"book/_executed/{model}/index" for model in catalogue.EMBEDDED]
    made = {page.relative_to(html).as_posix() for page in pages}
    assert made >= {f"{name}.html" for name in named} and len(named) > 60
    return {page.relative_to(html).as_posix(): visit(chromium, page) for page in pages}


def test_the_visitor_notices_what_these_tests_forbid(chromium, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        '<script src="http://example.invalid/a.js"></script>'
        '<script>throw new Error("broken")</script>'
        '<span class="math">x^2</span><img src="none.png">'
    )
    seen = visit(chromium, page)
    assert seen.requests == ["http://example.invalid/a.js"]
    assert any("broken" in message for message in seen.errors)
    assert seen.formulas == [["x^2", False]]
    assert seen.pictures == [[(tmp_path / "none.png").as_uri(), "", False]]


def test_no_page_has_a_script_error_or_a_missing_file(visits):
    assert {page: seen.errors for page, seen in visits.items() if seen.errors} == {}


def test_no_request_leaves_the_machine(visits):
    assert {page: seen.requests for page, seen in visits.items() if seen.requests} == {}


def test_every_script_and_style_by_others_is_named_with_its_licence(html):
    table = (ROOT / "LICENSES.md").read_text(encoding="utf-8").partition("## In the built book")[2]
    named = re.findall(
        r"`([^` ]+)`", " ".join(line.partition(" | ")[0] for line in table.splitlines())
    )
    own = [path.name for path in (ROOT / "book" / "_static").iterdir()]
    patterns = [f"{name}*" if name.endswith("/") else name for name in [*named, *own, "explorer/"]]
    static = html / "_static"
    files = [one.relative_to(static).as_posix() for one in static.rglob("*") if one.is_file()]
    assert len(files) > 50
    assert [one for one in files if not any(fnmatch.fnmatch(one, name) for name in patterns)] == []


def test_every_formula_is_drawn(visits):
    assert sum(len(seen.formulas) for seen in visits.values()) >= 12, (
        "the paper's twelve equations, at least"
    )
    assert {
        page: formula
        for page, seen in visits.items()
        for formula in seen.formulas
        if not formula[1]
    } == {}


def test_every_picture_is_drawn_and_described(visits):
    assert sum(len(seen.pictures) for seen in visits.values()) >= 88, (
        "twenty-two figures on two models in two themes"
    )
    assert [
        page
        for page, seen in visits.items()
        if "_executed" in page and not page.endswith("/index.html") and not seen.pictures
    ] == [], "no figure shown"
    assert [
        (page, *picture)
        for page, seen in visits.items()
        for picture in seen.pictures
        if not all(picture)
    ] == []


def test_every_page_is_in_the_table_of_contents(html, visits):
    pages = {(html / page).as_uri() for page in visits}
    assert pages - set(visits["book/index.html"].contents) == set()


def test_a_readers_words_are_shown_and_never_run(html):
    """What these words would run, an error of the browser would tell (`visits`)."""
    shown = 0
    for path in (html / "book").rglob("*.html"):
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        shown += page.get_text().count("pwned")
        assert not page.select("[onerror], a[href^=javascript]"), path
        marked = page.find_all(["b", "i", "u", "script"], string=re.compile("pwned"))
        assert marked == [], path
    assert shown > 10


def test_a_readers_model_is_shown_by_its_name(html, visits):
    """On its tabs, above its columns, on its page, in the contents and in the explorer."""
    named = f"local/{ODD}"
    own = (html / "book" / "_executed" / named / "index.html").as_uri()
    assert all(own in seen.contents for seen in visits.values())
    pages = {}
    for name in (f"_executed/{named}/index", "claims", "sec3_anchors", "explorer"):
        text = (html / "book" / f"{name}.html").read_text(encoding="utf-8")
        pages[name] = BeautifulSoup(text, "html.parser")
    assert pages[f"_executed/{named}/index"].h1.get_text().startswith(named)
    heads = {cell.get_text() for cell in pages["claims"].select("th")}
    assert {named, f"{named} (rule 1)"} <= heads
    labels = {label.get("data-sync-id") for label in pages["sec3_anchors"].select("label")}
    assert named in labels
    shown = json.loads(pages["explorer"].select_one("#xp-root")["data-models"])
    assert [one["title"] for one in shown if one["name"] == named] == [named]
    for page in pages.values():
        text = page.get_text()
        assert text.count("épreuve") == text.count(ODD) > 0


def test_nothing_of_the_machine_is_in_the_book(html, tmp_path):
    source = html.parents[1]
    words = {*PRIVATE.values(), "canaryhome", str(ROOT), str(source), sys.prefix}
    for folder in (html, source / "book" / "_executed"):
        assert find_leaks(folder, sorted(words)) == []
    (tmp_path / "a").write_text("by canaryuser")
    rows = pd.DataFrame({"path": ["here", f"{ROOT}/data"]})
    rows.to_parquet(tmp_path / "b.parquet")
    assert [name for name, _ in find_leaks(tmp_path, sorted(words))] == ["a", "b.parquet"]


def test_the_front_page_leads_to_the_book(chromium, html):
    visit(chromium, html / "index.html")
    chromium.implicitly_wait(5)
    assert chromium.find_elements("css selector", "nav.bd-links, .bd-sidebar-primary")


def test_every_line_of_the_claims_page_says_what_the_tables_say(html):
    page = BeautifulSoup((html / "book" / "claims.html").read_text(encoding="utf-8"), "html.parser")
    measured = [
        by_hand.numbers(html.parents[1] / "book" / "_executed" / model)
        for model in catalogue.EMBEDDED
    ]
    read = 0
    for claim in predicted.predicted_claims():
        rows = page.select(f"#verdict-{claim.id} tbody tr")
        assert len(rows) == len(claim.predictions)
        for row, prediction in zip(rows, claim.predictions):
            what, _, *cells = (cell.get_text() for cell in row.select("td"))
            assert what.replace("’", "'") == prediction.what
            assert len(cells) == len(measured) + 1, "a reader's model has a column too"
            for cell, numbers in zip(cells, measured):
                if prediction.several:
                    said = cell.replace("\N{NO-BREAK SPACE}", " ").split(": ")[-1]
                    assert said in {f"{shape} {word}" for word, shape in SHAPES.items()}
                elif not cell.startswith(
                    "–"
                ):  # the share of a lead that is not there, a plateau where nothing is restored
                    assert float(cell.split(" [")[0].replace("−", "-")) == pytest.approx(
                        numbers[prediction.key], abs=0.000501
                    ), (claim.id, prediction.key)
                    read += 1
    assert read > 120
