"""The whole book as one PDF, printed by Chromium from the built pages.

    python -m press.pdf path/of/the.pdf    as `make pdf`

The book is printed twice: the first print tells on which page each of its pages begins, and the
second has these numbers in its table of contents.
"""

import argparse
import base64
import io
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pikepdf
import yaml
from pypdf import PdfReader
from selenium import webdriver

from arbitration import commands
from arbitration.files import atomic
from arbitration.files.folders import ROOT
from press.chromium import NoBrowser, open_chromium
from press.citation import read_citation
from press.onepage import Cover, read_parts, write_page

ONWARD = "the PDF that was there, if any, is as it was; run the same command again"
#: Width of the text on A4, in pixels of CSS: 210 mm less the margins of print.css.
WIDTH = 658
#: What a reader's PDF viewer is told: bookmarks and structure from the headings, sizes from CSS.
SETTINGS = {
    "preferCSSPageSize": True,
    "printBackground": True,
    "generateTaggedPDF": True,
    "generateDocumentOutline": True,
}
#: Wait until formulas are drawn and pictures are there, then make what is too wide as wide as the
#: text. A formula is one picture in the PDF's structure, described by its source, not a hundred
#: letters.
READY = """
const done = arguments[arguments.length - 1];
const shown = () => Promise.all([...document.images].map((one) => one.decode().catch(() => null)));
const describe = () => {
  for (const one of MathJax.startup.document.math) {
    one.typesetRoot.role = "img";
    one.typesetRoot.ariaLabel = one.math;
  }
};
const fit = () => {
  const whole = (one) => one.matches("mjx-container")
    ? one.firstElementChild.getBoundingClientRect().width : one.scrollWidth;
  const found = [...document.querySelectorAll("table, pre, mjx-container[display]")];
  const sizes = found.map((one) => [one, one.parentElement.clientWidth / whole(one)]);
  for (const [one, size] of sizes) if (size < 1) one.style.zoom = size;
  return document.documentElement.scrollWidth;
};
const fonts = () => document.fonts.ready;
MathJax.startup.promise.then(describe).then(shown).then(fonts).then(fit).then(done, done);
"""
NUMBER = """
for (const one of document.querySelectorAll("[data-page]")) {
  one.textContent = arguments[0][one.dataset.page] ?? "";
}
"""


def print_book(html: Path, contents: Path, cover: Cover) -> bytes:
    """Print the built book.

    Parameters
    ----------
    html : Path
        The folder of its pages.
    contents : Path
        Its ``_toc.yml``.

    Raises
    ------
    FileNotFoundError
        If a page is not built.
    NoBrowser
        If there is no Chromium.
    """
    text = write_page(html, read_parts(contents), cover)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "book.html"
        page.write_text(text, encoding="utf-8")
        with open_chromium(Path(folder) / "profile") as session:
            open_page(session, page)
            session.execute_script(NUMBER, find_pages(print_page(session)))
            return compress_pdf(print_page(session))


def open_page(session: webdriver.Chrome, page: Path) -> None:
    """Open a page as it will be printed, and wait until it is drawn."""
    size = {"width": WIDTH, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "light"}]}
    session.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    session.get(page.as_uri())
    session.execute_async_script(READY)


def print_page(session: webdriver.Chrome) -> bytes:
    """Print what is open."""
    return base64.b64decode(session.execute_cdp_cmd("Page.printToPDF", SETTINGS)["data"])


def compress_pdf(pdf: bytes) -> bytes:
    """The same with its structure compressed, which Chromium does not do: half the size."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as book:
        book.save(out, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return out.getvalue()


def find_pages(pdf: bytes) -> dict[str, int]:
    """The number of the page, from 1, on which each target of a link stands."""
    reader = PdfReader(io.BytesIO(pdf))
    places = reader.named_destinations.items()
    return {name.lstrip("/"): reader.get_destination_page_number(one) + 1 for name, one in places}


def describe_book(root: Path, day: str) -> Cover:
    """The title page of the book whose ``_config.yml`` lies in a folder."""
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    citation = read_citation()
    return Cover(
        title=settings["title"],
        author=settings["author"],
        rights=settings["copyright"],
        version=citation["version"],
        day=day,
        address=citation.get("url", "").rstrip("/"),
    )


def today() -> str:
    """The day, or that of ``SOURCE_DATE_EPOCH``, by which builds are repeated."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(given), UTC) if given else datetime.now(UTC)
    return moment.date().isoformat()


def main(arguments: list[str] | None = None) -> int:
    """Print the book of this project; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m press.pdf", description=__doc__)
    parser.add_argument("pdf", type=Path)
    target = parser.parse_args(arguments).pdf
    cover = describe_book(ROOT, today())
    try:
        printed = print_book(ROOT / "_build" / "html", ROOT / "_toc.yml", cover)
    except (FileNotFoundError, NoBrowser) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    atomic.write_whole(target, printed)
    print(f"{len(PdfReader(target).pages)} pages in {target} ({len(printed) / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(commands.status(main, ONWARD))
