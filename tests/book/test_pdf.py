"""The book as one PDF: every page is in it, with what a printed book has."""

import re
import unicodedata

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from arbitration.files.folders import ROOT
from press.onepage import name_page, read_parts
from press.pdf import describe_book, print_book

pytestmark = pytest.mark.browser

MEGABYTE = 1_000_000
#: What MathJax leaves where it draws nothing, and commands of LaTeX.
RAW = re.compile(r"\\\(|\\\[|\$\$|\\(frac|text|mathrm|sum|log|left|begin|operatorname)\b")


@pytest.fixture(scope="module")
def printed(html, tmp_path_factory):
    path = tmp_path_factory.mktemp("pdf") / "book.pdf"
    path.write_bytes(print_book(html, ROOT / "_toc.yml", describe_book(ROOT, "2027-01-31")))
    return path


@pytest.fixture(scope="module")
def reader(printed):
    return PdfReader(printed)


@pytest.fixture(scope="module")
def texts(reader):
    # Of fonts that have ligatures, such as fi, each is a letter of its own.
    found = (unicodedata.normalize("NFKC", page.extract_text()) for page in reader.pages)
    return [" ".join(text.split()) for text in found]


def list_pages():
    return [page for part in read_parts(ROOT / "_toc.yml") for page in part.pages]


def squeeze(words):
    """Without blanks, of which a PDF has its own idea."""
    return "".join(unicodedata.normalize("NFKC", words).split())


def test_it_has_a_cover_and_is_as_long_and_as_large_as_a_book(printed, reader, texts):
    assert 60 < len(reader.pages) < 400
    assert printed.stat().st_size < 20 * MEGABYTE
    for words in ("Instruction Anchors", "Version 0.1.0", "2027-01-31", "CC BY 4.0"):
        assert squeeze(words) in squeeze(texts[0])
    assert {page.mediabox.height > page.mediabox.width for page in reader.pages} == {True}
    assert [number for number, text in enumerate(texts, 1) if len(text) < 40] == []


def test_every_page_of_the_book_is_there_under_its_number_in_the_contents(html, reader, texts):
    places = {
        name.lstrip("/"): reader.get_destination_page_number(place)
        for name, place in reader.named_destinations.items()
    }
    contents = " ".join(texts[1:4])
    for page in list_pages():
        soup = BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
        heading = soup.select_one("article h1")
        heading.select_one(".headerlink").decompose()
        title, place = squeeze(heading.get_text()), places[name_page(page)]
        assert title in squeeze(texts[place])
        spaced = r"\s*".join(map(re.escape, title))
        assert re.search(rf"{spaced}\s*{place + 1}\b", contents), page


def test_every_page_but_the_cover_bears_its_number(texts):
    assert not texts[0].endswith(" 1")
    lost = [
        number
        for number, text in enumerate(texts[1:], 2)
        if not re.search(rf"(?<!\d){number}(?!\d)", text)
    ]
    assert lost == []


def test_no_formula_is_raw_and_no_fold_or_tab_is_closed(texts):
    raw = [number for number, text in enumerate(texts, 1) if RAW.search(text)]
    assert raw == []
    whole = squeeze("".join(texts))
    assert whole.count(squeeze("smol-relay (planted)")) > 20
    assert squeeze("This page is interactive") in whole


def test_links_lead_to_places_that_are_there_or_to_other_sites(reader):
    inside, outside = [], []
    for page in reader.pages:
        for one in page.get("/Annots", ()):
            link = one.get_object()
            if link["/Subtype"] == "/Link":
                action = link.get("/A", {})
                inside += [link["/Dest"]] if "/Dest" in link else []
                outside += [action["/URI"]] if "/URI" in action else []
    names = set(reader.named_destinations)
    assert len(inside) > 300
    assert [one for one in inside if isinstance(one, str) and one not in names] == []
    assert outside and {one.partition(":")[0] for one in outside} <= {"http", "https"}


def test_the_headings_are_bookmarks(reader):
    def titles(outline):
        for one in outline:
            yield from titles(one) if isinstance(one, list) else [one.title]

    assert {"The paper, measured again", "Reference"} <= set(titles(reader.outline))
