"""The page on what would turn a verdict: its sentences, and what it shows of a toy run."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from arbitration.files.folders import ROOT
from directives import minds
from reproduction.claims.predicted import Claim, Prediction, predicted_claims
from toy_book import build

FIRST = Prediction("a drop", "run", "drop", ("n",), unit="nats", above=0.1)
SECOND = Prediction("a share", "run", "share", ("n",), above=0.0, paper=0.6)
NOTHING = Prediction("a cost", "run", "cost", ("n", "m"), within=(-0.1, 0.1))
ANSWERS = Prediction("one answer", "run", "same", ("n",), several=True)


def claim(*tests):
    return Claim("toy", "A toy.", "§1", "0", (), tests)


def numbers(**given):
    """Of a notebook called run, with 64 and 32 samples: name → (value, low, high), or a word."""
    glued = {"n": 64.0, "m": 32.0}
    for name, one in given.items():
        glued |= (
            {f"{name}_verdict": one}
            if isinstance(one, str)
            else dict(zip((name, f"{name}_low", f"{name}_high"), one))
        )
    return {"run": glued}


def test_an_interval_that_contains_its_bound_is_turned_by_samples():
    """A quarter of the width, from 0.05 above the bound: four times 64 samples."""
    word, samples, [told] = minds.tell_claim(claim(FIRST), numbers(drop=(0.15, 0.05, 0.25)))
    assert (word, samples) == ("not seen", "*holds* from n ≈ 260 on")
    assert told == (
        "a drop: 0.150 [0.050, 0.250] nats, n = 64. It would hold if the whole interval lay above "
        "0.1 nats; as wide as it is, it would have to lie 0.050 nats higher. At this value it is "
        "*holds* from n ≈ 260 on."
    )


def test_an_interval_on_the_other_side_is_turned_by_no_number_of_samples():
    word, samples, [told] = minds.tell_claim(claim(FIRST), numbers(drop=(-0.2, -0.3, -0.1)))
    assert (word, samples) == ("contradicted", minds.STAYS)
    assert "it would have to lie 0.400 nats higher" in told
    assert told.endswith("At this value more samples leave it *contradicted*.")


def test_of_an_effect_with_a_number_of_the_papers_the_samples_to_see_it_are_told():
    """±0.3 shows 0.429 with a power of 0.8; ±0.6 shows 0.858, and 0.6 takes (0.858/0.6)² = 2.04
    times as many.
    """
    _, _, [told] = minds.tell_claim(claim(SECOND), numbers(share=(0.1, -0.2, 0.4)))
    assert "and the value reached 0.3, half of the paper's effect" in told
    assert told.endswith(
        "These samples would show an effect of the paper's size, 0.6, in four runs of five."
    )
    _, _, [told] = minds.tell_claim(claim(SECOND), numbers(share=(0.1, -0.5, 0.7)))
    assert told.endswith("in four runs of five takes n ≈ 140.")


def test_where_all_hold_the_nearest_test_is_shown_and_else_those_that_decide():
    given = numbers(drop=(0.5, 0.4, 0.6), cost=(0.0, -0.06, 0.06), share=(0.4, 0.1, 0.7))
    word, samples, [told] = minds.tell_claim(claim(FIRST, NOTHING), given)
    assert (word, samples) == ("holds", minds.STAYS)
    assert told.startswith("a cost") and "n = 64 / 32" in told, "0.04 of 0.12 against 0.3 of 0.2"
    assert "it no longer does once it lies 0.040 " in told
    given = numbers(drop=(0.5, 0.4, 0.6), cost=(0.3, 0.2, 0.4))
    assert [one.split(":")[0] for one in minds.tell_claim(claim(FIRST, NOTHING), given)[2]] == [
        "a cost"
    ]


def test_what_is_not_measured_or_a_word_on_several_numbers_says_so():
    assert minds.tell_claim(claim(FIRST), {}) == (
        "not measured",
        minds.UNMEASURED,
        ["a drop: has not been measured."],
    )
    nan = float("nan")
    _, _, [told] = minds.tell_claim(claim(FIRST), numbers(drop=(nan, nan, nan)))
    assert told.startswith("a drop: nothing to measure, as there is no such prompt")
    word, samples, [told] = minds.tell_claim(claim(ANSWERS), numbers(same="contradicted"))
    assert (word, samples) == ("contradicted", minds.SEVERAL)
    assert minds.tell_claim(claim(), {}) == ("not measured", minds.UNMEASURED, [])


def test_an_interval_without_width_asks_for_other_samples():
    word, samples, [told] = minds.tell_claim(claim(FIRST), numbers(drop=(1.0, 1.0, 1.0)))
    assert (word, samples) == ("not seen", minds.STAYS)
    assert told.endswith(
        "it has no width, as all these samples agree: others would have to be asked."
    )


def test_the_page_shows_the_models_of_the_claims_page():
    said = []
    for page, name in (("claims", "verdicts"), ("change_our_minds", "minds")):
        text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
        said.append(re.search(rf"```{{{name}}}\n(:models: .*\n)?```", text)[1])
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "number, rounded", [(256.1, 260), (12, 12), (7.2, 8), (1001, 1100), (100, 100)]
)
def test_numbers_of_samples_are_rounded_up(number, rounded):
    assert minds.round_up(number) == rounded


def test_the_page_has_a_box_for_every_claim_and_counts_every_verdict(tmp_path):
    """One number of one claim is there; what no notebook has is not measured."""
    test = predicted_claims()[0].predictions[3]
    values = dict(zip(test.keys, (0.02, -0.01, 0.05))) | dict.fromkeys(test.n, 64.0)
    cell = nbformat.v4.new_code_cell("")
    for key, value in values.items():
        data = {"application/papermill.record/text/plain": repr(value)}
        cell.outputs.append(
            nbformat.v4.new_output(
                "display_data", data=data, metadata={"scrapbook": {"name": key, "mime_prefix": ""}}
            )
        )
    folder = tmp_path / "_executed" / "toy"
    folder.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / f"{test.notebook}.ipynb")
    links = "\n".join(f"(verdict-{one.id})=\n## {one.id}\n" for one in predicted_claims())
    page = f"# Toy\n\n```{{minds}}\n:models: toy\n```\n\n{links}"
    (tmp_path / "index.md").write_text(page, encoding="utf-8")
    done = build(tmp_path, exclude_patterns="_executed", suppress_warnings="myst.header")
    assert done.returncode == 0, done.stderr
    html = BeautifulSoup((tmp_path / "html/index.html").read_text(), "html.parser")
    claims = predicted_claims()
    assert {f"minds-{one.id}" for one in claims} <= {box.get("id") for box in html.select(".claim")}
    counts = [int(row.select("td")[1].text) for row in html.select("table")[0].select("tbody tr")]
    assert sum(counts) == len(claims) and counts[-1] >= len(claims) - 1
    first = html.select_one(f"#minds-{claims[0].id}").get_text()
    assert "0.020 [−0.010, 0.050] nats, n = 64" in first
