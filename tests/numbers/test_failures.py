"""Failures told apart by how they came about and in which wording, what amplification makes of each
kind, and how the overlap of top heads falls: by hand.
"""

import itertools
import math

import pandas as pd
import pytest

from reproduction.numbers.estimates import best
from reproduction.numbers.heads import summarise_heads

WAYS = ("text", "vision")
NAMES = ("original", "target", "random", "matched", "shared")


def scores(margin):
    """Margins of 2 layers × 20 heads in two samples; 5 % of them are two heads."""
    rows = [
        (sample, way, layer, head, margin(way, 20 * layer + head))
        for way, sample, layer, head in itertools.product(WAYS, ("a", "b"), range(2), range(20))
    ]
    return pd.DataFrame(rows, columns=["sample", "following", "layer", "head", "margin"])


def amplified(failures, factors=(2.0,)):
    """Failures of both directions: (source, wording, names of the sets that restore it)."""
    rows = []
    for way, (number, (source, wording, restore)) in itertools.product(WAYS, enumerate(failures)):
        for name, factor in itertools.product(NAMES, factors):
            plain = name == "original"
            rows.append(
                {
                    "sample": f"f{number}",
                    "following": way,
                    "setting": "amplification",
                    "positions": "instruction",
                    "heads": name,
                    "draw": 0,
                    "share": 0.0 if plain else 0.05,
                    "factor": 1.0 if plain else factor,
                    "outcome": "follow" if name in restore else "competitor",
                    "mix": 0.4 * (source == "weakened"),
                    "source": source,
                    "image": f"p{number}",
                    "wording": wording,
                }
            )
    return pd.DataFrame(rows)


FAILURES = [
    ("natural", "mind it", {"target"}),
    ("natural", "mind it", {"target", "random"}),
    ("natural", "see it", set()),
    ("weakened", "", {"target", "random", "shared"}),
    ("weakened", "", {"target", "random", "matched"}),
    ("weakened", "", {"target", "random"}),
]


@pytest.fixture
def found():
    return summarise_heads(scores(lambda way, head: -head), amplified(FAILURES))


def test_natural_failures_are_a_kind_of_their_own(found):
    """Of three natural ones the top heads restore two and random ones one; of three made by
    weakening the instruction everything restores everything.
    """
    for way in WAYS:
        assert (found[f"failures_{way}"], found[f"failures_natural_{way}"]) == (6.0, 3.0)
        assert found[f"amplify_target_natural_{way}"] == pytest.approx(2 / 3)
        assert found[f"amplify_random_natural_{way}"] == pytest.approx(1 / 3)
        assert found[f"contrast_sufficiency_natural_{way}"] == pytest.approx(1 / 3)
        assert found[f"contrast_hubs_natural_{way}"] == pytest.approx(2 / 3)
        assert found[f"amplify_random_{way}"] == pytest.approx(4 / 6)
        assert found[f"contrast_sufficiency_{way}"] == pytest.approx((5 - 4) / 6)
        assert found[f"contrast_sufficiency_matched_{way}"] == pytest.approx((5 - 1) / 6)
        assert found[f"weakened_{way}"] == 3.0 and found[f"mix_{way}"] == pytest.approx(0.4)


def test_natural_failures_of_one_wording_decide_nothing():
    """All in one template of several: how others would fare nobody knows."""
    table = amplified([("natural", "mind it", {"target"}) for _ in range(6)])
    found = summarise_heads(scores(lambda way, head: -head), table)
    assert found["contrast_sufficiency_natural_text"] == 1.0
    assert math.isnan(found["contrast_sufficiency_natural_text_low"])
    assert found["contrast_sufficiency_natural_text_verdict"] == "not measured"


def test_without_natural_failures_nothing_is_told_of_them():
    found = summarise_heads(scores(lambda way, head: -head), amplified(FAILURES[3:]))
    assert found["failures_natural_text"] == 0.0 and found["failures_text"] == 3.0
    assert found["contrast_sufficiency_natural_text_verdict"] == "not measured"
    bare = amplified(FAILURES).drop(columns=["source", "wording"])
    found = summarise_heads(scores(lambda way, head: -head), bare)
    assert found["failures_natural_text"] == 0.0 and found["failures_source_text"] == "none"
    assert found["failures_wordings_text"] == "not told"


def test_failures_are_counted_by_source_and_wording(found):
    assert found["failures_source_vision"] == "natural, weakened"
    assert found["failures_wordings_vision"].split("; ") == [
        "3 natural in 2 wordings, at most 2 in one (restored: top heads 2, random 1)",
        "3 weakened in one wording (restored: top heads 3, random 3)",
    ]


def test_the_overlap_falls_from_the_top_ten_to_the_top_five_percent():
    """Text ranks heads 0, 1, 2, …, vision 5, 6, 7, …: of ten they share 5 to 9, of two none."""

    def margin(way, head):
        return -float(head) if way == "text" or head >= 5 else -100.0

    found = summarise_heads(scores(margin), amplified(FAILURES))
    assert (found["overlap_ten"], found["overlap_top"]) == (5.0, 0.0)
    assert found["overlap_fall"] == pytest.approx(5 / 10 - 0 / 2)
    assert found["overlap_fall_verdict"] == "not seen", "every resample ranks alike: no width"
    same = summarise_heads(scores(lambda way, head: -head), amplified(FAILURES))
    assert same["overlap_fall"] == 0.0


def curve(**follows):
    """Factor → which of six samples follow."""
    return {
        float(factor.removeprefix("x").replace("_", ".")): pd.Series(
            [1.0] * count + [0.0] * (6 - count), index=list("abcdef")
        )
        for factor, count in follows.items()
    }


def test_a_rise_and_a_level():
    """One of six at 1.25, five at 3, four at 5: the rise is 3/6, and 1/6 is lost at the end."""
    found = best("text", curve(x1_25=1, x2=3, x3=5, x5=4), above=-0.1)
    assert found["amplify_best_text"] == pytest.approx(5 / 6)
    assert found["amplify_best_text_factor"] == 3.0
    assert found["rise_text"] == pytest.approx(4 / 6 - 1 / 6)
    assert found["level_text"] == found["plateau_text"] == pytest.approx(4 / 6 - 5 / 6)


def test_where_the_largest_factor_is_the_best_its_plateau_says_nothing_and_its_level_does():
    found = best("text", curve(x1_25=0, x2=1, x5=6), above=-0.1)
    assert found["plateau_text"] == 0.0 and found["level_text"] == pytest.approx(5 / 6)
    assert found["rise_text"] == 1.0 and found["rise_text_verdict"] == "holds"
    assert found["level_text_verdict"] == "not seen", "six failures tell no more"
