"""What a reader sees of the book, on a screen and on a phone: nothing is cut off, and no rule of
WCAG 2.1 AA that a machine can check is broken.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import axe_core_python
import pytest
from selenium.webdriver.support.ui import WebDriverWait

from arbitration.models import catalogue

pytestmark = pytest.mark.browser

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
#: Width in pixels, and theme: each width and each theme once.
VIEWS = ((1400, "light"), (390, "dark"))
MEGABYTE = 1_000_000
#: The pictures of the theme and of the chosen tabs: the others are fetched when they are shown.
SHOWN = "return [...document.images].filter(one => one.offsetParent).map(one => one.src)"
DRAWN = """
const done = arguments[arguments.length - 1];
const drawn = window.MathJax && MathJax.startup ? MathJax.startup.promise : Promise.resolve();
drawn.then(done, done);
"""
#: What lies right of the page, or left of the start of the box that it scrolls in: no reader gets
#: there.
CUT = """
const HIDDEN = "mjx-assistive-mml, .visually-hidden, .bd-sidebar-secondary";  // a drawer on phones
const width = document.documentElement.clientWidth, found = [];
const clips = (one) => getComputedStyle(one).overflowX !== "visible";
const scrolls = (one) => ["auto", "scroll"].includes(getComputedStyle(one).overflowX);
for (const one of document.querySelectorAll("main *")) {
  const place = one.getBoundingClientRect();
  if (!place.width || !place.height || one.closest(HIDDEN)) continue;
  let box = one.parentElement;
  while (box !== document.body && !clips(box)) box = box.parentElement;
  const outer = box === document.body ? {left: 0, right: width} : box.getBoundingClientRect();
  const left = place.left + (scrolls(box) ? box.scrollLeft : 0);
  const cut = left < outer.left - 2 || (!scrolls(box) && place.right > outer.right + 2);
  if (cut) found.push(`${one.tagName}.${one.className}: ${one.textContent.trim().slice(0, 60)}`);
}
if (document.documentElement.scrollWidth > width + 1) found.push("the page scrolls sideways");
return found;
"""
STILL = """
const style = document.createElement("style");
style.textContent = "* { transition: none !important; animation: none !important; }";
document.head.append(style);
"""
#: MathJax's own elements are many, and its formulas are described by the theme's.
RULES = """
const done = arguments[arguments.length - 1];
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
axe.run({exclude: [["mjx-container"]]}, {runOnly: tags, resultTypes: ["violations"]}).then(
  (found) => done(found.violations.map(
    (one) => `${one.id}: ${one.nodes.length} times, such as ${one.nodes[0].html.slice(0, 160)}`
  )),
  (error) => done([String(error)])
);
"""


@dataclass(frozen=True)
class Seen:
    """A page in one view."""

    cut: list[str]
    broken: list[str]
    weight: int  # bytes of the page and of the pictures that it shows


def open_page(session, page, width, theme):
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    session.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    session.get(page.as_uri())
    WebDriverWait(session, 60).until(lambda one: one.current_url.startswith("file:"))
    session.execute_async_script(DRAWN)


def restore(session):
    session.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    session.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def find_violations(session):
    # A colour on its way from one to the other is neither.
    session.execute_script(STILL)
    session.execute_script(AXE)
    return session.execute_async_script(RULES)


@pytest.fixture(scope="module")
def seen(chromium, html):
    """Each page in each view. Of the notebooks those of one model, whose pages are like the
    others'.
    """
    pages = sorted((html / "book").glob("*.html"))
    pages += sorted((html / "book" / "_executed" / catalogue.EMBEDDED[0]).glob("*.html"))
    assert len(pages) > 40
    found = {}
    for page in pages:
        for width, theme in VIEWS:
            open_page(chromium, page, width, theme)
            place = f"{page.stem} at {width}, {theme}"
            pictures = [
                Path(url2pathname(urlparse(one).path)) for one in chromium.execute_script(SHOWN)
            ]
            weight = sum(path.stat().st_size for path in (page, *set(pictures)))
            found[place] = Seen(chromium.execute_script(CUT), find_violations(chromium), weight)
    restore(chromium)
    return found


def test_nothing_is_cut_off(seen):
    assert {place: one.cut for place, one in seen.items() if one.cut} == {}


def test_no_rule_of_accessibility_is_broken(seen):
    assert {place: one.broken for place, one in seen.items() if one.broken} == {}


def test_what_is_cut_off_or_cannot_be_read_is_noticed(chromium, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        '<html lang="en"><title>Bad</title><main><h1>Bad</h1>'
        '<p style="color: #ccc; background: #fff">pale</p><p style="width: 600px">wide</p>'
        '<div tabindex="0" style="overflow-x: auto; display: flex; width: 200px; '
        'justify-content: center">'
        '<span style="flex: none; width: 300px">its left end</span></div></main></html>'
    )
    open_page(chromium, page, 390, "light")
    cut = chromium.execute_script(CUT)
    restore(chromium)
    assert [one.split(": ")[-1] for one in cut] == [
        "wide",
        "its left end",
        "the page scrolls sideways",
    ]
    assert [one.split(":")[0] for one in find_violations(chromium)] == ["color-contrast"]


def test_a_link_opens_the_fold_around_its_target(chromium, html):
    page = html / "book" / "sec3_anchors.html"
    chromium.get(page.as_uri() + "#tests-relay")
    WebDriverWait(chromium, 20).until(
        lambda one: one.execute_script(
            "return document.getElementById('tests-relay').closest('details').open"
        )
    )


def test_a_chosen_model_is_kept_over_the_tabs_of_a_page_and_of_the_next(chromium, html):
    shown = (
        "return [...document.querySelectorAll('.models')].map("
        "one => one.querySelector(':scope > input:checked + label').dataset.syncId)"
    )
    chromium.get((html / "book" / "sec3_anchors.html").as_uri())
    other = catalogue.TRAINED[1]
    chromium.execute_script(
        f"document.querySelector('.models > label[data-sync-id={other}]').click()"
    )
    models = chromium.execute_script(shown)
    assert set(models) == {other} and len(models) > 10
    chromium.get((html / "book" / "sec4_arbitration.html").as_uri())
    assert set(chromium.execute_script(shown)) == {other}


def test_no_page_weighs_more_than_a_megabyte_and_a_half(seen):
    """Without the styles and scripts that all pages share; the explorer has all curves."""
    weights = {place: one.weight / MEGABYTE for place, one in seen.items()}
    heavy = {place: round(one, 2) for place, one in weights.items() if one > 1.5}
    assert {place: one for place, one in heavy.items() if not place.startswith("explorer")} == {}
