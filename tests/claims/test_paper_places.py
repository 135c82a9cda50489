"""Nothing of the paper is without its place: every figure, equation, section and claim, walked one
by one.

``data/paper_places.json`` says where each one's counterpart stands; what it names must be there.
"""

import json
import re

import pytest

from arbitration.files import folders
from reproduction.claims import reported

BOOK = folders.ROOT / "book"
PLACES = json.loads((folders.DATA / "paper_places.json").read_text(encoding="utf-8"))["places"]
FIGURES = [
    "1",
    "2",
    "3",
    "4a",
    "4b",
    "5a",
    "5b",
    "6a",
    "6b",
    "7",
    "8",
    "9 left",
    "9 right",
    "10a",
    "10b",
    "11a",
    "11b",
    "12a",
    "12b",
    "12c",
    "13a",
    "13b",
    "14 left",
    "14 right",
]
LACKING = [place for place in PLACES if place["page"] is None]


def of_kind(kind):
    return [place for place in PLACES if place["kind"] == kind]


def page(name):
    return (BOOK / f"{name}.md").read_text(encoding="utf-8")


def directives(text, name):
    """(argument, options) of every use of a directive on a page."""
    found = re.findall(rf"^```\{{{name}\}} ?([^\n]*)\n(.*?)^```", text, re.M | re.S)
    return [
        (argument.strip(), dict(re.findall(r"^:(\w+): (.*)$", body, re.M)))
        for argument, body in found
    ]


def stands(place):
    """Whether a page really has what the list says it has."""
    text, anchor = page(place["page"]), place["anchor"]
    if place["kind"] == "equation":
        return f"({anchor})=" in text and f"\\tag{{{anchor.removeprefix('eq-')}}}" in text
    if place["kind"] == "figure":
        models = [
            options.get("models", "smol, smol-relay")
            for name, options in directives(text, "measured")
            if name == anchor
        ]
        return bool(models) and "smol" in re.split(r"[,\s]+", models[0])
    if place["kind"] == "claim":
        kinds = {one.id: "claim" for one in reported.reported_claims()}
        kinds |= {one.id: "question" for one in reported.questions()}
        shown, tested = directives(text, kinds[anchor]), directives(text, "tests")
        return all(anchor in {name for name, _ in found} for found in (shown, tested))
    return re.search(rf"^#+ {re.escape(anchor)}$", text, re.M) is not None


@pytest.mark.parametrize(
    "place",
    [place for place in PLACES if place["page"]],
    ids=lambda place: f"{place['paper']}: {place['what']}",
)
def test_what_has_a_place_stands_there(place):
    assert stands(place)


@pytest.mark.parametrize(
    "place",
    [
        {"kind": "equation", "page": "sec4_arbitration", "anchor": "eq-5"},
        {"kind": "figure", "page": "sec4_arbitration", "anchor": "fig3"},
        {"kind": "figure", "page": "sec2_dataset", "anchor": "fig9"},
        {"kind": "section", "page": "related", "anchor": "5"},
        {"kind": "claim", "page": "sec4_arbitration", "anchor": "relay"},
        {"kind": "claim", "page": "sec2_dataset", "anchor": "relay"},
    ],
)
def test_the_walk_notices_what_is_not_there(place):
    assert not stands(place)


def test_no_figure_and_no_equation_of_the_paper_is_left_out_of_the_list():
    assert [place["paper"] for place in of_kind("figure")] == [
        f"Fig. {number}" for number in FIGURES
    ]
    assert [place["paper"] for place in of_kind("equation")] == [
        f"Eq. {number}" for number in range(1, 13)
    ]


def test_every_claim_and_every_figure_of_the_book_is_in_the_list():
    claims, questions = (
        {one.id for one in known()} for known in (reported.reported_claims, reported.questions)
    )
    listed = {place["anchor"] for place in of_kind("claim")} - {None}
    assert claims == listed - questions
    assert listed & questions == {"dictionary", "behaviour"}, "what the paper says of its data"
    measured = {
        name
        for path in BOOK.glob("*.md")
        for name, _ in directives(path.read_text(encoding="utf-8"), "measured")
    }
    numbers = {found[1] for name in measured if (found := re.match(r"fig(\d+)", name))}
    assert numbers == {
        re.match(r"Fig\. (\d+)", place["paper"])[1]
        for place in of_kind("figure")
        if place["page"] and "measured" not in place
    }


OTHERS = ("InternVL3", "LLaVA", "other models", "another model")


def test_what_the_paper_shows_of_its_other_models_is_not_measured_on_a_planted_twin():
    for place in PLACES:
        if place["kind"] in ("figure", "section"):
            other = any(name in place["what"] for name in OTHERS)
            words = (
                ("b", "c") if place["paper"].startswith(("Fig. 11", "Fig. 12", "Fig. 13")) else ()
            )
            other = other or place["paper"].endswith(words)
            assert (place.get("measured") == "not measured") == other, place["paper"]
            assert not other or place["why"]
    assert "smol-relay" not in [place.get("stand_in") for place in PLACES]


def test_what_lacks_a_place_waits_for_a_notebook_or_says_why():
    """A figure or equation may lack its place only until the notebook that measures it is there."""
    told = "\n".join(f"  {place['paper']}: {place['what']} ({place['why']})" for place in LACKING)
    here = [
        place
        for place in LACKING
        if "notebook" in place and (folders.ROOT / "notebooks" / f"{place['notebook']}.py").exists()
    ]
    assert not here, (
        f"their notebook is there, their page is not: "
        f"{[place['paper'] for place in here]}. Without a place so far:\n{told}"
    )
    unmeasured = [
        place
        for place in LACKING
        if place["kind"] in ("figure", "equation") and "notebook" not in place
    ]
    assert not unmeasured, (
        f"figures and equations need a place: {[place['paper'] for place in unmeasured]}. "
        f"Without a place so far:\n{told}"
    )
