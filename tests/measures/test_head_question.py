"""Which heads decide (§4.2, with a second ranking): scores, the truth about each head alone,
controls, and failures from three sources.
"""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from arbitration import Head, scale_heads, uncertainty
from arbitration.dataset import entities
from arbitration.dataset.outcomes import Judgement
from arbitration.engine import generation
from arbitration.engine.plain import decision, next_token_logits
from arbitration.equations import attribution, heads, sensitivity
from arbitration.models import altered
from reproduction import measures, results
from reproduction.cohorts import failures
from reproduction.measures import answers
from reproduction.measures.head_sets import Case
from reproduction.results import question

every_architecture = pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)


def case(architecture, way="vision"):
    subject = tiny.subject(architecture)
    return subject, subject.encode(tiny.samples()[0], way)


def test_layer_matched_heads_have_the_layers_of_the_set_and_none_of_its_heads():
    subject = tiny.subject("llava")
    target = [Head(4, 1), Head(1, 0), Head(1, 5), Head(1, 2)]
    controls = [heads.layer_matched_heads(subject, target, seed) for seed in range(30)]
    for control in controls:
        assert [head.layer for head in control] == [1, 1, 1, 4] and len(set(control)) == 4
        assert not set(control) & set(target)
    assert controls[0] == heads.layer_matched_heads(subject, target[::-1], 0)
    assert {head.index for control in controls for head in control if head.layer == 4} == {
        0,
        2,
        3,
        4,
        5,
    }


def test_a_layer_that_the_set_fills_lends_its_own_heads_last():
    subject = tiny.subject("llava")
    target = [Head(2, index) for index in (0, 1, 3, 5)]
    for seed in range(10):
        control = heads.layer_matched_heads(subject, target, seed)
        assert (
            len(set(control)) == 4
            and {Head(2, 2), Head(2, 4)} < set(control)
            and len(set(control) & set(target)) == 2
        )
    assert heads.layer_matched_heads(subject, [], 0) == []


@pytest.mark.parametrize(
    "one, other, expected",
    [
        ([1, 2, 3, 4], [10, 20, 30, 1000], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [2, 1, 4, 3], 0.6),  # 1 − 6·4 / (4·15)
        ([1, 1, 2, 3], [1, 2, 3, 4], 4.5 / math.sqrt(4.5 * 5)),  # ranks 1.5, 1.5, 3, 4
    ],
)
def test_rank_correlation_by_hand(one, other, expected):
    assert uncertainty.rank_correlation(one, other) == pytest.approx(expected)


def test_rank_correlation_of_a_constant_is_undefined():
    assert math.isnan(uncertainty.rank_correlation([1, 1, 1], [1, 2, 3]))


@pytest.mark.parametrize(
    "strength, draws, expected",
    [(3.0, [1, 2, 3, 4], 0.6), (5.0, [1, 2, 3, 4], 0.2), (0.0, [1, 2, 3, 4], 1.0)],
)
def test_a_target_falls_among_its_draws(strength, draws, expected):
    assert uncertainty.at_least_as_strong(strength, draws) == pytest.approx(expected)


def test_without_draws_a_target_has_no_place():
    assert math.isnan(uncertainty.at_least_as_strong(1.0, [])) and math.isnan(
        uncertainty.at_least_as_strong(math.nan, [1.0])
    )


@every_architecture
def test_several_places_come_from_one_backward_pass(architecture):
    subject = tiny.subject(architecture)
    several = [subject.encode(sample, "text") for sample in tiny.samples()]
    both = sensitivity.gain_gradients(subject, several, positions=("instruction", "last"))
    assert both.shape == (len(several), 2, subject.n_layers, subject.n_heads)
    for index, name in enumerate(("instruction", "last")):
        torch.testing.assert_close(
            both[:, index],
            sensitivity.gain_gradients(subject, several, positions=name),
            rtol=1e-12,
            atol=1e-12,
        )
    assert not torch.allclose(both[:, 0], both[:, 1])


@every_architecture
def test_scores_are_those_of_both_measures(architecture):
    subject, prompt = case(architecture)
    dictionary = tiny_dictionary()
    table = measures.heads.score_heads(subject, prompt, dictionary).set_index(["layer", "head"])
    alone = attribution.head_attribution(subject, [prompt], dictionary).set_index(["layer", "head"])
    assert (table["eq12"] == alone["margin"]).all()
    for positions in measures.heads.PLACES:
        direct = sensitivity.gain_gradients(
            subject,
            [prompt],
            positions=lambda p, name=positions: measures.heads.positions_of(p, name),
        )[0]
        assert table[f"sensitivity_{positions}"].to_numpy() == pytest.approx(
            direct.flatten().numpy(), rel=1e-9, abs=1e-9
        )


def tiny_dictionary():
    return entities.load("scenes")


@every_architecture
@pytest.mark.parametrize("positions", measures.heads.PLACES)
def test_leads_under_scaled_heads_are_the_plain_way_s(architecture, positions):
    subject, prompt = case(architecture)
    gains = torch.stack(
        [
            heads.gain_table(subject, chosen, factor)
            for chosen, factor in [([], 1.0), ([Head(3, 1)], 0.0), ([Head(0, 2), Head(4, 0)], 2.5)]
        ]
    )
    at = measures.heads.positions_of(prompt, positions)
    clean, resumed = generation.leads(subject, prompt, gains, at)
    plainly, plain = generation.leads(subject, prompt, gains, at, engine="plain")
    assert clean == pytest.approx(plainly, abs=1e-10) and resumed.numpy() == pytest.approx(
        plain.numpy(), abs=1e-10
    )
    assert (
        resumed[0].item() == pytest.approx(clean, abs=1e-10)
        and (resumed[1:] - clean).abs().min() > 1e-6
    )
    with scale_heads(subject, [Head(3, 1)], 0.0, at):
        blocked = decision(next_token_logits(subject, prompt), prompt).log_probabilities[0]
    assert resumed[1].item() == pytest.approx((blocked[0] - blocked[1]).item(), abs=1e-10)


@every_architecture
def test_silencing_is_each_head_alone(architecture):
    subject, prompt = case(architecture, "text")
    table = measures.heads.silence_heads(subject, prompt)
    assert len(table) == 2 * subject.n_layers * subject.n_heads
    assert len(table.drop_duplicates(["positions", "layer", "head"])) == len(table)
    for positions, layer, index in [("instruction", 1, 4), ("last", 4, 0), ("instruction", 0, 0)]:
        with scale_heads(subject, [Head(layer, index)], 0.0, prompt.groups.positions(positions)):
            log_p = decision(next_token_logits(subject, prompt), prompt).log_probabilities[0]
        row = table.set_index(["positions", "layer", "head"]).loc[positions, layer, index]
        assert row["effect"] == pytest.approx(row["clean"] - (log_p[0] - log_p[1]).item(), abs=1e-9)
        assert row["turned"] == (row["clean"] > 0 > row["clean"] - row["effect"])
    last_layer = table[
        (table["positions"] == "instruction") & (table["layer"] == subject.n_layers - 1)
    ]
    assert last_layer["effect"].abs().max() < 1e-10, (
        "nothing after the last layer reads the instruction tokens"
    )
    assert table["effect"].abs().max() > 1e-3


def orders(subject, seed=0):
    """Rankings that all differ, by a permutation of all heads for each."""
    random = np.random.default_rng(seed)
    every = [
        Head(layer, index) for layer in range(subject.n_layers) for index in range(subject.n_heads)
    ]
    return {
        (method, positions, way): [every[i] for i in random.permutation(len(every))]
        for method in measures.heads.METHODS
        for positions in measures.heads.PLACES
        for way in ("text", "vision")
    }


def test_rankings_go_by_their_own_column():
    random = np.random.default_rng(0)
    levels = itertools.product("ab", ("text", "vision"), range(2), range(3))
    table = pd.DataFrame(levels, columns=["sample", "following", "layer", "head"])
    columns = ["eq12", *(f"sensitivity_{positions}" for positions in measures.heads.PLACES)]
    table[columns] = random.normal(size=(len(table), len(columns)))
    found = measures.heads.rank_heads(table)
    assert len(found) == 12
    for (method, positions, way), order in found.items():
        column = "eq12" if method == "eq12" else f"sensitivity_{positions}"
        mean = table[table["following"] == way].groupby(["layer", "head"])[column].mean()
        assert [mean[head.layer, head.index] for head in order] == sorted(mean, reverse=True)


def test_each_direction_is_ranked_by_its_own_samples():
    """Text: head 1 before 0; vision: the other way round."""
    rows = [("text", 0, 0, 1.0), ("text", 0, 1, 2.0), ("vision", 0, 0, 2.0), ("vision", 0, 1, 1.0)]
    scores = pd.DataFrame(rows, columns=["following", "layer", "head", "margin"])
    found = measures.heads.rank_directions(scores)
    assert found == {"text": [Head(0, 1), Head(0, 0)], "vision": [Head(0, 0), Head(0, 1)]}


@pytest.mark.parametrize("kind", ["eq12 matched", "sensitivity matched", "random"])
def test_every_draw_of_a_control_is_another(kind):
    subject = tiny.subject("llava")
    some = list(
        measures.head_sets.list_settings(
            subject, [Case(0.2, 0.0, 12)], orders(subject), "both", "text"
        )
    )
    drawn = {one.draw: one.chosen for one in some if one.heads == kind}
    assert len(drawn) == 12 and len(set(drawn.values())) > 4, "a small set may come twice"


def test_settings_hold_targets_comparisons_and_controls():
    subject, ranked, same = (
        tiny.subject("llava"),
        orders(tiny.subject("llava")),
        orders(tiny.subject("llava"), 1),
    )
    found = list(
        measures.head_sets.list_settings(
            subject,
            [Case(0.1, 0.0, 2, compared=True), Case(0.2, 2.0, 1)],
            ranked,
            "both",
            "text",
            same,
        )
    )
    names = [(one.heads, one.ranked_on, one.draw) for one in found if one.case.share == 0.1]
    assert names == [
        one
        for method in measures.heads.METHODS
        for one in [
            (method, "other samples", 0),
            (method, "same samples", 0),
            (method, "other direction", 0),
            (f"{method} matched", "", 0),
            (f"{method} matched", "", 1),
        ]
    ] + [("random", "", 0), ("random", "", 1)]
    chosen = {(one.heads, one.ranked_on, one.draw): one for one in found if one.case.share == 0.1}
    assert chosen["eq12", "other samples", 0].chosen == tuple(ranked["eq12", "both", "text"][:3])
    assert chosen["sensitivity", "same samples", 0].chosen == tuple(
        same["sensitivity", "both", "text"][:3]
    )
    assert chosen["sensitivity", "other direction", 0].chosen == tuple(
        ranked["sensitivity", "both", "vision"][:3]
    )
    target, control = (
        chosen["sensitivity", "other samples", 0],
        chosen["sensitivity matched", "", 1],
    )
    assert sorted(h.layer for h in control.chosen) == sorted(h.layer for h in target.chosen)
    assert control.own == len(set(control.chosen) & set(target.chosen)) and target.own == 3
    assert {len(one.chosen) for one in found if one.case.share == 0.2} == {6}
    assert not [
        one
        for one in found
        if one.case.share == 0.2 and one.ranked_on in ("same samples", "other direction")
    ]


def test_interventions_are_the_answers_with_those_heads_scaled():
    """At every place, although all come from one clean pass."""
    subject, prompt = case("internvl", "text")
    cases = [Case(0.2, 0.0, 1), Case(0.2, 3.0, 0)]
    groups = prompt.groups
    where = {"instruction": groups.instruction, "last": groups.last}
    where["both"] = torch.cat([groups.instruction, groups.last])
    listed = measures.head_sets.list_settings
    sets = {place: list(listed(subject, cases, orders(subject), place, "text")) for place in where}
    table = measures.head_sets.scale_sets(subject, prompt, tiny_dictionary(), sets, "blocking")
    plain = generation.answers(subject, prompt, engine="plain")
    for place, own in sets.items():
        rows = table[table["positions"] == place]
        assert len(own) > 2
        assert rows["heads"].tolist() == ["original", *(one.heads for one in own)]
        assert rows["count"].tolist() == [0] + [6] * len(own)
        assert rows["factor"].tolist() == [1.0, *(one.case.factor for one in own)]
        expected = [
            generation.answers(
                subject,
                prompt,
                heads.gain_table(subject, one.chosen, one.case.factor)[None],
                where[place],
                engine="plain",
            )[0]
            for one in own
        ]
        assert rows["answer"].tolist() == plain + expected
    assert table["answer"].nunique() > 2


def test_failures_of_one_sample_are_told_apart_in_one_table(monkeypatch, tmp_path):
    """What makes them fail is part of their `id`, under which parts and records are kept."""
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ARBITRATION_RECORDS", str(tmp_path / "results"))
    subject, prompt = case("llava", "text")
    failing = [replace(prompt, variant=source) for source in ("", *failures.SOURCES[:2])]
    ends = ["", "-unread-wording", "-weakened-instruction"]
    assert [one.id for one in failing] == [prompt.id + end for end in ends]
    given = {"orders": orders(subject), "places": {"instruction": [Case(0.2, 3.0, 1)]}}
    given |= {"dictionary": tiny_dictionary(), "setting": "amplification", "seed": 0}
    scale = measures.each(measures.head_sets.scale_failures)
    table = results.gather("failing", scale, subject, failing, **given)
    each = [part.drop(columns="source") for _, part in table.groupby("source", sort=False)]
    assert table["source"].unique().tolist() == ["", *failures.SOURCES[:2]]
    assert each[0].equals(each[1].reset_index(drop=True))
    assert each[0].equals(each[2].reset_index(drop=True))
    asked = question.Question("failing", scale, subject, given)
    assert asked.tried == "draw", "an attestation asks for a part of the draws"


@pytest.mark.parametrize("way", ["vision", "text"])
def test_fading_draws_the_evidence_to_its_mean_and_leaves_the_rest(way):
    subject, sample = tiny.subject("llava"), tiny.samples()[0]
    plain, none, half, whole = (
        subject.encode(sample, way),
        *(altered.fade(subject, sample, way, share) for share in (0.0, 0.5, 1.0)),
    )
    with torch.no_grad():
        logits = [
            subject.model(**prompt.inputs).logits[0, -1] for prompt in (plain, none, half, whole)
        ]
    assert torch.allclose(logits[0], logits[1], atol=1e-9)
    assert not torch.allclose(logits[1], logits[2]) and not torch.allclose(logits[2], logits[3])
    if way == "vision":
        assert (
            whole.inputs["pixel_values"].flatten(2).std(-1).max()
            < 1e-6
            < plain.inputs["pixel_values"].flatten(2).std(-1).max()
        )
        assert torch.equal(half.inputs["input_ids"], plain.inputs["input_ids"])
    else:
        inside = half.groups.context
        outside = torch.ones(half.groups.length, dtype=bool).index_fill(0, inside, False)
        embedded = [prompt.inputs["inputs_embeds"][0] for prompt in (none, half, whole)]
        assert all(torch.equal(one[outside], embedded[0][outside]) for one in embedded)
        assert embedded[2][inside].std(0).max() < 1e-9 and torch.allclose(
            embedded[1][inside], (embedded[0][inside] + embedded[2][inside]) / 2
        )
        assert torch.equal(half.inputs["pixel_values"], plain.inputs["pixel_values"])


def test_a_context_that_positions_depend_on_cannot_be_faded():
    subject, sample = tiny.subject("qwen2.5-vl"), tiny.samples()[0]
    with pytest.raises(ValueError, match="cannot be blurred"):
        altered.fade(subject, sample, "text", 0.5)
    assert altered.fade(subject, sample, "vision", 1.0).inputs["pixel_values"].std(0).max() < 1e-6


def test_wordings_are_the_set_s_own_and_drawn_by_seed():
    samples = tiny.samples(12)
    found = failures.draw_wordings(samples, "text", seed=0, count=4)
    assert len(set(found)) == 4 and set(found) <= {sample.instruction("text") for sample in samples}
    assert (
        found
        == failures.draw_wordings(samples, "text", 0, 4)
        != failures.draw_wordings(samples, "text", 1, 4)
    )


def test_failures_are_the_mildest_that_give_the_competitor_s_answer(tmp_path, monkeypatch):
    """Of four samples one never turns, and one turns into something else: both stay on record,
    neither is a failure.
    """
    monkeypatch.setattr(question, "cache", lambda: tmp_path)
    subject, samples = tiny.subject("llava"), list(tiny.samples(4))
    outcomes = dict(
        zip(
            (sample.id for sample in samples),
            (
                ["follow", "competitor"],
                ["follow"] * 4,
                ["competitor"],
                ["follow", "other", "other", "other"],
            ),
        )
    )
    asked = []

    def judged(answer, prompt, dictionary):
        asked.append(prompt.sample.id)
        outcome = outcomes[prompt.sample.id][asked.count(prompt.sample.id) - 1]
        return Judgement(outcome, ambiguous=False)

    monkeypatch.setattr(answers, "judge_answer", judged)
    sought = failures.Search("text", failures.WEAKENED, {one.id for one in samples}, 3)
    [(found, tried)] = failures.seek_failures(subject, samples, [sought], tiny_dictionary())
    assert [prompt.sample.id for prompt, _ in found] == [samples[0].id, samples[2].id]
    failed = tried[tried["outcome"] == "competitor"]
    degrees = [failures.MIXES[1], failures.MIXES[0]]
    assert failed["degree"].tolist() == [degree for _, degree in found] == degrees
    assert tried.groupby("sample", sort=False).size().tolist() == [2, 4, 1, 4]
    embeddings = altered.weaken(subject, samples[0], "text", failures.MIXES[1]).inputs[
        "inputs_embeds"
    ]
    assert torch.equal(found[0][0].inputs["inputs_embeds"], embeddings)
    [(enough, tried)] = failures.seek_failures(
        subject, samples, [replace(sought, n=1)], tiny_dictionary()
    )
    assert len(enough) == 1 and set(tried["sample"]) == {samples[0].id}, (
        "what was asked before is remembered, and one is enough"
    )


def test_sources_that_a_model_cannot_take_are_empty_and_unknown_ones_are_named():
    subject, sample = tiny.subject("qwen2.5-vl"), tiny.samples()[0]
    assert (
        list(failures.list_attempts(subject, sample, "text", failures.WEAKENED))
        == list(failures.list_attempts(subject, sample, "text", failures.FADED))
        == []
    )
    assert [
        degree for degree, _ in failures.list_attempts(subject, sample, "vision", failures.FADED)
    ] == list(failures.BLURS)
    own = sample.instruction("vision")
    tried = dict(
        failures.list_attempts(subject, sample, "vision", failures.UNREAD, ["Look.", own, "See."])
    )
    assert (
        list(tried) == [0.0, 1.0, 2.0]
        and [wording in tried[i].text for i, wording in enumerate((own, "Look.", "See."))]
        == [True] * 3
    )
    with pytest.raises(ValueError, match="known: 'unread wording'"):
        list(failures.list_attempts(subject, sample, "text", "bad luck"))
