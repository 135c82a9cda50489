"""What would turn a verdict, against values worked out by hand, and against the rule itself."""

import math

import pytest

from reproduction.claims import rules
from reproduction.claims.predicted import Prediction
from reproduction.claims.turning import (
    Measured,
    find_limit,
    find_move,
    times_needed,
    times_to_see,
)


def measured(value, low, high, **rule):
    return Measured(Prediction("", "", "", (), **rule), value, low, high)


@pytest.mark.parametrize(
    "one, limit, times",
    [
        # 0.05 above the bound, ends 0.1 away: half as wide, four times as many.
        (measured(0.15, 0.05, 0.25, above=0.1), "holds", 4.0),
        # 0.08 below the bound, the high end 0.16 away.
        (measured(0.02, -0.1, 0.18, above=0.1), "contradicted", 4.0),
        # The mirror image.
        (measured(-0.15, -0.25, -0.05, below=-0.1), "holds", 4.0),
        # Skewed: only the end that faces the bound counts, 0.3 from the value, 0.1 from the bound.
        (measured(0.1, -0.2, 0.15, above=0.0), "holds", 9.0),
        # The whole interval on either side: nothing to gain.
        (measured(0.3, 0.2, 0.4, above=0.1), "holds", None),
        (measured(-0.3, -0.4, -0.2, above=0.1), "contradicted", None),
        # On the bound: no number of samples tells.
        (measured(0.0, -0.1, 0.1, above=0.0), "not seen", None),
        # No width.
        (measured(1.0, 1.0, 1.0, above=0.5), "not seen", None),
        # Beyond the null value, and short of half of the paper's 0.6: weaker, and never holds.
        (measured(0.2, -0.2, 0.6, above=0.0, paper=0.6), "weaker", 4.0),
        (measured(0.2, 0.1, 0.3, above=0.0, paper=0.6), "weaker", None),
        (measured(0.4, -0.4, 1.2, above=0.0, paper=0.6), "holds", 4.0),
        # Outside the margin by 0.1, the low end 0.2 away.
        (measured(0.2, 0.0, 0.4, within=(-0.1, 0.1)), "contradicted", 4.0),
    ],
)
def test_more_samples_at_the_same_value(one, limit, times):
    assert find_limit([one]) == limit
    assert times_needed([one]) == (times if times is None else pytest.approx(times, rel=1e-5))


def test_next_to_nothing_needs_both_a_narrow_and_a_well_placed_interval():
    """±0.2 at a margin of 0.1: 1.43 times half of its width may be 0.1 at most, which is 2.86 times
    narrower; at 0.06 the high end must come to within 0.04, five times nearer.
    """
    reach, power = 1.959964, 0.841621
    central = measured(0.0, -0.2, 0.2, within=(-0.1, 0.1))
    narrower = (reach + power) / reach * 0.2 / 0.1
    assert times_needed([central]) == pytest.approx(narrower**2, rel=1e-5)
    aside = measured(0.06, -0.14, 0.26, within=(-0.1, 0.1))
    assert times_needed([aside]) == pytest.approx(25.0, rel=1e-5)
    assert {find_limit([one]) for one in (central, aside)} == {"holds"}


def test_a_claim_turns_when_the_last_of_its_tests_does_or_when_one_is_contradicted():
    soon, late = measured(0.15, 0.05, 0.25, above=0.1), measured(0.1, -0.2, 0.4, above=0.0)
    assert times_needed([soon, late]) == pytest.approx(9.0, rel=1e-5)
    against = measured(0.05, -0.05, 0.15, above=0.1)
    assert find_limit([soon, late, against]) == "contradicted"
    assert times_needed([soon, late, against]) == pytest.approx(4.0, rel=1e-5)
    never = measured(-0.3, -0.4, -0.2, above=0.0)
    assert find_limit([soon, never]) == "contradicted" and times_needed([soon, never]) is None


@pytest.mark.parametrize(
    "one, move",
    [
        (measured(-0.05, -0.2, 0.1, above=0.0), 0.2),
        (measured(0.2, 0.1, 0.3, above=0.0), -0.1),
        (measured(0.05, -0.1, 0.2, below=0.0), -0.2),
        (measured(-0.2, -0.3, -0.1, below=0.0), 0.1),
        # The low end lacks 0.1, and the value 0.2 to half of the paper's effect.
        (measured(0.1, -0.1, 0.3, above=0.0, paper=0.6), 0.2),
        (measured(0.5, 0.05, 0.95, above=0.0, paper=0.6), -0.05),
        (measured(0.35, 0.3, 0.4, above=0.0, paper=0.6), -0.05),
        (measured(0.08, 0.03, 0.13, within=(-0.1, 0.1)), -0.03),
        (measured(-0.3, -0.35, -0.25, within=(-0.1, 0.1)), 0.25),
        (measured(0.04, -0.01, 0.09, within=(-0.1, 0.1)), 0.01),
        (measured(-0.04, -0.09, 0.01, within=(-0.1, 0.1)), -0.01),
        (measured(0.0, -0.2, 0.2, within=(-0.1, 0.1)), None),
        (measured(0.7, 0.7, 0.7, above=0.0), None),
    ],
)
def test_how_far_an_interval_is_from_holding_or_from_no_longer_holding(one, move):
    """And the rule agrees on both sides of that place."""
    found = find_move(one)
    assert found == (move if move is None else pytest.approx(move))
    if move is not None:
        short, beyond = (one.word(move=found * share) for share in (1 - 1e-6, 1 + 1e-6))
        assert (short == "holds") == (one.word() == "holds")
        assert (beyond == "holds") != (one.word() == "holds")


def test_the_samples_for_an_effect_of_a_size_are_those_that_the_rule_asks_of_next_to_nothing():
    low, high, size = -0.3, 0.1, 0.05
    times = times_to_see(low, high, size)
    width = (high - low) / math.sqrt(times)
    assert rules.can_tell(-width / 2, width / 2, (-size - 1e-9, size + 1e-9))
    assert not rules.can_tell(-width / 2, width / 2, (-size + 1e-6, size - 1e-6))
