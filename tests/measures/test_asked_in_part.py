"""A measure that is asked for a part of what it tries on a prompt gives those rows of the whole.

Records are attested so: were it not true, a true record would be refused.
"""

import numpy as np
import pandas as pd
import pytest

import tiny
from arbitration import Head
from arbitration.dataset import entities
from arbitration.engine.sweep import knockout_tables
from arbitration.equations.knockout import STANDARD_PATHWAYS
from reproduction import measures
from reproduction.measures import ability, head_sets, routes
from reproduction.measures.head_sets import Case
from reproduction.results.question import TRIED, Question

SUBJECT = "llava"
CASES = [Case(0.1, 0.0, 5, compared=True), Case(0.2, 2.0, 2)]


def orders(names) -> dict:
    """A ranking of all heads for each name, no two alike."""
    subject, random = tiny.subject(SUBJECT), np.random.default_rng(0)
    layers, heads = subject.n_layers, subject.n_heads
    every = [Head(layer, index) for layer in range(layers) for index in range(heads)]
    return {name: [every[i] for i in random.permutation(len(every))] for name in names}


def directions():
    return orders(["text", "vision"])


def rankings():
    places = ("instruction", "last")
    ways = ("text", "vision")
    return orders([(m, p, w) for m in measures.heads.METHODS for p in places for w in ways])


def places():
    return {"instruction": CASES, "last": CASES[:1]}


ASKED = {
    "rankings": (
        head_sets.scale_rankings,
        lambda: {"orders": rankings(), "places": places(), "setting": "blocking", "seed": 0},
    ),
    "paper's sets": (
        head_sets.scale_paper_sets,
        lambda: {"rankings": directions(), "places": places(), "setting": "blocking", "seed": 0},
    ),
    "readings": (
        head_sets.scale_ranked,
        lambda: {
            "rankings": {"raw": directions()},
            "cases": [(0.1, 0.0)],
            "setting": "blocking",
            "draws": 5,
        },
    ),
    "ability": (ability.measure_ability, lambda: {"rankings": directions(), "draws": 5}),
    "routes": (
        routes.measure_routes,
        lambda: {
            "sets": [[], ["own→last"], ["own→last", "own→instruction"]],
            "places": {"vision": {"all": [0, 5], "found": [1, 3]}},
        },
    ),
    "each head": (measures.heads.silence_heads, dict),
    "knockout": (knockout_tables, lambda: {"pathways": list(STANDARD_PATHWAYS), "width": 1}),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_part_is_the_same_rows_of_the_whole(name):
    rows, given = ASKED[name]
    given, subject = given(), tiny.subject(SUBJECT)
    prompt = subject.encode(tiny.samples()[0], "vision")
    if name not in ("each head", "knockout"):
        given["dictionary"] = entities.load("scenes")
    rows = rows if rows is knockout_tables else measures.each(rows)
    ask = Question(name, rows, subject, given)
    some = ["none", "own→instruction + own→last"] if name == "routes" else [0, 3]
    [whole] = ask.tables_of([prompt])
    [part] = ask.narrow(some).tables_of([prompt])
    assert ask.tried in TRIED and set(part[ask.tried]) == set(some)
    assert set(whole[ask.tried]) > set(some)
    expected = whole[whole[ask.tried].isin(some)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part.reset_index(drop=True), expected, rtol=0, atol=1e-9)


def test_what_tries_nothing_one_by_one_is_asked_in_whole():
    subject = tiny.subject(SUBJECT)
    ask = Question("scores", measures.each(measures.heads.score_heads), subject, {})
    assert ask.tried is None
