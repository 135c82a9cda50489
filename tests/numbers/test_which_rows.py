"""Which rows feed a number: tables in which every other choice of rows gives another number."""

import itertools

import numpy as np
import pandas as pd
import pytest

from arbitration.dataset.sample import SOURCE
from arbitration.equations.knockout import STANDARD_PATHWAYS
from reproduction.numbers.ablations import summarise_ablations
from reproduction.numbers.beliefs import summarise_beliefs
from reproduction.numbers.components import summarise_components
from reproduction.numbers.estimates import drawn
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
        assert found[f"among_random_{way}"] == 1 / 2, "below its one draw, as blocking should be"
        assert found[f"amplify_among_random_{way}"] == 1, "and so not above it"
        assert found[f"deep_share_{way}"] == 0, "heads 0 and 1 are in the first of two layers"


def belief_table(margins):
    """`margins[dictionary, positions]` in all layers of a model of four, and in the embedding."""
    rows = [
        (sample, way, layer, positions, kind, margin, 0.0)
        for way, sample, layer in itertools.product(WAYS, SAMPLES, range(-1, 4))
        for (kind, positions), margin in margins.items()
    ]
    names = ["sample", "following", "layer", "positions", "dictionary", "phi_f", "phi_c"]
    return pd.DataFrame(rows, columns=names)


def test_alignment_is_that_of_the_instruction_by_the_prompt_s_own_answers():
    margins = {
        ("own", "instruction"): 1.0,
        ("own", "last"): -1.0,
        ("shuffled", "instruction"): -1.0,
        ("shuffled", "last"): 1.0,
    }
    found = summarise_beliefs(belief_table(margins), closed_paths(lambda *_: True))
    for way in WAYS:
        assert (found[f"ldar_max_{way}"], found[f"ldar_max_{way}_shuffled"]) == (1, 0)
        assert (found[f"ldar_deep_{way}"], found[f"over_ldar_max_{way}"]) == (1, 1)


def test_components_are_compared_in_thirds_and_with_another_sample_s_answers():
    """Six layers: 0 and 1 are shallow, 4 and 5 deep. The own signals grow by 1 a layer, and by 2
    that of the followed; the borrowed ones stay. Attention adds the number of the layer.
    """
    rows = []
    for way, sample, layer in itertools.product(WAYS, SAMPLES, range(6)):
        rows.append((sample, way, "own", layer, 2.0 * layer, 1.0 * layer, layer, 3.0, layer, -1.0))
        rows.append((sample, way, "shuffled", layer, 7.0, 7.0, 0.5, 1.0, 0.5, -0.25))
    names = "attention_signal mlp_signal attention_margin mlp_margin".split()
    known = ["sample", "following", "dictionary", "layer", "signal_f", "signal_c"]
    found = summarise_components(pd.DataFrame(rows, columns=known + names))
    for way in WAYS:
        assert found[f"signal_rise_f_{way}"] == found[f"over_signal_rise_f_{way}"] == 9.0 - 1.0
        assert found[f"signal_rise_c_{way}"] == 4.5 - 0.5
        assert found[f"divergence_{way}"] == 4.5 - 0.5
        assert found[f"arbiter_{way}"] == (4 + 5) - (0 + 1)
        assert found[f"over_attention_margin_deep_{way}"] == (4 + 5) - 2 * 0.5
        assert found[f"over_mlp_margin_deep_{way}"] == 2 * (-1) - 2 * (-0.25)
        assert found[f"over_mlp_signal_{way}"] == 6 * 3 - 6 * 1
        assert found[f"attention_top_{way}_layer"] == 5


def test_a_blocked_set_drops_what_no_set_had():
    """Without heads 6 of 6 follow, with the three rankings' 1, 2 and 3, with random ones 4."""
    kept = {"original": 6, "random": 4, "default": 1, "K = 2": 2, "average": 3}
    rows = []
    for way, setting, name in itertools.product(WAYS, ("blocking", "amplification"), kept):
        share, factor = (0.05, 0.0) if setting == "blocking" else (0.05, 2.0)
        for number, sample in enumerate(SAMPLES):
            outcome = "follow" if number < kept[name] else "competitor"
            rows.append((sample, way, setting, name, share, factor, 0.0, outcome))
    names = ["sample", "following", "setting", "heads", "share", "factor", "mix", "outcome"]
    interventions = pd.DataFrame(rows, columns=names)
    margins = {("own", "instruction"): 1.0, ("shuffled", "instruction"): -1.0}
    readings = [
        belief_table(margins).assign(reading=name) for name in ("default", "K = 2", "average")
    ]
    lines = pd.DataFrame({"following": ["text"], "change": ["higher"]})
    found = summarise_ablations(pd.concat(readings), interventions, lines)
    for way in WAYS:
        assert found[f"drop_default_{way}"] == pytest.approx((6 - 1) / 6)
        assert found[f"drop_random_{way}"] == pytest.approx((6 - 4) / 6)
        assert found[f"localises_block_k2_{way}"] == pytest.approx((4 - 2) / 6)
        assert found[f"contrast_block_average_{way}"] == pytest.approx((3 - 1) / 6)
        assert found[f"rise_k2_{way}"] == pytest.approx((2 - 6) / 6)
        assert found[f"ldar_deep_k2_{way}"] == 1 and found[f"ldar_deep_k2_{way}_shuffled"] == 0


def test_a_quantity_over_draws_has_its_own_95_percent():
    """The first is the samples' own; of 0, 1, …, 1000 the middle 95 % reach from 25 to 975. Where
    the draws are resamples of five samples the ends lie t(4) / 1.96 · √(5/4) = 1.58378 times as far
    from the samples' own.
    """
    draws = np.array([507.0, *range(1001)])
    found = drawn("x", draws, None)
    assert (found["x"], found["x_low"], found["x_high"]) == (507, 25, 975)
    few = drawn("x", draws, 5)
    ends = (507 - 1.58378 * 482, 507 + 1.58378 * 468)
    assert (few["x_low"], few["x_high"]) == pytest.approx(ends, rel=1e-4)
    assert np.isnan(drawn("x", draws, 1)["x_low"])


def closed_paths(follows):
    """Answers with a path closed at both places; `follows(place, blocked, sample's number)`."""
    rows = [
        (
            sample,
            way,
            place,
            {"own": "1–2", "scaled": "2–3"}[place],
            blocked,
            "follow" if follows(place, blocked, number) else "competitor",
        )
        for way, (number, sample) in itertools.product(WAYS, enumerate(SAMPLES))
        for place in ("own", "scaled")
        for blocked in ("none", "instruction→last", f"{SOURCE[way]}→last", "random→last")
    ]
    names = ["sample", "following", "place", "layers", "blocked", "outcome"]
    return pd.DataFrame(rows, columns=names)


def read_beliefs(lead, last=lambda *_: 1.0):
    """Margins in layers −1 to 3: `lead(sample's number, layer)` at the instruction tokens, and that
    times `last(sample's number, layer)` at the last position; another sample's answers have −1.
    """
    rows = [
        (
            sample,
            way,
            layer,
            positions,
            kind,
            (lead(number, layer) if kind == "own" else -1.0)
            * (last(number, layer) if positions == "last" and kind == "own" else 1.0),
            0.0,
        )
        for way, (number, sample), layer in itertools.product(
            WAYS, enumerate(SAMPLES), range(-1, 4)
        )
        for kind, positions in itertools.product(("own", "shuffled"), ("instruction", "last"))
    ]
    names = ["sample", "following", "layer", "positions", "dictionary", "phi_f", "phi_c"]
    return pd.DataFrame(rows, columns=names)


def test_a_path_is_closed_at_each_place_by_itself():
    """In the layers of its own, instruction→last leaves one of six and the own modality's path
    five; in the scaled ones, five and six.
    """
    left = {
        ("own", "instruction→last"): 1,
        ("own", "random→last"): 6,
        ("own", "modality"): 5,
        ("scaled", "instruction→last"): 5,
        ("scaled", "random→last"): 4,
    }

    def follows(place, blocked, number):
        name = "modality" if blocked in ("context→last", "vision→last") else blocked
        return number < left.get((place, name), 6)

    found = summarise_beliefs(read_beliefs(lambda *_: 1.0), closed_paths(follows), critical=[2, 3])
    for way in WAYS:
        assert found[f"collapse_{way}_own"] == pytest.approx(1 / 6)
        assert found[f"follow_instruction_last_{way}_own"] == pytest.approx(1 / 6)
        assert found[f"compete_instruction_last_{way}_own"] == pytest.approx(5 / 6)
        assert found[f"contrast_random_{way}_own"] == pytest.approx(1 - 1 / 6)
        assert found[f"contrast_collapse_{way}_own"] == pytest.approx(5 / 6 - 1 / 6)
        assert found[f"contrast_spared_{way}_own"] == pytest.approx(1 - 5 / 6)
        assert found[f"collapse_{way}"] == pytest.approx(5 / 6)
        assert found[f"contrast_random_{way}"] == pytest.approx(4 / 6 - 5 / 6)
        assert found[f"contrast_collapse_{way}"] == pytest.approx(1 - 5 / 6)
        assert found[f"contrast_spared_{way}"] == 0.0
        assert (found[f"place_{way}_own"], found[f"place_{way}"]) == ("1–2", "2–3")
        assert found[f"collapse_{way}_verdict"] == "not seen"


def test_a_place_that_was_not_found_is_not_measured():
    scaled = closed_paths(lambda *_: True).query("place == 'scaled'")
    found = summarise_beliefs(read_beliefs(lambda *_: 1.0), scaled, critical=[2, 3])
    assert found["place_text_own"] == "not measured" == found["contrast_collapse_text_own_verdict"]
    assert found["collapse_text"] == 1.0


def test_synchronisation_where_few_are_aligned():
    """Layer 2: three of six aligned, and the sites agree in five; layer 3: all aligned, and they
    agree in all. Below 0.7 lies layer 2 alone.
    """

    def lead(number, layer):
        return 1.0 if layer == 3 or number < 3 else -1.0

    beliefs = read_beliefs(lead, lambda number, layer: -1.0 if (number, layer) == (5, 2) else 1.0)
    found = summarise_beliefs(beliefs, closed_paths(lambda *_: True), critical=[2, 3])
    for way in WAYS:
        assert found[f"sync_below_{way}"] == pytest.approx(5 / 6)
        assert found[f"sync_critical_{way}"] == pytest.approx(11 / 12)
        assert found[f"sync_weak_{way}"] == "0.83 in 1 layers"
        assert found[f"ldar_max_{way}"] == 1.0 and found[f"ldar_max_{way}_layer"] == 3.0


def test_alignment_that_falls_with_depth_is_a_change_with_an_interval():
    """Layer 0 is shallow and 2, 3 are deep of four: five of six fall from 1 to 0."""
    beliefs = read_beliefs(lambda number, layer: 1.0 if layer < 1 or number == 0 else -1.0)
    found = summarise_beliefs(beliefs, closed_paths(lambda *_: True), critical=[2, 3])
    assert found["ldar_rise_text"] == pytest.approx(-5 / 6)
    assert -1.0 <= found["ldar_rise_text_low"] < -5 / 6 < found["ldar_rise_text_high"] < 0.0
    assert found["ldar_rise_text_verdict"] == "contradicted"


def test_synchronisation_is_that_of_the_prompt_s_own_answers():
    """Own: instruction and last agree in 5 of 6 samples; another sample's answers: in none."""
    rows = []
    for way, (number, sample), layer in itertools.product(WAYS, enumerate(SAMPLES), range(-1, 4)):
        for kind, positions in itertools.product(("own", "shuffled"), ("instruction", "last")):
            agrees = number > 0 if kind == "own" else False
            sign = 1.0 if positions == "instruction" or agrees else -1.0
            rows.append((sample, way, layer, positions, kind, sign, 0.0))
    names = ["sample", "following", "layer", "positions", "dictionary", "phi_f", "phi_c"]
    beliefs = pd.DataFrame(rows, columns=names)
    found = summarise_beliefs(beliefs, closed_paths(lambda *_: True), critical=[2, 3])
    for way in WAYS:
        assert found[f"sync_critical_{way}"] == pytest.approx(5 / 6)


def test_each_contrast_of_paths_has_its_two():
    """Every path has a peak of its own, at layer 14, and a trough of its own, at layer 3."""
    rows = []
    peaks = {str(path): 2.0**number for number, path in enumerate(STANDARD_PATHWAYS)}
    for way, sample, path in itertools.product(WAYS, SAMPLES, peaks):
        for control, layer in itertools.product((False, True), range(28)):
            height = 0.25 if control else peaks[path]
            nssd = {14: height, 3: -10 * height}.get(layer, 0.0)
            rows.append((sample, way, path, control, layer, nssd, -0.1, -2.0, -0.1, -2.0 + nssd))
    names = ["sample", "following", "pathway", "control", "layer", "nssd"]
    logs = ["logp_p", "logp_c", "logp_p_blocked", "logp_c_blocked"]
    table = pd.DataFrame(rows, columns=[*names, *logs])
    found = summarise_knockout(table.assign(model="smol", width=3))
    for name, more, less in (
        ("relay_vision", "vision→text", "vision→last"),
        ("anchor_text", "context→instruction", "context→last"),
        ("anchor_vision", "vision→instruction", "vision→last"),
        ("context_vision", "vision→instruction", "vision→context"),
    ):
        assert found[f"contrast_{name}"] == pytest.approx(peaks[more] - peaks[less]), name
        assert found[f"contrast_lead_{name}"] == pytest.approx(peaks[more] - peaks[less]), name
    assert found["size_direct_text"] == pytest.approx(peaks["context→last"])
    assert found["size_direct_vision"] == pytest.approx(peaks["vision→last"])
    assert found["size_compensation_text"] == pytest.approx(-10 * peaks["vision→text"])


def test_a_path_is_held_against_random_sources_of_its_own_direction():
    """Closed paths cost 4 nats; random sources 1 under the text instruction, 2 under vision."""
    rows = []
    cost = {"text": 1.0, "vision": 2.0}
    for way, sample, path in itertools.product(WAYS, SAMPLES, map(str, STANDARD_PATHWAYS)):
        for control, layer in itertools.product((False, True), range(28)):
            nssd = (cost[way] if control else 4.0) * (layer == 14)
            rows.append((sample, way, path, control, layer, nssd, -0.1, -2.0, -0.1, -2.0 + nssd))
    names = ["sample", "following", "pathway", "control", "layer", "nssd"]
    logs = ["logp_p", "logp_c", "logp_p_blocked", "logp_c_blocked"]
    table = pd.DataFrame(rows, columns=[*names, *logs])
    found = summarise_knockout(table.assign(model="smol", width=3))
    for way, control in cost.items():
        assert found[f"contrast_control_{way}"] == pytest.approx(4.0 - control)
        assert found[f"contrast_textlast_{way}"] == pytest.approx(4.0 - control)
        assert found[f"contrast_lead_control_{way}"] == pytest.approx(4.0 - control)
    assert found["contrast_relay_control_vision"] == pytest.approx(4.0 - cost["vision"])
