"""Which rows feed a number: tables in which every other choice of rows gives another number."""

import itertools

import pandas as pd
import pytest

from arbitration.equations.knockout import STANDARD_PATHWAYS
from reproduction.numbers.beliefs import summarise_beliefs
from reproduction.numbers.heads import summarise_heads
from reproduction.numbers.knockout import summarise_knockout

WAYS = ("text", "vision")
SAMPLES = [f"s{number}" for number in range(6)]


def head_table(margin):
    """Scores of 2 layers × 20 heads, `margin(way, sample's number, head)`; 5 % of them are 2."""
    rows = [
        (sample, way, layer, head, margin(way, number, 20 * layer + head))
        for way, (number, sample) in itertools.product(WAYS, enumerate(SAMPLES))
        for layer in range(2)
        for head in range(20)
    ]
    return pd.DataFrame(rows, columns=["sample", "following", "layer", "head", "margin"])


def answers_table(follows):
    """Interventions at the instruction tokens: of each set, `follows[set]` samples follow."""
    rows = []
    for way, setting, name in itertools.product(WAYS, ("blocking", "amplification"), follows):
        share, factor = (0.05, 0.0) if setting == "blocking" else (0.05, 2.0)
        if name == "original":
            share, factor = 0.0, 1.0
        for number, sample in enumerate(SAMPLES):
            outcome = "follow" if number < follows[name] else "competitor"
            rows.append((sample, way, setting, "instruction", name, 0, share, factor, outcome))
    names = ["sample", "following", "setting", "positions", "heads", "draw", "share", "factor"]
    return pd.DataFrame(rows, columns=[*names, "outcome"]).assign(mix=0.0, source="natural")


FOLLOWS = {"original": 6, "target": 1, "shared": 4, "matched": 5, "random": 3}


def test_concentration_ranks_on_one_half_and_measures_the_other():
    """Samples 0, 2, 4 put heads 0 and 1 first; in the others, which are measured, these carry 2 of
    38 + 2 + 100, and the heads that are strongest there 100.
    """

    def margin(way, number, head):
        if number % 2 == 0:
            return 9.0 if head < 2 else 0.0
        return 50.0 if head in (7, 8) else 1.0

    found = summarise_heads(head_table(margin), answers_table(FOLLOWS))
    for way in WAYS:
        assert found[f"concentration_{way}"] == pytest.approx(2 / (100 + 38))


def test_necessity_and_sufficiency_are_those_of_the_top_heads():
    found = summarise_heads(head_table(lambda way, number, head: -head), answers_table(FOLLOWS))
    for way in WAYS:
        assert found[f"contrast_necessity_{way}"] == pytest.approx((3 - 1) / 6)
        assert found[f"contrast_necessity_matched_{way}"] == pytest.approx((5 - 1) / 6)
        assert found[f"contrast_sufficiency_{way}"] == pytest.approx((1 - 3) / 6)
        assert found[f"contrast_hubs_{way}"] == pytest.approx((1 - 4) / 6)
        assert found[f"drop_target_{way}"] == pytest.approx((6 - 1) / 6)


def test_synchronisation_is_that_of_the_prompt_s_own_answers():
    """Own: instruction and last agree in 5 of 6 samples; another sample's answers: in none."""
    rows = []
    for way, (number, sample), layer in itertools.product(WAYS, enumerate(SAMPLES), range(-1, 4)):
        for kind, positions in itertools.product(("own", "shuffled"), ("instruction", "last")):
            agrees = number > 0 if kind == "own" else False
            sign = 1.0 if positions == "instruction" or agrees else -1.0
            rows.append((sample, way, layer, positions, kind, sign, 0.0))
    names = ["sample", "following", "layer", "positions", "dictionary", "phi_f", "phi_c"]
    closed = [
        (sample, way, blocked, "follow")
        for way, sample in itertools.product(WAYS, SAMPLES)
        for blocked in ("none", "instruction→last", "context→last", "vision→last", "random→last")
    ]
    paths = pd.DataFrame(closed, columns=["sample", "following", "blocked", "outcome"])
    found = summarise_beliefs(pd.DataFrame(rows, columns=names), paths, critical=[2, 3])
    for way in WAYS:
        assert found[f"sync_critical_{way}"] == pytest.approx(5 / 6)


def test_a_path_is_held_against_random_sources_of_its_own_direction():
    """Closed paths cost 4 nats; random sources 1 under the text instruction, 2 under vision."""
    rows = []
    cost = {"text": 1.0, "vision": 2.0}
    for way, sample, path in itertools.product(WAYS, SAMPLES, map(str, STANDARD_PATHWAYS)):
        for control, layer in itertools.product((False, True), range(28)):
            nssd = (cost[way] if control else 4.0) * (layer == 14)
            rows.append((sample, way, path, control, layer, nssd, -0.1, -2.0))
    names = ["sample", "following", "pathway", "control", "layer", "nssd"]
    table = pd.DataFrame(rows, columns=[*names, "logp_p_blocked", "logp_c_blocked"])
    found = summarise_knockout(table.assign(model="smol", width=3))
    for way, control in cost.items():
        assert found[f"contrast_control_{way}"] == pytest.approx(4.0 - control)
        assert found[f"contrast_textlast_{way}"] == pytest.approx(4.0 - control)
    assert found["contrast_relay_control_vision"] == pytest.approx(4.0 - cost["vision"])
