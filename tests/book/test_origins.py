"""Every page says whether its numbers were recorded or measured here."""

import re

import pytest

from arbitration.files.folders import ROOT
from directives.origins import gather_origins, tell_records, write_records
from reproduction.results.attest import Attestation, Fault, list_attestations, tell_origins
from toy_book import build

TAKEN = Attestation(
    "smol",
    "knockout",
    taken=frozenset(f"s{i}" for i in range(256)),
    checked=frozenset(["s1", "s2", "s3", "s4"]),
    recorded=frozenset(["2026-11-29"]),
    code=frozenset(["abc123"]),
    largest=3e-6,
)
HERE = Attestation("smol", "answers", here=frozenset(["s1", "s2"]))
FALSE = Attestation(
    "smol",
    "beliefs",
    here=frozenset(["s1"]),
    checked=frozenset(["s1"]),
    faults=(Fault("s1-text", "phi_f", 1.0, 2.0),),
)


def test_the_words_are_those_of_what_was_done():
    table = list_attestations([TAKEN, HERE, FALSE, HERE]).set_index("table")
    assert table.loc["knockout", "origin"] == (
        "recorded on 2026-11-29, code abc123; 4 of 256 prompts measured again here, largest "
        "difference 3e-6"
    )
    assert table.loc["answers", "origin"] == "measured here, 2 prompts"
    assert table.loc["beliefs", "origin"] == (
        "measured here: the record disagrees (s1-text, phi_f: recorded 1.0, here 2.0)"
    )
    assert tell_origins(table.reset_index()) == (
        "recorded on 2026-11-29, code abc123; 4 of 256 prompts measured again here, largest "
        "difference 3e-6; 3 more measured here; the record of beliefs disagrees"
    )
    assert tell_origins(list_attestations([HERE])) == "measured here, 2 prompts in 1 table"


@pytest.fixture
def executed(tmp_path):
    for notebook, some in (("sec3_knockout", [TAKEN, FALSE]), ("sec2_dataset", [HERE])):
        path = tmp_path / "_executed" / "smol" / "tables" / f"{notebook}_origins.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        list_attestations(some).to_parquet(path)
    return tmp_path / "_executed"


def test_all_tables_of_the_book_stand_in_one(executed):
    origins = gather_origins(executed)
    lines = write_records(origins)
    assert len(lines) == 2 + 3 and lines[2].startswith("| smol | sec2_dataset | answers | measured")
    assert tell_records(origins) == (
        "In this build 1 of 3 tables are recorded; 4 of their 256 prompts were measured again "
        "here, with a largest difference of 3e-6; 3 prompts were measured here alone; 1 record "
        "disagrees and was left aside."
    )
    here = gather_origins(executed).query("notebook == 'sec2_dataset'")
    assert tell_records(here) == (
        "In this build everything was measured here: 2 prompts of 1 table."
    )
    assert len(gather_origins(executed / "nothing")) == 0


def test_a_page_whose_notebooks_do_not_say_breaks_the_build(tmp_path, executed):
    (tmp_path / "index.md").write_text("# Toy\n\n```{records}\n```\n")
    done = build(tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html/index.html").read_text(encoding="utf-8").count("<tr") == 4
    (tmp_path / "index.md").write_text("# Toy\n\n```{origins} steer\n```\n")
    done = build(tmp_path)
    assert done.returncode != 0 and "no run of steer says where its rows come from" in done.stderr


def figures_of():
    """The notebook that publishes each figure."""
    found = {}
    for path in (ROOT / "notebooks").glob("*.py"):
        for name in re.findall(r'"(fig\w+)"', path.read_text(encoding="utf-8")):
            found[name] = path.stem
    return found


@pytest.mark.parametrize("page", sorted((ROOT / "book").glob("*.md")), ids=lambda path: path.stem)
def test_every_page_that_shows_a_notebook_says_where_its_rows_come_from(page):
    text, figures = page.read_text(encoding="utf-8"), figures_of()
    shown = set(re.findall(r"_executed/[^/`]*/(\w+)\.ipynb", text))
    shown |= {figures[name] for name in re.findall(r"```\{measured\} (\w+)", text)}
    said = re.search(r"```\{origins\} ([\w, ]+)", text)
    assert shown <= set(re.findall(r"\w+", said[1]) if said else [])
