"""Routes closed alone, in pairs and together: the primitive against plain passes, the rows, the
greedy search, and the numbers.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
import toy_tables
from arbitration import Pathway, dataset
from arbitration.dataset import entities
from arbitration.engine import generation
from arbitration.equations.hooks import hooks
from arbitration.equations.metrics import interaction
from reproduction.measures import routes
from reproduction.numbers import summarise_routes
from reproduction.numbers.routes import interactions, pairs, place_routes, slug, smallest_set

every_architecture = pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
NAMES = ["own→instruction", "instruction→last", "own→last"]


def full_pass(subject, prompt, closed, layers):
    """Log-probabilities of the next token with some (source, target) groups closed: masks by
    comparing positions, for this test alone.
    """
    length = prompt.groups.length
    rows, columns = torch.arange(length)[:, None], torch.arange(length)[None]
    usual = columns <= rows
    blocked = usual.clone()
    for source, target in closed:
        into = torch.isin(rows, prompt.groups.positions(target))
        blocked &= ~(into & torch.isin(columns, prompt.groups.positions(source))) | rows.eq(columns)

    def close(module, args, kwargs):
        own = blocked if module.layer_idx in layers else usual
        return args, {**kwargs, "attention_mask": own[None, None]}

    with (
        torch.no_grad(),
        hooks(
            subject.attention(layer).register_forward_pre_hook(close, with_kwargs=True)
            for layer in range(subject.n_layers)
        ),
    ):
        return subject.model(**prompt.inputs, use_cache=False).logits[0, -1].log_softmax(-1)


@every_architecture
def test_sets_closed_together_each_in_its_own_layers(architecture):
    subject = tiny.subject(architecture)
    prompt = subject.encode(tiny.samples()[0], "vision")
    sets = [
        ([], range(5)),
        ([("vision", "instruction")], range(1, 4)),
        ([("vision", "instruction"), ("instruction", "last")], range(5)),
        ([("vision", "last"), ("vision", "after"), ("template", "last")], range(2, 4)),
    ]
    given = [([Pathway(*path) for path in some], layers) for some, layers in sets]
    expected = torch.stack([full_pass(subject, prompt, *one) for one in sets])
    both = [prompt.y_p, prompt.y_c]
    for engine in ("auto", "plain"):
        clean, closed, answers = generation.close_sets(subject, prompt, given, 4, engine)
        assert (closed.log_probabilities - expected[:, both]).abs().max() < 1e-12
        assert (clean.log_probabilities - expected[:1, both]).abs().max() < 1e-12
        assert closed.tokens.tolist() == expected.argmax(-1).tolist()
        some = expected[2].exp(), expected[0].exp()
        size = (some[1] * (some[1] / some[0]).log()).sum()
        assert closed.divergence[2].abs().item() == pytest.approx(size.item(), rel=1e-6)
        for (paths, layers), answer in zip(given, answers):
            one = generation.answers_without(subject, prompt, [paths], layers, 4, "plain")
            assert one == [answer]
    moved = (expected[1:] - expected[:1])[:, both].abs().amax(-1)
    assert moved.min() > 1e-3


def test_rows_of_one_prompt():
    subject = tiny.subject("llava")
    prompt = subject.encode(tiny.samples()[1], "text")
    dictionary = entities.load("scenes")
    places = {"text": {"all": [0, 5], "found": [1, 3]}, "vision": {}}
    sets = [[], ["own→instruction"], ["instruction→last", "own→instruction"]]
    table = routes.measure_routes(subject, prompt, dictionary, sets, places)
    assert table["place"].tolist() == ["all"] * 3 + ["found"] * 3
    assert (
        table["routes"].tolist()
        == [
            "none",
            "own→instruction",
            "own→instruction + instruction→last",
        ]
        * 2
    )
    assert table["size"].tolist() == [0, 1, 2] * 2 and not table["control"].any()
    clean, closed = (
        full_pass(subject, prompt, paths, range(1, 3))
        for paths in ([], [("context", "instruction")])
    )
    lead, left = (one[prompt.y_p] - one[prompt.y_c] for one in (clean, closed))
    row = table.iloc[4]
    assert row["lead"] == pytest.approx(left.item(), abs=1e-10)
    assert row["lost"] == pytest.approx((lead - left).item(), abs=1e-10)
    p, q = (torch.sigmoid(one).item() for one in (lead, left))
    nssd = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert row["nssd"] == pytest.approx(nssd if q < p else -nssd, abs=1e-10)
    assert table.loc[0, "lost"] == pytest.approx(0, abs=1e-10)
    assert (table["follows"] == (table["outcome"] == "follow")).all()
    drawn = routes.measure_routes(subject, prompt, dictionary, sets, places, control=3)
    assert drawn["control"].all() and drawn.loc[0, "lead"] == table.loc[0, "lead"]
    assert (drawn.loc[[1, 2], "lead"] != table.loc[[1, 2], "lead"]).all()


def test_windows_are_those_of_plain_passes():
    subject = tiny.subject("llava")
    prompt = subject.encode(tiny.samples()[0], "vision")
    table = routes.measure_windows(subject, prompt, "instruction→last", 2)
    assert table["start"].tolist() == [0, 1, 2, 3]
    clean = full_pass(subject, prompt, [], [])
    for start, lost in zip(table["start"], table["lost"]):
        one = full_pass(subject, prompt, [("instruction", "last")], [start, start + 1])
        expected = (clean - one)[prompt.y_p] - (clean - one)[prompt.y_c]
        assert lost == pytest.approx(expected.item(), abs=1e-10)
    assert table["lost"].abs().max() > 0.01
    plain = routes.measure_windows(tiny.subject("gemma-3"), gemma_prompt(), "instruction→last", 2)
    assert len(plain) == 4 and plain["lost"].abs().max() > 0


def gemma_prompt():
    return tiny.subject("gemma-3").encode(tiny.samples()[0], "vision")


def test_a_route_that_a_template_lacks_is_none():
    subject = tiny.subject("llava")
    prompts = [subject.encode(tiny.samples()[0], way) for way in dataset.MODALITIES]
    assert routes.common_routes(prompts) == list(routes.ROUTES)
    groups = prompts[0].groups
    short = replace(groups, template=groups.template[groups.template < groups.instruction.min()])
    bare = replace(prompts[0], groups=short)
    assert routes.common_routes([*prompts, bare]) == [*NAMES, "template→last"]


def test_interaction_by_hand():
    assert interaction(10.0, 9.0, 8.0, 1.0) == 6.0  # 9 lost together, 1 and 2 alone
    assert interaction(10.0, 9.0, 8.0, 7.0) == 0.0  # they add up
    assert interaction(10.0, 1.0, 1.0, 1.0) == -9.0  # one chain
    assert interaction(
        np.array([1, 1]), np.array([1, 0]), np.array([1, 0]), np.zeros(2)
    ).tolist() == [
        1.0,
        -1.0,
    ]


PLACES = {d: {"all": [0, 30], "paper": [21, 27], "found": [24, 30]} for d in ("text", "vision")}


def test_numbers_by_hand():
    pair = ["instruction→last", "own→last"]
    found = summarise_routes(toy_tables.routes(), NAMES, {"text": pair, "vision": pair}, PLACES)
    assert found["n_text"] == 4
    assert found["layers_found_text"] == "24–29" and found["layers_all_vision"] == "0–29"
    assert found["lost_all_own_instruction_text"] == 1.0
    assert found["lost_paper_together_text"] == 13.0
    assert found["follow_found_instruction_last_and_own_last_vision"] == 0.0
    assert found["follow_all_together_vision_random"] == 1.0
    # Alone 2 and 2 nats, together 12.
    assert found["more_lead_all_instruction_last_and_own_last_text"] == 8.0
    alike = "more_lead_all_instruction_last_and_own_last_text"
    assert found[f"{alike}_verdict"] == "not seen", "every sample alike: no width"
    table = toy_tables.routes()
    table["lead"] += 0.1 * table["sample"].str[1:].astype(int) * (table["size"] == 2)
    spread = summarise_routes(table, NAMES, {"text": pair, "vision": pair}, PLACES)
    assert spread[alike] == pytest.approx(8.0 - 0.15) and spread[f"{alike}_verdict"] == "holds"
    assert found["more_follow_all_instruction_last_and_own_last_text"] == 1.0
    assert found["more_nssd_all_instruction_last_and_own_last_text"] == pytest.approx(0.8)
    assert found["more_lead_all_own_instruction_and_own_last_text"] == 0.0
    assert found["smallest_text"] == "instruction→last + own→last"
    assert found["size_smallest_text"] == 2.0
    assert found["follow_smallest_text"] == 0.0 and found["follow_smallest_text_random"] == 1.0
    assert found["contrast_smallest_text"] == 1.0


def test_what_is_missing_is_not_measured():
    table = toy_tables.routes()
    found = summarise_routes(table[table["following"] == "text"], NAMES, {"text": NAMES}, PLACES)
    assert found["smallest_vision"] == "not measured" and found["n_vision"] == 0
    assert np.isnan(found["follow_all_own_last_vision"])
    assert found["more_lead_all_own_instruction_and_own_last_vision_verdict"] == "not measured"
    assert found["follow_smallest_text"] == 0.0


def test_interactions_are_sample_by_sample():
    table = toy_tables.routes(2)
    here = table[(table["following"] == "text") & (table["place"] == "all") & ~table["control"]]
    one = (here["sample"] == "s1") & (here["routes"] == "instruction→last + own→last")
    here = here.assign(lead=here["lead"].where(~one, 6.0))
    found = interactions(here, NAMES, "lead")
    assert list(found) == [routes.join_names(pair) for pair in pairs(NAMES)]
    assert found["instruction→last + own→last"].tolist() == [8.0, 0.0]


def follow_table(sets, follows):
    """Rows of a search in which a set's share of four samples follows."""
    return pd.DataFrame(
        [
            {
                "routes": routes.join_names(some),
                "follows": float(at < 4 * follows(some)),
                "lost": 1.0,
            }
            for some in sets
            for at in range(4)
        ]
    )


def test_the_smallest_set_is_found_greedily():
    asked = []

    def measure(sets):
        asked.append(sets)
        # Of single ones the third costs most, and only with the first it breaks the decision.
        return follow_table(
            sets,
            lambda some: (
                0.25
                if set(some) == {"own→last", "own→instruction"}
                else 1 - 0.05 - 0.25 * ("own→last" in some)
            ),
        )

    assert smallest_set(measure, NAMES) == ["own→last", "own→instruction"]
    assert [len(sets) for sets in asked] == [3, 2]
    assert smallest_set(lambda sets: follow_table(sets, lambda some: 1.0), NAMES) == NAMES
    half = smallest_set(lambda sets: follow_table(sets, lambda some: 0.5), NAMES)
    assert half == NAMES, "half is not below half"


def test_of_sets_that_follow_alike_the_costlier_one_is_taken():
    def measure(sets):
        table = follow_table(sets, lambda some: 0.0)
        return table.assign(lost=(table["routes"] == "own→last") * 5.0)

    assert smallest_set(measure, NAMES) == ["own→last"]


def test_the_own_place_is_where_the_other_samples_lose_most():
    windows = pd.DataFrame(
        [
            ("s1", "text", 0, 5.0),
            ("s1", "text", 1, 3.0),
            ("s2", "text", 0, 0.0),
            ("s2", "text", 1, 4.0),
        ],
        columns=["sample", "following", "start", "lost"],
    )
    places = place_routes(windows, 28)
    assert places["text"] == {"all": [0, 28], "paper": [20, 26], "found": [1, 7]}
    assert places["vision"]["found"] == [20, 26], "no sample of that direction"


def test_names_of_keys():
    assert (
        slug(routes.join_names(["own→last", "own→instruction"])) == "own_instruction_and_own_last"
    )
    assert routes.join_names([]) == "none"
