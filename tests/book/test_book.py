"""The book, built from a tiny run and opened in a browser that has no network."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup

import by_hand
from arbitration import dataset
from arbitration.files import folders
from arbitration.files.folders import ROOT
from arbitration.models import embedded
from chromium import browser, visit
from leaks import find_leaks
from press.planned import book_runs
from press.publish import listed
from reproduction.claims import predicted, rules

pytestmark = pytest.mark.browser


#: Parameters, beside two samples, of the notebooks that would otherwise take minutes.
SMALLEST = {
    "sec4_sensitivity": {"singles": 1, "draws": 2, "shares": [0.05], "factors": [2.0], "tries": 8},
    "controls": {"n_weights": 1, "stride": 15},
}


#: What a process may know of its machine and its owner, and a page may not.
PRIVATE = {
    "HF_TOKEN": "hf_canarytoken",
    "OPENAI_API_KEY": "canarykey",
    "USER": "canaryuser",
    "LOGNAME": "canaryuser",
    "ANYTHING": "canaryvalue",
}


#: Words of a reader's own set that would be a page's if they were not drawn as they are.
HOSTILE = (
    """<script>throw new Error("pwned")</script> "><img src=x onerror="throw Error('pwned')"> """
    "[pwned](javascript:alert(1)) {{ pwned }} ``` <!-- $$ \\frac{a &lt; &copy; | # pwned"
)


def write_hostile(folder):
    """A set of the shipped pictures with hostile words in all that a reader can write."""
    folder.mkdir()
    scenes = dataset.load("scenes", "held")[:8]
    lines = []
    for number, scene in enumerate(scenes):
        shutil.copy(scene.image, folder / f"{number}.png")
        record = {
            "image": f"{number}.png",
            "question": f"What is this {HOSTILE}?",
            "context": f"It is a {scene.answer_text} {HOSTILE}",
            "answer_vision": f"{scene.answer_vision} <i>pwned</i>",
            "answer_text": f"{scene.answer_text} <i>pwned</i>",
            "task": "<u>pwned</u>",
        }
        lines.append(json.dumps(record))
    (folder / "samples.jsonl").write_text("\n".join(lines))
    return folder


def measure(source, *options, **given):
    """Run notebooks on two samples, and return what was printed."""
    home = source.parent / "canaryhome"
    home.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        **PRIVATE,
        "HOME": str(home),
        "ARBITRATION_CACHE": str(folders.cache()),
    }
    parameters = [
        word for name, value in {"n": 2, **given}.items() for word in ("-p", name, str(value))
    ]
    command = [
        sys.executable,
        ROOT / "notebooks" / "run.py",
        *options,
        *parameters,
        "--into",
        source / "book" / "_executed",
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as session:
        yield session


@pytest.fixture(scope="module")
def html(chromium, tmp_path_factory):
    """The folder of the book's pages, measured on very few samples, away from the reader's own
    book.
    """
    source = tmp_path_factory.mktemp("tiny")
    shutil.copytree(
        ROOT / "book", source / "book", ignore=shutil.ignore_patterns("_executed", "__pycache__")
    )
    shutil.copytree(ROOT / "data" / "benchmarks", source / "data" / "benchmarks")
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, source)
    hostile = {"data": write_hostile(source.parent / "hostile"), "only_following": False}
    own = {**SMALLEST, "sec2_dataset": {}}
    own["steer"] = {**hostile, "draws": 2, "instruction": HOSTILE}
    for name, given in own.items():
        measure(source, f"--notebook={name}", **given)
    # The pages quote of the first model what only the shipped set has.
    other = f"--model={embedded.TRAINED[1]}"
    measure(source, "--notebook=sec2_dataset", other, data=hostile["data"])
    others = [name for name in listed() if name not in own]
    options = [f"--notebook={name}" for name in others]
    measure(source, *options)
    assert measure(source, *options).count("unchanged") == len(book_runs(others)), (
        "runs repeat themselves although nothing changed"
    )
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        source,
        "--all",
        "-W",
        "-n",
        "--keep-going",
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return source / "_build" / "html"


@pytest.fixture(scope="module")
def visits(chromium, html):
    """What each of the book's pages did, by its name."""
    pages = sorted((html / "book").rglob("*.html"))
    listed = {
        f"{name}.html"
        for name in re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text())
    }
    assert {page.relative_to(html).as_posix() for page in pages} >= listed and len(listed) > 35
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
        page for page, seen in visits.items() if "_executed" in page and not seen.pictures
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
        by_hand.numbers(html.parents[1] / "book" / "_executed" / model) for model in embedded.NAMES
    ]
    read = 0
    for claim in predicted.predicted_claims():
        rows = page.select(f"#verdict-{claim.id} tbody tr")
        assert len(rows) == len(claim.predictions)
        for row, prediction in zip(rows, claim.predictions):
            what, _, *cells = (cell.get_text() for cell in row.select("td"))
            assert what.replace("’", "'") == prediction.what
            for cell, numbers in zip(cells, measured, strict=True):
                if prediction.several:
                    assert cell.split(": ")[-1] in rules.VERDICTS
                elif not cell.startswith(
                    "–"
                ):  # the share of a lead that is not there, a plateau where nothing is restored
                    assert float(cell.split(" [")[0]) == pytest.approx(
                        numbers[prediction.key], abs=0.000501
                    ), (claim.id, prediction.key)
                    read += 1
    assert read > 120
