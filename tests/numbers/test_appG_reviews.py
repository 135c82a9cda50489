"""What the reviewers asked for (Appendix G): from tables and texts worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from arbitration import Head, scale_heads
from arbitration.dataset import entities
from arbitration.engine import generation
from arbitration.equations import heads
from reproduction.measures import ability
from reproduction.numbers import reviews, stability

LAYERS = 6


def table(values, **columns):
    """NSSD and divergence of all main pathways: `values` (n_samples, LAYERS), the divergence by
    `columns`; controls are a tenth.
    """
    frames = []
    for d in ("text", "vision"):
        for path in stability.main_pathways(d):
            for control in (False, True):
                samples, layers = np.indices(values.shape)
                frame = pd.DataFrame(
                    {
                        "sample": [f"s{9 - i}" for i in samples.ravel()],
                        "layer": layers.ravel(),
                        "nssd": values.ravel() * (0.1 if control else 1),
                    }
                )
                frame["divergence"] = columns.get("divergence", lambda nssd: nssd)(frame["nssd"])
                frame = frame.assign(logp_p=-1.0, logp_c=-4.0, logp_c_blocked=-4.0)
                frame["logp_p_blocked"] = -1.0 - 10 * frame["nssd"]
                frames.append(frame.assign(following=d, pathway=path, control=control, model="toy"))
    return pd.concat(frames, ignore_index=True)


def peaked(*at):
    """Samples whose curves are 1 + their number / 10 at their own layer, 0 elsewhere."""
    values = np.zeros((len(at), LAYERS))
    values[np.arange(len(at)), at] = 1 + np.arange(len(at)) / 10
    return values


def test_nested_parts_are_the_first_samples_as_measured():
    found = stability.summarise_stability(table(peaked(3, 3, 3, 3, 1)))
    assert (
        found["part_context_instruction_text_s20"],
        found["part_context_instruction_text_s20_layer"],
    ) == (1.0, 3.0), "s9, the first, sorts last"
    assert found["part_context_instruction_text_s60"] == pytest.approx((1 + 1.1 + 1.2) / 3)
    assert (
        found["part_vision_last_vision_s100"] == pytest.approx((1 + 1.1 + 1.2 + 1.3) / 5)
        and found["n_text"] == found["n_controls"] == 5.0
    )


def test_lead_and_median_stand_beside_the_peak_of_each_part():
    """The lead lost is ten times the NSSD; of the first 40 %, 3 of 7, one peaks elsewhere."""
    found = stability.summarise_stability(table(peaked(3, 3, 1, 1, 1, 1, 1)))
    key = "part_context_instruction_text"
    assert found[f"{key}_s40_layer"] == 3.0
    assert found[f"{key}_s40_median"] == pytest.approx(1.0)
    assert found[f"{key}_s40_lead"] == pytest.approx(10 * (1 + 1.1 + 0) / 3)
    assert found[f"{key}_s100_layer"] == 1.0
    assert found[f"{key}_s100_median"] == pytest.approx(1.3)
    assert found[f"{key}_s100_lead"] == pytest.approx(10 * found[f"{key}_s100"])


def test_disjoint_halves_may_disagree_where_nested_parts_cannot():
    curves = np.tile(np.arange(LAYERS), (6, 1)).astype(float)
    same = stability.summarise_stability(table(curves))
    assert same["halves_corr_instruction_last_text"] == pytest.approx(1.0)
    assert same["halves_corr_instruction_last_text_verdict"] == "not seen", (
        "equal samples: no width"
    )
    assert (
        same["halves_shift_instruction_last_text"]
        == same["halves_gap_instruction_last_text"]
        == 0.0
    )
    alike = curves + np.random.default_rng(0).normal(0, 0.1, curves.shape)
    alike = stability.summarise_stability(table(alike))
    assert alike["halves_corr_instruction_last_text"] > 0.99
    assert alike["halves_corr_instruction_last_text_verdict"] == "holds"
    torn = stability.summarise_stability(table(np.eye(LAYERS)))
    assert torn["halves_corr_instruction_last_text"] == pytest.approx(-1.0), (
        "halves of samples that peak elsewhere"
    )
    assert (
        torn["halves_shift_instruction_last_text_verdict"] == "not seen"
        and torn["halves_gap_instruction_last_text"] == 0.0
    )
    single = stability.summarise_stability(table(peaked(3)))
    assert (
        single["halves_shift_instruction_last_text_verdict"]
        == single["halves_corr_instruction_last_text_verdict"]
        == "not measured"
    )


def test_the_whole_vocabulary_beside_two_answers():
    values = np.tile([0.0, 0.1, 0.5, 1.0, 0.3, -0.2], (4, 1))
    same = stability.summarise_whole(table(values, divergence=lambda nssd: 2 * nssd + 0.1))
    assert (
        same["whole_context_instruction_text"] == pytest.approx(2.1)
        and same["whole_context_instruction_text_layer"] == 3.0
    )
    assert same["whole_context_instruction_text_control"] == pytest.approx(0.3) and same[
        "whole_corr_context_instruction_text"
    ] == pytest.approx(1.0)
    assert (
        same["whole_shift_context_instruction_text"] == 0.0
        and same["whole_sign_context_instruction_text"] == 1.0
    )
    random = np.random.default_rng(0)
    turned = table(values, divergence=lambda nssd: random.normal(0, 0.01, len(nssd)) - nssd)
    other = stability.summarise_whole(turned)
    assert (
        other["whole_corr_context_instruction_text"] == pytest.approx(-1.0, abs=0.01)
        and other["whole_corr_context_instruction_text_verdict"] == "contradicted"
    )
    assert (
        other["whole_shift_context_instruction_text"] == 2.0
        and other["whole_sign_context_instruction_text"] == 0.0
    )


def increments(attention_margin, signal=1.0, samples=3, **columns):
    """Increments of every direction and dictionary; the margin by attention is what is given at
    layer 5 and 0 elsewhere; others count layers. Margins differ by a tenth from sample to sample,
    and are in the mean as said.
    """
    own = [1 + 0.1 * (i - (samples - 1) / 2) for i in range(samples)]
    rows = [
        {
            "following": d,
            "sample": f"s{i}",
            "layer": layer,
            "dictionary": kind,
            "attention_signal": signal,
            "mlp_signal": 0.5,
            "attention_margin": attention_margin * own[i] * (layer == 5) * (kind == "own"),
            "mlp_margin": -float(layer) * own[i],
            **columns,
        }
        for d in ("text", "vision")
        for i in range(samples)
        for layer in range(LAYERS)
        for kind in ("own", "shuffled")
    ]
    return pd.DataFrame(rows)


def test_where_failures_fail():
    found = reviews.summarise_failures(
        increments(2.0, samples=5),
        increments(-1.0, signal=0.25, mix=0.0).assign(mix=lambda t: 0.4 * (t["sample"] == "s0")),
    )
    assert (
        found["fail_attention_margin_text"],
        found["kept_attention_margin_text"],
        found["lost_attention_margin_text"],
    ) == pytest.approx((-1.0, 2.0, -3.0))
    assert found["lost_attention_margin_text_verdict"] == "holds" and (
        found["fork_vision"],
        found["fork_vision_layer"],
    ) == pytest.approx((-3.0, 5.0))
    assert (found["fail_attention_signal_text"], found["lost_attention_signal_text"]) == (
        1.5,
        -4.5,
    ), "six layers"
    assert found["fail_mlp_margin_text"] == pytest.approx(-9.0), "the last third are layers 4 and 5"
    assert (
        found["lost_mlp_signal_text_verdict"] == "not seen"
        and found["lost_mlp_signal_text"] == 0.0 == found["lost_mlp_signal_text_low"]
        and found["fail_attention_margin_text_shuffled"] == 0.0
    )
    assert (found["failures_text"], found["weakened_text"]) == (3.0, 1.0)


def test_without_failures_nothing_is_told_of_them():
    found = reviews.summarise_failures(increments(2.0), increments(0.0, mix=0.0)[:0])
    assert (
        found["failures_text"] == 0.0
        and found["lost_attention_margin_text_verdict"] == "not measured"
        and math.isnan(found["fork_text_layer"])
    )
    assert found["kept_attention_margin_text"] == pytest.approx(2.0)


def test_two_groups_are_resampled_each_on_its_own():
    """Resamples of two samples are 1, 2 or 3; of two clusters the ends lie t(1) / 1.96 · √2 = 9.168
    times as far from the mean.
    """
    found = reviews.between("x", [1.0, 3.0], [0.0] * 5)
    reach = 12.7062 / 1.95996 * math.sqrt(2)
    assert found["x"] == 2.0
    assert (found["x_low"], found["x_high"]) == pytest.approx((2 - reach, 2 + reach), rel=1e-4)


def test_the_last_position_beside_the_same_prompts():
    components = pd.concat(
        [increments(1.0, samples=5), increments(100.0, samples=1).assign(sample="s9")]
    )
    found = reviews.summarise_last(components, increments(3.0, samples=5))
    assert (
        found["last_attention_margin_text"],
        found["anchor_attention_margin_text"],
        found["n_last_text"],
    ) == pytest.approx((3.0, 1.0, 5.0))
    assert (
        found["last_mlp_margin_text_verdict"] == "holds"
        and found["last_attention_margin_text_shuffled"] == 0.0
    )


def test_what_else_is_lost():
    rows = []
    for d in ("text", "vision"):
        for kind in ability.KINDS:
            for i in range(60):
                rows.append((d, kind, f"s{i}", "original", 0, 1.0, "follow"))
                for factor in ability.FACTORS:
                    lost = factor == 0 and (
                        kind == "conflict" or i % 4 == 0
                    )  # blocking costs every conflict, and one of four questions alone
                    rows.append(
                        (d, kind, f"s{i}", "target", 0, factor, "other" if lost else "follow")
                    )
                    rows += [
                        (d, kind, f"s{i}", "random", draw, factor, "follow" if draw else "other")
                        for draw in (0, 1)
                    ]
    answers = pd.DataFrame(
        rows, columns=["following", "kind", "sample", "heads", "draw", "factor", "outcome"]
    )
    sets = [("original", 1.0, 3.0)] + [
        (name, factor, nats)
        for name, nats in (("text", 3.5), ("vision", 3.0), ("random", 3.2))
        for factor in ability.FACTORS
    ]
    reading = pd.DataFrame(
        [
            (i, name, 0, factor, nats + i % 2 + 0.02 * (i % (3 + ord(name[0]) % 5) == 0))
            for name, factor, nats in sets
            for i in range(24)
        ],
        columns=["sample", "heads", "draw", "factor", "nats"],
    )
    found = reviews.summarise_ability(answers, reading)
    assert (
        found["right_conflict_blocked_text"],
        found["right_alone_blocked_text"],
        found["right_alone_blocked_text_random"],
    ) == (0.0, 0.75, 0.5)
    assert (
        found["spared_blocked_text"],
        found["special_blocked_text"],
        found["special_blocked_text_verdict"],
    ) == (0.25, 0.75, "holds")
    assert found["spared_doubled_text_verdict"] == "holds" and found["n_able_text"] == 60.0
    assert found["loss_original"] == pytest.approx(3.5, abs=0.01), "sentences of 3 and 4 nats"
    assert found["sentences"] == 24.0
    assert found["rise_blocked_text"] == pytest.approx(0.5, abs=0.01)
    assert found["excess_blocked_text"] == pytest.approx(0.3, abs=0.01)
    assert (
        found["rise_blocked_vision_verdict"] == "holds"
        and found["excess_blocked_vision_verdict"] == "contradicted"
    )


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_the_loss_is_what_each_sentence_s_tokens_cost(architecture):
    """Against the model's own log-probabilities, token by token, the tokens of each sentence
    counted by tokenising the text up to its end.
    """
    subject, lines = (
        tiny.subject(architecture),
        ["The ferry left.", "Nobody was cold, and all slept.", "It rained."],
    )
    found = ability.token_losses(subject, lines)
    ids = subject.tokenizer(" ".join(lines), return_tensors="pt")["input_ids"]
    with torch.no_grad():
        log = subject.model(input_ids=ids).logits[0].log_softmax(-1)
    each = -log[:-1].gather(1, ids[0, 1:, None])[:, 0]
    ends = [
        len(subject.tokenizer(" ".join(lines[: count + 1]))["input_ids"]) - 1 for count in range(3)
    ]
    expected = [each[start:end].mean() for start, end in zip([0, *ends], ends)]
    torch.testing.assert_close(found, torch.stack(expected).double(), rtol=1e-9, atol=1e-9)


def test_reading_scales_the_heads_at_every_position():
    subject = tiny.subject("llava")
    rankings = {"text": [Head(1, i) for i in range(6)], "vision": [Head(3, i) for i in range(6)]}
    scalings = ability.list_read_sets(subject, rankings, draws=2)
    table = pd.concat(ability.measure_reading(subject, scalings), ignore_index=True)
    assert table.groupby(["heads", "factor"]).size().to_dict() == {
        ("original", 1.0): 13,
        **{
            (name, factor): 13 * (2 if name == "random" else 1)
            for name in ("text", "vision", "random")
            for factor in (0.0, 2.0)
        },
    }
    with scale_heads(subject, [Head(3, 0)], 2.0):  # 5 % of 30 heads is one
        expected = ability.token_losses(subject, ability.plain_sentences()).numpy()
    assert table.query("heads == 'vision' and factor == 2")["nats"].to_numpy() == pytest.approx(
        expected
    )
    plain = table.query("heads == 'original'")["nats"].to_numpy()
    assert plain == pytest.approx(
        ability.token_losses(subject, ability.plain_sentences()).numpy()
    ) and not np.allclose(plain, expected)


def test_a_conflict_and_one_modality_alone_are_asked_under_the_same_heads():
    subject, dictionary = tiny.subject("llava"), entities.load("scenes")
    prompt = subject.encode(tiny.samples()[0], "vision")
    rankings = {
        way: [Head(layer, i) for layer in range(5) for i in range(6)] for way in ("text", "vision")
    }
    table = ability.measure_ability(subject, prompt, dictionary, rankings, draws=1)
    assert table.groupby("kind", sort=False)["heads"].agg(list).to_dict() == dict.fromkeys(
        ability.KINDS, ["original", *["target", "random"] * 2]
    )
    count = heads.share_count(subject.total_heads)
    sets = [rankings["vision"][:count], heads.random_heads(subject, count, 0)]
    gains = [
        heads.gain_table(subject, [], 1.0),
        *(heads.gain_table(subject, chosen, factor) for factor in (0.0, 2.0) for chosen in sets),
    ]
    expected = generation.answers(
        subject, prompt, torch.stack(gains), prompt.groups.instruction, engine="plain"
    )
    assert table[table["kind"] == "conflict"]["answer"].tolist() == expected
    assert table[table["kind"] == "alone"]["answer"].tolist() != expected


def test_the_plain_text_is_thirteen_sentences_of_their_own_line():
    lines = ability.plain_sentences()
    assert len(lines) == 13 and all(
        line == line.strip() and line.endswith(".") and ". " not in line for line in lines
    )
    assert (
        200 <= sum(len(line.split()) for line in lines) <= 300
        and heads.share_count(tiny.subject("llava").total_heads) == 1
    )
