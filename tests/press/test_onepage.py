"""The pages of the book, put together for print."""

import pytest
from bs4 import BeautifulSoup

from press import onepage
from press.onepage import Chapters, Cover

COVER = Cover("A & B", "somebody", "CC BY 4.0", "0.1.0", "2027-01-31")
PARTS = [Chapters("", ("book/index",)), Chapters("The rest", ("book/a", "book/explorer"))]
PAGES = {
    "index": """<h1>Start<a class="headerlink" href="#start">#</a></h1>
<section id="same"><h2>Same</h2><a class="to-same" href="#same">same</a>
<a class="to-a" href="a.html#same">same of a</a><a class="to-lost" href="explorer.html#inner">x</a>
<a class="to-run" href="_executed/smol/sec.html#cell">run</a><a href="https://a.example">out</a>
<a class="to-data" href="../_downloads/1/fig.csv">data</a></section>
<img class="only-light" src="../_images/f%20light.svg" loading="lazy">
<img class="only-dark" src="d.svg">
""",
    "a": """<h1>A</h1><section id="same"><h2>Same</h2></section>
<div class="sd-tab-set"><input id="t1"><label class="sd-tab-label" for="t1">smol</label>
<div class="sd-tab-content">one</div>
<input id="t2"><label class="sd-tab-label" for="t2">other</label>
<div class="sd-tab-content">two</div></div>
<details class="fold"><summary>Tests</summary>inside</details>""",
    "explorer": """<h1>Explorer</h1><div id="xp-root"></div><section id="inner">keys</section>""",
}


@pytest.fixture
def html(tmp_path):
    (tmp_path / "book").mkdir()
    for name, body in PAGES.items():
        page = (
            '<link rel="stylesheet" href="../_static/book.css?v=1"><nav>navigation</nav>'
            f'<article class="bd-article">{body}</article>'
        )
        (tmp_path / "book" / f"{name}.html").write_text(page, encoding="utf-8")
    return tmp_path


def write(html, cover=COVER):
    return BeautifulSoup(onepage.write_page(html, PARTS, cover), "html.parser")


def test_each_name_gets_its_pages_and_links_follow(html):
    page = write(html)
    ids = [one["id"] for one in page.select("[id]")]
    assert len(ids) == len(set(ids)) and {"index.same", "a.same", "explorer"} <= set(ids)
    leads = {one["class"][0]: one["href"] for one in page.select("section a[class]")}
    assert leads == {"to-same": "#index.same", "to-a": "#a.same", "to-lost": "#explorer"}
    assert page.find("a", string="out")["href"] == "https://a.example"


def test_what_is_not_printed_is_linked_where_the_book_has_an_address(html):
    page = write(html)
    assert [page.find(class_=one).name for one in ("to-run", "to-data")] == ["span", "span"]
    assert "that make book builds" in page.select_one("#explorer").get_text()
    there = Cover(**vars(COVER) | {"address": "https://b.example/x"})
    page = write(html, there)
    assert (
        page.find(class_="to-run")["href"]
        == "https://b.example/x/book/_executed/smol/sec.html#cell"
    )
    assert page.find(class_="to-data")["href"] == "https://b.example/x/_downloads/1/fig.csv"
    assert page.select_one("#explorer a")["href"] == "https://b.example/x/book/explorer.html"
    assert "keys" not in page.select_one("#explorer").get_text()


def test_tabs_and_folds_are_open_and_navigation_is_left_out(html):
    page = write(html)
    assert not page.select("nav, input, label, details, summary, .headerlink, .only-dark")
    assert [one.get_text() for one in page.select(".tab-title, .fold-title")] == [
        "smol",
        "other",
        "Tests",
    ]
    (picture,) = page.select("img")
    assert (
        picture["src"] == (html / "_images" / "f light.svg").as_uri()
        and "loading" not in picture.attrs
    )
    styles = [one["href"].rpartition("/")[2] for one in page.select("link")]
    assert styles == ["book.css", "print.css"]


def test_cover_and_contents_name_everything(html):
    page = write(html)
    assert page.title.get_text() == "A & B"
    cover = page.select_one(".cover").get_text()
    assert all(one in cover for one in ("A & B", "somebody", "0.1.0", "2027-01-31", "CC BY 4.0"))
    lines = [one.get_text() for one in page.select(".contents li")]
    assert lines == ["Start", "A", "Explorer"]
    numbered = [one["data-page"] for one in page.select(".contents li [data-page]")]
    assert numbered == ["index", "a", "explorer"]
    assert [one.get_text() for one in page.select("h1.part")] == ["The rest"]
    assert [one.get_text() for one in page.select("section.page > h2")] == [
        "Start",
        "A",
        "Explorer",
    ]


def test_a_page_that_is_not_built_is_named(html):
    (html / "book" / "a.html").unlink()
    with pytest.raises(FileNotFoundError, match="a.html is not there: build the book first"):
        write(html)


def test_the_executed_notebooks_are_no_part(tmp_path):
    (tmp_path / "_toc.yml").write_text(
        "root: book/index\nparts:\n- caption: One\n  chapters: [{file: book/a}]\n"
        "- caption: Runs\n  chapters: [{glob: book/_executed/**/index}]\n",
        encoding="utf-8",
    )
    assert onepage.read_parts(tmp_path / "_toc.yml") == [
        Chapters("", ("book/index",)),
        Chapters("One", ("book/a",)),
    ]
