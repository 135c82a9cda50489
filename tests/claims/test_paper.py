"""The paper's claims, their tables, and the numbers that the pages quote from the tables."""

import ast
import itertools
import json
import math
import re

import numpy as np
import pandas as pd
import pytest

import toy_tables as toy
from arbitration.dataset import entities
from arbitration.dataset.sample import SOURCE
from arbitration.files import folders
from arbitration.models.catalogue import MASKED
from reproduction.claims import predicted, rules
from reproduction.claims.reported import NUMBERLESS, questions, reported_claims
from reproduction.measures.organisms import DOSES, NOISES
from reproduction.numbers import (
    dataset,
    estimates,
    summarise_ablations,
    summarise_answers,
    summarise_beliefs,
    summarise_components,
    summarise_controls,
    summarise_heads,
    summarise_knockout,
    summarise_meaning,
    summarise_organisms,
    summarise_reviews,
    summarise_routes,
    summarise_sensitivity,
    summarise_set,
    summarise_steer,
    summarise_windows,
)
from reproduction.numbers.controls import KINDS, compare_controls
from reproduction.numbers.knockout import summarise_drawn

SAMPLES = [f"s{i}" for i in range(6)]


def test_no_two_claims_have_one_name():
    found = reported_claims()
    assert found and len({claim.id for claim in found}) == len(found)


def test_what_a_section_says_of_a_claim_is_the_claim_s_own():
    """Statement and figure come from paper_claims.json alone, and every claim with a test has a
    table.
    """
    stored, told = (
        json.loads((folders.DATA / name).read_text(encoding="utf-8"))["claims"]
        for name in ("paper_claims.json", "paper_reported.json")
    )
    assert all(not {"statement", "figure"} & record.keys() for record in told)
    statements = {record["id"]: record["statement"] for record in stored if record["predictions"]}
    assert {claim.id: claim.statement for claim in reported_claims()} == statements
    labels = {record["id"]: record["shown"] for record in stored}
    for claim in reported_claims():
        for number in claim.figure.split(", "):
            assert number == "–" or any(
                re.fullmatch(rf"fig{number}(_\w+)?", label) for label in labels[claim.id]
            )
    assert {
        c.id: c.figure for c in reported_claims() if c.id in ("relay", "transfer", "blocking")
    } == {
        "relay": "3",
        "transfer": "6b, 7",
        "blocking": "9",
    }
    assert next(c.figure for c in reported_claims() if c.id == "ensemble") == "–"


def show(kind):
    """(page, id) of every use of a directive on the book's pages."""
    return sorted(
        (page.stem, name)
        for page in (folders.ROOT / "book").glob("*.md")
        for name in re.findall(rf"^```\{{{kind}\}} (\S+)$", page.read_text("utf-8"), re.M)
    )


def test_every_claim_and_every_question_has_its_verdicts_and_its_tests_on_one_page():
    claims, asked, tests = show("claim"), show("question"), show("tests")
    assert sorted(name for _, name in claims) == sorted(one.id for one in reported_claims())
    assert sorted(name for _, name in asked) == sorted(one.id for one in questions())
    assert tests == sorted([*claims, *asked])


def test_there_is_one_class_claim_and_one_rule():
    found = [
        (node.name, path.stem)
        for path in (folders.ROOT / "lib").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name in ("Claim", "verdict")
    ]
    assert sorted(found) == [("Claim", "predicted"), ("verdict", "rules")]


def test_every_section_reports_the_numbers_of_the_paper():
    reported = " ".join(
        quantity.reported for claim in reported_claims() for quantity in claim.quantities
    )
    for number in ("0.81 at layer 15", "1.36 at layer 14", "> 0.95", "> 0.9", "784", "≈ 0.6"):
        assert number in reported


def rows(value, **levels):
    """A table of every combination of the levels and samples; `value` gives its other columns."""
    names = [*levels, "sample"]
    return pd.DataFrame(
        [
            dict(zip(names, level)) | {"model": "toy"} | value(**dict(zip(names, level)))
            for level in itertools.product(*levels.values(), SAMPLES)
        ]
    )


DIRECTIONS = ["text", "vision"]
PATHWAYS = [
    "vision→text",
    "vision→last",
    "text→last",
    "context→instruction",
    "context→last",
    "vision→instruction",
    "vision→context",
    "instruction→last",
    "template→last",
]


def spread(sample):
    """By which factor a sample's effect is larger than the mean: 1 in the mean."""
    return 1 + 0.02 * (SAMPLES.index(sample) - (len(SAMPLES) - 1) / 2)


def knockout_value(following, pathway, control, layer, sample):
    effect = 1.0 * (
        pathway == "vision→text" and layer == 2 and following == "vision" and not control
    )
    effect -= 0.5 * (
        pathway == "vision→text" and layer == 1 and following == "text" and not control
    )
    effect *= spread(sample)
    return {
        "nssd": effect,
        "divergence": 2 * effect,
        "logp_p": 0.0,
        "logp_c": -0.5,
        "logp_p_blocked": -effect,
        "logp_c_blocked": -0.5,
    }


LOGS = {"logp_p": -0.1, "logp_c": -2.1, "logp_p_blocked": -0.5, "logp_c_blocked": -1.0}


def window_value(following, pathway, control, width, layer, sample):
    """One layer, 4, matters: a window shows it at every centre from which it reaches that layer,
    the more the wider it is.
    """
    reaches = abs(layer - 4) <= width // 2
    effect = {
        "vision→text": 1.0 if following == "vision" else -0.5,
        "text→last": 0.3 * (width > 1),
        "vision→last": 0.02,
    }[pathway]
    if control:
        return {"nssd": 0.0, **LOGS}
    return {"nssd": effect * reaches * (1 + 0.01 * width * (layer == 4)) * spread(sample), **LOGS}


def sentences():
    """A question relays 1 nat in the plain order and the modality sentence 1 nat in the swapped
    one: the later of both, at layer 4.
    """
    table = rows(
        lambda layout, path, control, layer, **level: {
            "nssd": float(
                (layout, path) in {("plain", "question"), ("swapped", "modality")}
                and layer == 4
                and not control
            )
            * spread(level["sample"]),
            **LOGS,
        },
        following=DIRECTIONS,
        layout=["plain", "swapped", "distanced"],
        path=["modality", "question", "neutral"],
        control=[False, True],
        layer=[1, 4],
    )
    own = table["following"].map(SOURCE)
    table = pd.concat(
        [
            table.assign(pathway=own + "→" + table["path"]),
            table.assign(pathway=table["path"] + "→last"),
        ],
        ignore_index=True,
    )
    answers = rows(
        lambda sample, **level: {"outcome": "other" if sample == "s0" else "follow"},
        following=DIRECTIONS,
        layout=["plain", "swapped", "distanced"],
    )
    return summarise_meaning(table, answers)


def reviews(knockout, components):
    """Failures whose deep attention adds 2 logits less, and heads without which the conflict is
    lost and nothing else.
    """
    failed = components.assign(
        attention_margin=lambda table: (
            table["attention_margin"] - 2.0 * (table["layer"] == 23) * table["sample"].map(spread)
        ),
        mix=0.0,
    )
    able = pd.concat(
        [
            rows(
                lambda kind, heads, factor, **level: {
                    "outcome": "other"
                    if (kind, heads, factor) == ("conflict", "target", 0.0)
                    else "follow"
                },
                following=DIRECTIONS,
                kind=["conflict", "alone"],
                heads=[heads],
                factor=factors,
            )
            for heads, factors in (
                ("original", [1.0]),
                ("target", [0.0, 2.0]),
                ("random", [0.0, 2.0]),
            )
        ],
        ignore_index=True,
    )
    reading = pd.concat(
        [
            rows(
                lambda heads, factor, sample: {
                    "nats": 4.0 * spread(sample) if (heads, factor) == ("text", 0.0) else 3.0
                },
                heads=names,
                factor=factors,
            )
            for names, factors in (
                (["original"], [1.0]),
                (["text", "vision", "random"], [0.0, 2.0]),
            )
        ],
        ignore_index=True,
    )
    return summarise_reviews(knockout, components, failed, components, able, reading)


def head_question():
    """The five tables of the head question. Heads are numbered; effects grow with the number, Eq.
    12 falls, sensitivity grows for text only.
    """
    number = lambda layer, head: layer * 4.0 + head
    sign = {"text": 1.0, "vision": -1.0}
    heads = {"layer": range(10), "head": range(4)}
    scores = rows(
        lambda following, half, layer, head, sample: {
            "eq12": -number(layer, head),
            **{
                f"sensitivity_{at}": sign[following] * number(layer, head)
                for at in ("instruction", "last", "both")
            },
        },
        following=DIRECTIONS,
        half=["ranked", "tested"],
        **heads,
    )
    effects = rows(
        lambda following, positions, layer, head, sample: {
            "effect": number(layer, head) * spread(sample),
            "turned": number(layer, head) == 39,
        },
        following=DIRECTIONS,
        positions=["instruction", "last"],
        **heads,
    )

    def sets(value, **levels):
        common = {"following": DIRECTIONS, "positions": ["instruction", "last", "both"], **levels}
        targets = rows(
            value,
            heads=["eq12", "sensitivity"],
            ranked_on=["other samples", "same samples", "other direction"],
            draw=[0],
            **common,
        )
        controls = rows(
            value,
            heads=["random", "eq12 matched", "sensitivity matched"],
            ranked_on=[""],
            draw=[0, 1],
            **common,
        )
        plain = rows(
            value,
            heads=["original"],
            ranked_on=[""],
            draw=[0],
            **common | {"share": [0.0], "factor": [1.0]},
        )
        return pd.concat([targets, controls, plain], ignore_index=True)

    def blocked(heads, ranked_on, draw, sample, **level):
        falls = {
            "sensitivity": ranked_on != "other direction",
            "sensitivity matched": draw == 1,
            "eq12": ranked_on == "same samples" and sample == "s0",
        }
        return {"outcome": "competitor" if falls.get(heads) else "follow", "own": float(draw)}

    def louder(heads, ranked_on, draw, factor, **level):
        restored = {"sensitivity": factor == 2, "sensitivity matched": draw == 1}
        return {"outcome": "follow" if restored.get(heads) else "competitor", "own": float(draw)}

    blocking = sets(blocked, share=[0.05], factor=[0.0])
    amplification = (
        sets(louder, share=[0.05], factor=[2.0, 5.0])
        .query("following == 'text'")
        .assign(source="weakened instruction")
    )
    tried = rows(
        lambda degree, **level: {
            "outcome": "competitor" if degree == 0.5 else "other",
            "source": "weakened instruction",
        },
        following=["text"],
        degree=[0.4, 0.5],
    )
    return summarise_sensitivity(scores, effects, blocking, amplification, tried, wanted=4)


@pytest.fixture(scope="module")
def applied():
    """The rule by which each number was judged, by its name."""
    rules, judge = {}, estimates._judged

    def remember(name, found, values, rule):
        rules[name] = rule
        return judge(name, found, values, rule)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "_judged", remember)
        yield rules


@pytest.fixture(scope="module")
def measured(applied):
    """The numbers of each notebook from tables whose answers are known."""
    knockout = rows(
        knockout_value,
        following=DIRECTIONS,
        pathway=PATHWAYS,
        control=[False, True],
        layer=[0, 1, 2],
    )
    drawn = rows(
        lambda pathway, sample, **level: {
            "edges": 1.0,
            "own": 0.5 * (sample == "s0"),
            "rival": 0.25 * (pathway == "context→instruction"),
        },
        following=DIRECTIONS,
        pathway=PATHWAYS,
    )
    beliefs = rows(
        lambda following, layer, positions, dictionary, sample: {
            "phi_f": float(layer >= 20 and dictionary == "own")
            + (sample in SAMPLES[:3]) * (layer < 20),
            "phi_c": 0.5 * (layer < 20) + (positions == "last") * (layer == 22) * 2,
        },
        following=DIRECTIONS,
        layer=range(-1, 30),
        positions=["instruction", "last"],
        dictionary=["own", "shuffled"],
    )
    paths = pd.concat(
        [
            rows(
                lambda following, place, blocked, sample: {
                    "outcome": "competitor"
                    if blocked == "instruction→last" and (place == "own" or sample < "s4")
                    else "follow",
                    "layers": {"own": "23–28", "scaled": "21–26"}[place],
                },
                following=[d],
                place=["own", "scaled"],
                blocked=["none", "instruction→last", f"{SOURCE[d]}→last", "random→last"],
            )
            for d in DIRECTIONS
        ]
    )
    components = rows(
        lambda following, layer, dictionary, sample: {
            "signal_f": layer + 10.0 * (layer >= 20),
            "signal_c": float(layer),
            "attention_signal": 1.0,
            "mlp_signal": 0.5,
            "attention_margin": 2.0 * (layer == 23) * spread(sample),
            "mlp_margin": -1.0 * (layer >= 28) * spread(sample),
        },
        following=DIRECTIONS,
        layer=range(30),
        dictionary=["own", "shuffled"],
    )
    heads = rows(
        lambda following, layer, head, sample: {
            "margin": 5.0 * ((layer, head) == (29, 1))
            + 4.0 * ((layer, head) == (28, 0) and following == "text")
        },
        following=DIRECTIONS,
        layer=range(30),
        head=range(2),
    )
    parts = [
        rows(
            lambda sample, **level: {
                "outcome": "follow"
                if level["heads"] == "random" and level["draw"]
                else "competitor"
            },
            following=DIRECTIONS,
            setting=["blocking"],
            heads=["target", "random", "matched", "shared"],
            draw=[0, 1],
            share=[0.05],
            factor=[0.0],
            positions=["instruction", "last", "both"],
        ),
        rows(
            lambda sample, **level: {"outcome": "follow"},
            following=DIRECTIONS,
            setting=["blocking"],
            heads=["original"],
            draw=[0],
            share=[0.0],
            factor=[1.0],
            positions=["instruction"],
        ),
        rows(
            lambda sample, **level: {
                "outcome": "follow"
                if level["heads"] in ("target", "matched") and level["factor"] == 2
                else "other"
            },
            following=["text"],
            setting=["amplification"],
            heads=["target", "random", "matched", "shared"],
            draw=[0],
            share=[0.05],
            factor=[2.0, 5.0],
            positions=["instruction"],
        ),
    ]
    interventions = pd.concat(parts, ignore_index=True).assign(source="natural")
    answers = rows(
        lambda following, sample: {
            "outcome": "follow" if sample != "s0" else "other",
            "ambiguous": sample == "s0" and following == "text",
            "first": "competitor" if sample == "s1" else "other",
        },
        following=DIRECTIONS,
    )
    coverage = pd.DataFrame({"forms": [3, 5], "ids": [1, 2], "fallback": [True, False]})
    windows = rows(
        window_value,
        following=DIRECTIONS,
        pathway=["vision→text", "vision→last", "text→last"],
        control=[False, True],
        width=[1, 3, 5, 7],
        layer=range(9),
    )
    readings = rows(
        lambda following, reading, layer, dictionary, sample: {
            "phi_f": float(layer >= 20 and dictionary == "own" and reading != "average"),
            "phi_c": 0.5,
        },
        following=DIRECTIONS,
        reading=["default", "K = 2", "average", "last position"],
        layer=range(-1, 30),
        dictionary=["own", "shuffled"],
    )
    follows = {"original": True, "default": False, "K = 2": False, "average": True, "random": True}
    ablated = pd.concat(
        [
            rows(
                lambda sample, **level: {
                    "outcome": "follow"
                    if follows[level["heads"]] == (level["setting"] == "blocking")
                    else "competitor"
                },
                following=DIRECTIONS,
                setting=[setting],
                heads=[heads],
                share=[0.0 if heads == "original" else 0.05],
                factor=[1.0 if heads == "original" else factor],
                mix=[0.5],
            )
            for setting, factor in (("blocking", 0.0), ("amplification", 2.0))
            for heads in follows
        ],
        ignore_index=True,
    )
    moved = pd.DataFrame(
        {
            "following": ["text"] * 3 + ["vision"] * 2,
            "change": ["default", "lower", "unclear", "default", "none"],
        }
    )
    scenes = dataset.whole_set("scenes", "held")
    counted = summarise_set(
        dataset.measure_texts(scenes), dataset.list_entries(scenes, entities.load("scenes"))
    )
    kinds = compare_controls(
        *(dict.fromkeys(KINDS, table) for table in (toy.paths(), toy.components(), toy.heads()))
    )
    return {
        "controls": summarise_controls(kinds),
        "appF_meaning": sentences(),
        "appG_reviews": reviews(knockout, components),
        "appC_windows": summarise_windows(windows),
        "appE_ablations": summarise_ablations(readings, ablated, moved),
        "organisms": organisms(),
        "sec2_dataset": summarise_answers(answers, coverage) | counted,
        "sec3_knockout": summarise_knockout(knockout) | summarise_drawn(drawn),
        "sec3_beliefs": summarise_beliefs(beliefs, paths),
        "sec3_routes": routes(),
        "sec4_components": summarise_components(components),
        "sec4_heads": summarise_heads(heads, interventions, wanted=10),
        "sec4_sensitivity": head_question(),
        "steer": summarise_steer(one_prompt()),
    }


def organisms():
    """Every model alike, and every hand-made one found."""
    ways = [("into", 2.0), ("direct", 1.0), ("random", 0.5)]
    swept = pd.DataFrame(
        [
            (f"s{i}", d, way, layer, lost, lost)
            for i in range(4)
            for d in DIRECTIONS
            for way, lost in ways
            for layer in range(2)
        ],
        columns=["sample", "following", "way", "layer", "lost", "nssd"],
    )
    plants = pd.DataFrame({"noise": NOISES, "follows": 1.0, "path": 1.0, "head": 1.0})
    asked = pd.DataFrame({"sample": "s0", "following": DIRECTIONS, "kept": [True, False]})
    names = [*DOSES, MASKED]
    return summarise_organisms(dict.fromkeys(names, swept), plants, dict.fromkeys(names, asked))


def routes():
    """Of `toy.routes` and one more route, through the template."""
    more = {"template→last": 9.0, "instruction→last + template→last": -1.0}
    names = ["own→instruction", "instruction→last", "own→last", "template→last"]
    places = {"all": [0, 30], "paper": [21, 27], "found": [24, 30]}
    smallest = dict.fromkeys(DIRECTIONS, ["instruction→last", "own→last"])
    table = toy.routes(leads=toy.ROUTE_LEADS | more)
    return summarise_routes(table, names, smallest, dict.fromkeys(DIRECTIONS, places))


def one_prompt():
    """A lead of 2 nats; silenced or doubled, the top heads move it by 1 and a random set by 0.5."""
    sets = [
        ("none", 1.0, 2.0),
        *(
            (name, factor, 2.0 + move)
            for factor in (0.0, 2.0)
            for method in ("eq12", "sensitivity")
            for name, move in ((method, 1.0), (f"{method} matched", 0.5))
        ),
    ]
    return pd.DataFrame(sets, columns=["heads", "factor", "lead"]).assign(
        draw=0, count=3, answer="red", outcome="follow"
    )


@pytest.mark.parametrize(
    ("notebook", "expected"),
    [
        (
            "appC_windows",
            {
                "extreme_vision_text_vision_w7": 1.07,
                "extreme_vision_text_vision_w7_layer": 4.0,
                "extreme_vision_text_vision_w1_plateau": 1.0,
                "extreme_vision_text_vision_w5_plateau": 5.0,
                "extreme_vision_text_text_w3": -0.515,
                "sign_vision_text_text_verdict": "holds",
                "shift_vision_text_vision_w7": 0.0,
                "place_vision_text_vision_verdict": "not seen",
                "ratio_vision_text_vision": 1.07 / 1.01,
                "ratio_vision_text_vision_verdict": "holds",
                "relay_w5": 0.98 * 1.05,
                "relay_w5_verdict": "holds",
                "same_relay_verdict": "holds",
                "same_direct_verdict": "holds",
                "compensation_w1": -0.505,
                "contrast_compensation_w1": -0.505,
                "same_compensation_verdict": "holds",
                "hub_text_w1_verdict": "not seen",
                "hub_text_w3_verdict": "holds",
                "same_hub_text_verdict": "not seen",
                "n_controls": 6.0,
                "widths": "1, 3, 5, 7",
            },
        ),
        (
            "appE_ablations",
            {
                "ldar_deep_default_text": 1.0,
                "ldar_deep_average_text": 0.0,
                "ldar_change_k2_text_verdict": "not seen",
                "ldar_change_average_text_verdict": "contradicted",
                "ldar_deep_default_text_shuffled": 0.0,
                "block_default_vision": 0.0,
                "drop_default_vision": 1.0,
                "drop_average_vision": 0.0,
                "contrast_block_k2_text_verdict": "not seen",
                "contrast_block_average_text": 1.0,
                "contrast_block_average_text_verdict": "holds",
                "localises_block_average_text_verdict": "not seen",
                "localises_block_default_text_verdict": "holds",
                "rise_default_text": 1.0,
                "amplify_random_text": 0.0,
                "contrast_amplify_average_text_verdict": "holds",
                "contrast_amplify_k2_vision_verdict": "not seen",
                "failures_text": 6.0,
                "weakened_text": 6.0,
                "n_blocked_text": 6.0,
                "moved_text": "1 of 2",
                "moved_vision": "0 of 1",
            },
        ),
        (
            "appF_meaning",
            {
                "follow_plain_text": 5 / 6,
                "n_asked_plain_text": 6.0,
                "n_swapped_vision": 6.0,
                "into_question_plain_text": 1.0,
                "into_question_plain_text_layer": 4.0,
                "into_question_plain_text_control": 0.0,
                "into_modality_plain_text_over_verdict": "not seen",
                "out_modality_swapped_vision_over": 1.0,
                "position_text": 1.0,
                "meaning_text": 0.0,
                "position_vision_out_verdict": "holds",
                "meaning_vision_out_verdict": "not seen",
                "neutral_text": 0.0,
            },
        ),
        (
            "appG_reviews",
            {
                "part_instruction_last_text_s20": 0.0,
                "whole_vision_last_vision_control": 0.0,
                "lost_attention_margin_text": -2.0,
                "lost_attention_margin_text_verdict": "holds",
                "fork_text": -2.0,
                "fork_text_layer": 23.0,
                "failures_text": 6.0,
                "weakened_text": 0.0,
                "last_mlp_margin_text": -2.0,
                "last_mlp_margin_text_verdict": "holds",
                "right_conflict_blocked_text": 0.0,
                "special_blocked_text_verdict": "not seen",
                "spared_blocked_text_verdict": "not seen",
                "special_doubled_text_verdict": "not seen",
                "loss_original": 3.0,
                "rise_blocked_text": 1.0,
                "rise_blocked_text_verdict": "contradicted",
                "excess_blocked_text_verdict": "holds",
            },
        ),
        (
            "sec2_dataset",
            {
                "follow_text": 5 / 6,
                "first_text": 1 / 6,
                "kept_vision": 5.0,
                "n_text": 6.0,
                "forms_mean": 4.0,
                "fallback_share": 0.5,
            },
        ),
        (
            "sec3_knockout",
            {
                "peak_vision_text_vision": 1.0,
                "peak_vision_text_vision_layer": 2.0,
                "peak_vision_text_vision_median": 1.0,
                "lead_vision_text_vision": 1.0,
                "lead_vision_text_vision_layer": 2.0,
                "contrast_lead_compensation_text": -0.5,
                "contrast_lead_compensation_text_verdict": "holds",
                "lead_trough_vision_text_text": -0.5,
                "sure_text": 0.0,
                "control_edges_vision_text_text": 1.0,
                "control_own_vision_text_text": 0.5 / 6,
                "control_rival_context_instruction_vision": 0.25,
                "trough_vision_text_text": -0.5,
                "trough_vision_text_text_layer": 1.0,
                "keeps_vision_text_vision": 0.0,
                "contrast_relay_vision": 1.0,
                "contrast_relay_vision_verdict": "holds",
                "size_compensation_text_verdict": "holds",
                "contrast_relay_control_vision": 1.0,
                "contrast_compensation_text": -0.5,
                "contrast_anchor_text_verdict": "not seen",
                "size_direct_text_verdict": "not seen",
                "authors_extreme_vision_text_vision": 1.0,
                "authors_shift_vision_text_vision": 2.5 / 3 - 14.5 / 28,
                "authors_ratio_vision_text_text": 0.5 / 0.3866,
            },
        ),
        (
            "sec3_beliefs",
            {
                "ldar_shallow_text": 0.5,
                "ldar_deep_text": 1.0,
                "ldar_max_text": 1.0,
                "ldar_max_text_layer": 20.0,
                "ldar_transition_text": "layer 20",
                "ldar_final_text_shuffled": 0.0,
                "sync_critical_text": 5 / 6,
                "sync_weak_text": "no such layer",
                "over_sync_text": 0.0,
                "over_ldar_max_text": 0.5,
                "follow_none_vision": 1.0,
                "follow_instruction_last_vision": 2 / 6,
                "compete_instruction_last_vision": 4 / 6,
                "follow_instruction_last_vision_own": 0.0,
                "contrast_random_text_own": 1.0,
                "contrast_random_text_own_verdict": "holds",
                "collapse_text": 2 / 6,
                "collapse_text_verdict": "not seen",
                "place_vision_own": "23–28",
                "place_vision": "21–26",
                "contrast_collapse_text_verdict": "not seen",
                "contrast_spared_text_verdict": "not seen",
                "ldar_rise_text_verdict": "not seen",
            },
        ),
        (
            "sec4_components",
            {
                "gap_shallow_text": 0.0,
                "gap_deep_text": 10.0,
                "share_gap_shallow_text": 0.0,
                "over_divergence_text": 0.0,
                "over_signal_rise_c_text": 0.0,
                "share_attention_margin_shallow_text": 0.0,
                "signal_rise_f_text": 30.0,
                "signal_rise_c_text": 20.0,
                "attention_signal_shallow_text": 10.0,
                "mlp_signal_text": 15.0,
                "attention_margin_deep_text": 2.0,
                "mlp_margin_deep_text": -2.0,
                "attention_top_text_layer": 23.0,
                "mlp_margin_deep_text_verdict": "holds",
                "arbiter_text_verdict": "holds",
                "attention_margin_shallow_text_verdict": "not seen",
            },
        ),
        (
            "sec4_heads",
            {
                "heads_total": 60.0,
                "top_count": 3.0,
                "over_overlap_top": 2 - 1.5,
                "over_overlap_ten": 9 - 8.5,
                "n_blocked_text": 6.0,
                "concentration_text": 1.0,
                "top_heads_vision": "29.1, 0.0, 0.1, 1.0, 1.1",
                "block_original_text": 1.0,
                "block_target_text": 0.0,
                "block_random_text": 0.5,
                "drop_target_text": 1.0,
                "contrast_necessity_text": 0.5,
                "contrast_necessity_text_both": 0.5,
                "failures_text": 6.0,
                "failures_vision": 0.0,
                "contrast_necessity_matched_text": 0.0,
                "contrast_necessity_matched_text_verdict": "not seen",
                "among_random_text": 2 / 3,
                "among_matched_text": 1.0,
                "draws_text": 2.0,
                "amplify_among_random_text": 1 / 2,
                "amplify_among_matched_text": 1.0,
                "contrast_sufficiency_matched_text_verdict": "not seen",
                "wanted_failures_text": 10.0,
                "short_failures_text": 4.0,
                "short_failures_vision": 10.0,
                "amplify_target_text": 1.0,
                "amplify_best_text_factor": 2.0,
                "plateau_text": -1.0,
                "plateau_text_verdict": "contradicted",
                "contrast_sufficiency_vision_verdict": "not measured",
            },
        ),
        (
            "sec4_sensitivity",
            {
                "heads_total": 40.0,
                "top_count": 2.0,
                "overlap_top_chance": 0.1,
                "n_single_text": 6.0,
                "n_ranked_vision": 6.0,
                "foretell_sensitivity_text": 1.0,
                "foretell_eq12_text": -1.0,
                "foretell_sensitivity_vision": -1.0,
                "contrast_foretell_text": 2.0,
                "foretell_sensitivity_text_verdict": "not seen",
                "foretell_eq12_text_verdict": "not seen",
                "contrast_foretell_vision_verdict": "not seen",
                "top_effect_sensitivity_text": 38.5,
                "top_effect_eq12_text": 0.5,
                "mean_effect_text": 19.5,
                "turned_instruction_text": 1.0,
                "strongest_text": 1.0,
                "contrast_several_text": -1.0,
                "contrast_several_vision_verdict": "contradicted",
                "top_heads_sensitivity_text": "9.3, 9.2",
                "top_layers_eq12_text": "0–0",
                "overlap_rankings_text": 0.0,
                "overlap_rankings_vision": 2.0,
                "overlap_halves_eq12_text": 2.0,
                "overlap_directions_sensitivity": 0.0,
                "overlap_directions_eq12": 2.0,
                "block_original_text": 1.0,
                "block_sensitivity_text": 0.0,
                "block_eq12_text": 1.0,
                "block_sensitivity_matched_text": 0.5,
                "block_random_text": 1.0,
                "drop_sensitivity_text": 1.0,
                "drop_sensitivity_text_verdict": "not seen",
                "drop_eq12_text_verdict": "not seen",
                "contrast_block_sensitivity_text": 0.5,
                "contrast_block_eq12_text_verdict": "not seen",
                "contrast_block_methods_vision_both": 1.0,
                "among_sensitivity_text": 2 / 3,
                "among_sensitivity_random_text": 1 / 3,
                "among_eq12_text": 1.0,
                "draws_text": 2.0,
                "own_sensitivity_text": 0.5,
                "selection_sensitivity_text_verdict": "not seen",
                "selection_eq12_text": 1 / 6,
                "specific_sensitivity_text": 1.0,
                "specific_eq12_text_verdict": "not seen",
                "failures_weakened_instruction_text": 6.0,
                "short_weakened_instruction_text": 0.0,
                "short_weak_evidence_text": 4.0,
                "failures_weak_evidence_text": 0.0,
                "amplify_sensitivity_weakened_instruction_text": 1.0,
                "amplify_sensitivity_matched_weakened_instruction_text": 0.5,
                "contrast_amplify_sensitivity_weakened_instruction_text": 0.5,
                "amplify_among_sensitivity_weakened_instruction_text": 2 / 3,
                "amplify_sensitivity_weakened_instruction_text_verdict": "not seen",
                "amplify_sensitivity_weakened_instruction_text_both": 1.0,
                "amplify_eq12_weakened_instruction_text_last": 0.0,
                "amplify_best_sensitivity_text_factor": 2.0,
                "plateau_sensitivity_text": -1.0,
                "plateau_eq12_text_verdict": "not measured",
                "contrast_amplify_eq12_weak_evidence_vision_verdict": "not measured",
                "tried_weakened_instruction_text": 6.0,
                "attempts_weakened_instruction_text": 12.0,
                "competed_weakened_instruction_text": 6.0,
                "other_weakened_instruction_text": 6.0,
                "degree_weakened_instruction_text": 0.5,
                "tried_weak_evidence_vision": 0.0,
            },
        ),
    ],
)
def test_quoted_numbers_are_those_of_the_tables(measured, notebook, expected):
    """Six samples, or samples that all agree, leave many words at *not seen*."""
    got = {key: measured[notebook][key] for key in expected}
    for key, value in expected.items():
        assert got[key] == (value if isinstance(value, str) else pytest.approx(value, abs=1e-12)), (
            key
        )


def test_where_nothing_is_restored_there_is_no_plateau(measured):
    failed = rows(
        lambda sample, **level: {"outcome": "competitor"},
        following=DIRECTIONS,
        setting=["amplification"],
        heads=["original", "target", "random", "shared"],
        draw=[0],
        share=[0.05],
        factor=[2.0, 5.0],
        positions=["instruction"],
    )
    scores = rows(lambda **level: {"margin": 1.0}, following=DIRECTIONS, layer=[0, 1], head=[0, 1])
    numbers = summarise_heads(scores, failed)
    assert numbers["amplify_best_text"] == 0 and math.isnan(numbers["amplify_best_text_factor"])
    assert numbers["plateau_text_verdict"] == "not measured"


def test_shared_heads_are_those_in_both_top_sets(measured):
    numbers = measured["sec4_heads"]
    assert "29.1" in numbers["shared_heads"] and "28.0" not in numbers["shared_heads"]
    assert numbers["overlap_top"] == 2  # 29.1, and 0.0 by the order of ties


def test_a_ranking_with_its_layers_shuffled_keeps_only_what_the_layers_tell(measured):
    """Forty heads in ten layers: the layers alone give most of the order, and not all of it."""
    numbers = measured["sec4_sensitivity"]
    assert (
        0.9 < numbers["foretell_sensitivity_text_layers"] < 1
        and -1 < numbers["foretell_eq12_text_layers"] < -0.9
    )


def test_questions_are_told_apart_from_the_paper_s_claims():
    asked = questions()
    assert len({question.id for question in asked}) == len(asked) and not {q.id for q in asked} & {
        c.id for c in reported_claims()
    }


def test_every_number_of_a_claim_is_computed(measured):
    for claim in (*reported_claims(), *questions()):
        numbers = measured[claim.notebook]
        wanted = [*claim.samples, *(finer.key for finer in claim.verdicts)]
        for quantity in claim.quantities:
            wanted += [quantity.key] + [
                quantity.key + end for end in ("_low", "_high") if quantity.interval
            ]
            wanted += [quantity.key + "_layer"] * quantity.layer
        wanted += [
            finer.key.removesuffix("_verdict") + end
            for finer in claim.verdicts
            for end in ("_size", "_seen")
            if not finer.key.startswith(NUMBERLESS)
        ]
        assert not set(wanted) - set(numbers), claim.id


def test_every_number_of_the_claims_page_is_computed(measured):
    for claim in (*predicted.predicted_claims(1), *predicted.predicted_claims()):
        for prediction in claim.predictions:
            wanted = {*prediction.keys, *prediction.n}
            assert not wanted - set(measured[prediction.notebook]), claim.id


def test_every_verdict_has_its_number_but_those_on_several(measured):
    for claim in reported_claims():
        for finer in claim.verdicts:
            name = finer.key.removesuffix("_verdict")
            lacking = {name, f"{name}_low", f"{name}_high"} - set(measured[claim.notebook])
            assert bool(lacking) == name.startswith(NUMBERLESS), (finer.key, lacking)


def test_every_verdict_is_a_word_of_the_one_vocabulary(measured):
    words = {
        word
        for numbers in measured.values()
        for key, word in numbers.items()
        if key.endswith("_verdict")
    }
    assert words <= set(rules.VERDICTS) - {"weaker"}, "weaker needs the paper's number"
    assert {"holds", "not seen", "contradicted"} <= words


def test_the_rule_of_a_finer_test_is_the_one_applied(measured, applied):
    """What is recorded is judged by the rule in the data, what is measured by the rule in the
    code.
    """
    judged = 0
    for comparison in (*reported_claims(), *questions()):
        for finer in comparison.verdicts:
            name = finer.key.removesuffix("_verdict")
            if finer.rule is None:
                several = name.startswith(NUMBERLESS)
                measured_bound = name.startswith(("gap_", "attention_margin_", "overlap_"))
                assert several or measured_bound, finer.key
            else:
                assert _plain(finer.rule) == _plain(applied[name]), finer.key
                judged += 1
    assert judged > 200


def _plain(rule):
    return {name: np.array(bound).tolist() for name, bound in rule.items()}


def test_numbers_are_plain(measured):
    """What is glued must print as a number: a numpy scalar prints its type."""
    assert all(
        type(value) in (float, str) for numbers in measured.values() for value in numbers.values()
    )


def test_another_seed_moves_the_interval_and_not_the_mean():
    values = np.random.default_rng(0).normal(size=40)
    one, two = (estimates.estimate("x", values, seed) for seed in (0, 1))
    assert one["x"] == two["x"] == pytest.approx(values.mean())
    assert one["x_low"] != two["x_low"] and one["x_low"] < one["x"] < one["x_high"]


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        ([1, 2, 3], [10, 10, 10], 0.2),
        ([-1, -2], [4, 8], -0.25),
        ([1, 1], [1, -1], math.nan),
        ([1, 1], [-2, -2], math.nan),
        ([], [], math.nan),
    ],
)
def test_a_share_of_nothing_is_no_share(part, whole, expected):
    found = estimates.ratio("x", part, whole)
    assert found["x"] == pytest.approx(expected, nan_ok=True)
    assert math.isnan(found["x_low"]) == math.isnan(found["x_high"]) == math.isnan(expected)


def test_the_interval_of_a_share_resamples_part_and_whole_together():
    """Each part is half of its whole, so every resample gives one half; resampled apart they would
    not.
    """
    found = estimates.ratio("x", [1.0, 5.0, 50.0], [2.0, 10.0, 100.0])
    assert found["x_low"] == pytest.approx(0.5) == found["x_high"]


def test_every_number_of_the_pages_is_computed(measured):
    found = []
    for page in (folders.ROOT / "book").glob("*.md"):
        for notebook, key in re.findall(
            r"\{glue:text\}`_executed/[\w-]+/(\w+)\.ipynb::(\w+):", page.read_text(encoding="utf-8")
        ):
            assert key in measured[notebook], f"{page.name}: {key}"
            found.append(key)
    assert found


def test_pages_name_the_equations_of_the_paper_in_order():
    pages = [
        (folders.ROOT / "book" / name).read_text(encoding="utf-8")
        for name in ("sec3_anchors.md", "sec4_arbitration.md")
    ]
    assert re.findall(r"\\tag\{(\d+)\}", "".join(pages)) == [str(number) for number in range(1, 13)]
