"""The built book as one page of HTML for print: cover, contents, and every page of the table of
contents after the other.

It is put together from the pages of ``make html``. Sphinx's own single page would need a second
build of all of them, and has one space of names: where two pages have a heading in common, links
lead to the wrong one. Here each name gets its page's before it.
"""

import html as escapes
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import yaml
from bs4 import BeautifulSoup, SoupStrainer, Tag

#: What has no use on paper: navigation, buttons, the sister pictures of the dark theme, and where a
#: figure's numbers come from in full, which would be half of the book.
NAVIGATION = (
    "script, style, button, input, .headerlink, .only-dark, .toctree-wrapper, .onlyprint, "
    ".figure-sources, svg.sd-octicon"
)
#: Formulas are drawn once, without the menu, and without a second copy for a screen reader, which
#: would be in the way of a search in the PDF.
DRAWING = """<script>
window.MathJax = {options: {
  enableMenu: false, enableAssistiveMml: false, ignoreHtmlClass: "printed", processHtmlClass: "math"
}};
</script>"""
#: What only carries a colour or a kind: each would be an element of the PDF's structure.
BARE = "pre span, code span, span.std"
#: Attributes by which elements name others, for programs that read a screen aloud.
NAMING = ("aria-labelledby", "aria-describedby", "aria-controls", "for", "data-sync-id")


@dataclass(frozen=True)
class Chapters:
    """Pages under one caption, by their paths without ending from the folder of the book."""

    caption: str
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Cover:
    """What the title page says.

    Attributes
    ----------
    address : str
        Where the book can be read in a browser, without a slash at its end; empty if nowhere.
    """

    title: str
    author: str
    rights: str
    version: str
    day: str
    address: str = ""


def read_parts(contents: Path) -> list[Chapters]:
    """The parts of ``_toc.yml``; what it takes by a pattern, the executed notebooks, is left out:
    they show the same figures again, between the code that drew them.
    """
    known = yaml.safe_load(contents.read_text(encoding="utf-8"))
    parts = [Chapters("", (known["root"],))]
    for part in known["parts"]:
        pages = tuple(one["file"] for one in part["chapters"] if "file" in one)
        parts += [Chapters(part["caption"], pages)] if pages else []
    return parts


def name_page(page: str) -> str:
    """What the names on a page begin with."""
    return page.rpartition("/")[2]


def write_page(html: Path, parts: list[Chapters], cover: Cover) -> str:
    """The whole book as one page. In its contents the number of each page is an empty element, with
    the name of the page (`name_page`) as ``data-page``.

    Parameters
    ----------
    html : Path
        The folder of the built book.

    Raises
    ------
    FileNotFoundError
        If a page is not built.
    """
    pages = [page for part in parts for page in part.pages]
    found = {page: read_page(html, page, pages, cover.address) for page in pages}
    _mend_links(found)
    titles = {page: one.find(["h1", "h2"]).get_text().strip() for page, one in found.items()}
    for part in parts:
        if part.caption:
            heading = f'<h1 class="part">{escapes.escape(part.caption)}</h1>'
            found[part.pages[0]].insert(0, BeautifulSoup(heading, "html.parser"))
    body = [write_cover(cover), write_contents(parts, titles), *map(str, found.values())]
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en" data-theme="light" data-mode="light"><head>',
            f'<meta charset="utf-8"><title>{escapes.escape(cover.title)}</title>',
            *_styles(html, pages[0]),
            f"<style>{_write_heads(titles)}</style>",
            DRAWING,
            f'<script src="{(html / "_static/mathjax/tex-chtml.js").as_uri()}"></script>',
            '</head><body class="printed">',
            *body,
            "</body></html>",
        ]
    )


def _write_heads(titles: dict[str, str]) -> str:
    """The style by which each page's title stands at the head of its sheets."""
    lines = []
    for page, title in titles.items():
        name, words = name_page(page), title.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'@page {name} {{ @top-right {{ content: "{words}"; }} }}')
        lines.append(f"#{name} {{ page: {name}; }}")
    return "\n".join(lines)


def _styles(html: Path, page: str) -> Iterator[str]:
    """The styles of the built book, and after them those of print."""
    soup = _parse(html / f"{page}.html", SoupStrainer("link", rel="stylesheet"))
    for link in soup.select("link"):
        path = (html / page).parent / link["href"].partition("?")[0]
        yield f'<link rel="stylesheet" href="{path.resolve().as_uri()}">'
    yield f'<link rel="stylesheet" href="{(html / "_static/print.css").resolve().as_uri()}">'


def _parse(path: Path, only: SoupStrainer) -> BeautifulSoup:
    if not path.is_file():
        why = f"{path} is not there: build the book first, make book"
        raise FileNotFoundError(why)
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser", parse_only=only)


def write_cover(cover: Cover) -> str:
    """The title page."""
    lines = [cover.author, f"Version {cover.version}, {cover.day}", cover.address, cover.rights]
    told = "".join(f"<p>{escapes.escape(line)}</p>" for line in lines if line)
    return f'<div class="cover"><div class="title">{escapes.escape(cover.title)}</div>{told}</div>'


def write_contents(parts: list[Chapters], titles: dict[str, str]) -> str:
    """The table of contents, and what this book has beside it."""
    lines = ['<div class="contents"><h1>Contents</h1>']
    for part in parts:
        lines.append(f'<p class="caption">{escapes.escape(part.caption)}</p><ul>')
        for page in part.pages:
            name = name_page(page)
            lines.append(
                f'<li><a href="#{name}"><span>{escapes.escape(titles[page])}</span>'
                f'<span class="dots"></span><span data-page="{name}"></span></a></li>'
            )
        lines.append("</ul>")
    told = (
        "The executed notebooks, from which every number and figure of this book comes, are not "
        "printed here: they show the same figures, between their code. They are part of the book "
        "that <code>make book</code> builds, with what each figure was made with and its data."
    )
    return "\n".join([*lines, f"<p>{told}</p></div>"])


def read_page(html: Path, page: str, pages: list[str], address: str) -> Tag:
    """One page, made ready for paper: tabs one after the other, folds open, links of this print."""
    soup = _parse(html / f"{page}.html", SoupStrainer("article"))
    article = soup.select_one("article.bd-article")
    name = name_page(page)
    if article.select_one("#xp-root"):
        _tell_interactive(soup, article, f"{address}/{page}.html" if address else "")
    for one in article.select(NAVIGATION):
        one.decompose()
    for one in article.select(BARE):
        one.unwrap()
    for fold in article.select("details"):
        _open_fold(fold)
    for label in article.select("label.sd-tab-label"):
        label.name = "p"
        label["class"] = ["tab-title"]
    for picture in article.select("img"):
        picture["src"] = ((html / page).parent / unquote(picture["src"])).resolve().as_uri()
        picture.attrs.pop("loading", None)
    for one in article.find_all(True):
        for naming in NAMING:
            one.attrs.pop(naming, None)
        if "id" in one.attrs:
            one["id"] = f"{name}.{one['id']}"
    for number in range(5, 0, -1):  # below the headings of parts
        for one in article.find_all(f"h{number}"):
            one.name = f"h{number + 1}"
    for link in article.select("a[href]"):
        _lead(link, page, pages, address)
    article.name, article.attrs = "section", {"id": name, "class": ["page"]}
    return article


def _tell_interactive(soup: BeautifulSoup, article: Tag, address: str) -> None:
    """Of a page that works in a browser alone, its title and where it is."""
    title = article.h1.extract()
    where = "in the book that <code>make book</code> builds"
    if address:
        where = f'at <a href="{escapes.escape(address)}">{escapes.escape(address)}</a>'
    article.clear()
    article.append(title)
    told = "This page is interactive: every curve, head and sample can be looked through"
    article.append(BeautifulSoup(f"<p>{told} {where}.</p>", "html.parser").p)


def _open_fold(fold: Tag) -> None:
    fold.name = "div"
    fold.attrs.pop("open", None)
    if title := fold.find("summary", recursive=False):
        title.name, title["class"] = "p", ["fold-title"]


def _lead(link: Tag, page: str, pages: list[str], address: str) -> None:
    """Let a link lead to its place in this print; to the book's address, if that has what is not
    printed; or let only its words stand.
    """
    target, _, place = link["href"].partition("#")
    if ":" in target.partition("/")[0]:
        return
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target)) if target else page
    there = path.removesuffix(".html")
    if there in pages:
        link["href"] = f"#{name_page(there)}" + (f".{place}" if place else "")
    elif address:
        link["href"] = f"{address}/{path}" + (f"#{place}" if place else "")
    else:
        link.name = "span"
        link.attrs = {"class": link.get("class", [])}


def _mend_links(found: dict[str, Tag]) -> None:
    """Let links to what has been left out lead to the beginning of its page."""
    names = {one["id"] for page in found.values() for one in page.select("[id]")}
    names |= {page["id"] for page in found.values()}
    for page in found.values():
        for link in page.select('a[href^="#"]'):
            if link["href"][1:] not in names:
                link["href"] = link["href"].partition(".")[0]
