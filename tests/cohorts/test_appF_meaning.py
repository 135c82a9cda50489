"""The instruction's sentences apart (Appendix F): which paths are closed, who is swept, and what is
concluded, from tables worked out by hand.
"""

import math

import pandas as pd
import pytest

import tiny
from arbitration import knockout_sweep
from arbitration.models import encode
from reproduction import cohorts
from reproduction.cohorts.layouts import ask_layouts, choose_by_layout
from reproduction.measures import paths
from reproduction.numbers import summarise_meaning

SAMPLES = [f"s{i}" for i in range(4)]


def outcomes(**follow):
    """Answers of four samples; `follow` says how many follow text under each layout, the others
    give another answer.
    """
    rows = [
        (layout, way, sample, "follow" if way == "vision" or index < follow[layout] else "other")
        for layout in follow
        for way in ("text", "vision")
        for index, sample in enumerate(SAMPLES)
    ]
    return pd.DataFrame(rows, columns=["layout", "following", "sample", "outcome"])


def test_each_sentence_is_closed_apart_and_in_both_ways():
    prompt = encode.encode(tiny.subject("llava"), tiny.samples()[0], "vision", layout="distanced")
    assert list(map(str, paths.span_pathways(prompt))) == [
        "vision→modality",
        "vision→question",
        "vision→constraint",
        "vision→neutral",
        "modality→last",
        "question→last",
        "constraint→last",
        "neutral→last",
    ]
    plain = encode.encode(tiny.subject("llava"), tiny.samples()[0], "text")
    assert [str(path) for path in paths.span_pathways(plain, 1)][:3] == [
        "context→modality",
        "context→question",
        "context→constraint",
    ]
    assert {path.control for path in paths.span_pathways(plain, 1)} == {1}


def test_the_sweep_is_that_of_the_knockouts_with_its_controls():
    subject = tiny.subject("llava")
    some = [
        encode.encode(subject, tiny.samples()[0], way, layout="swapped")
        for way in ("vision", "text")
    ]
    tables = list(paths.sweep_spans(subject, some, 3, [1, 3], seed=2))
    for prompt, table in zip(some, tables, strict=True):
        expected = knockout_sweep(
            subject,
            [prompt],
            paths.span_pathways(prompt) + paths.span_pathways(prompt, 2),
            layers=[1, 3],
            progress=False,
        )
        pd.testing.assert_frame_equal(table, expected, rtol=1e-9, atol=1e-12)
        assert table["control"].sum() == len(table) / 2 and set(table["following"]) == {
            prompt.following
        }


def test_few_that_follow_are_not_swept():
    subject, samples = tiny.subject("llava"), list(tiny.samples())
    answers = outcomes(plain=4, swapped=2).replace(
        dict(zip(SAMPLES, [sample.id for sample in samples]))
    )
    found = choose_by_layout(subject, samples, answers, n=3)
    assert [(prompt.sample.id, prompt.following) for prompt in found["plain"]] == [
        (s.id, way) for way in ("vision", "text") for s in samples[:3]
    ]
    assert {prompt.following for prompt in found["swapped"]} == {"vision"}, (
        "two of four follow the text: too few"
    )
    first = found["swapped"][0].groups
    assert first.question.max() < first.modality.min()
    with pytest.raises(
        ValueError,
        match="of 4 samples tiny-llava follows fewer than 3 under every layout and direction",
    ):
        choose_by_layout(subject, samples, answers.assign(outcome="other"), n=3)
    assert {
        layout: len(chosen)
        for layout, chosen in choose_by_layout(
            subject, samples, answers, 1, only_following=False
        ).items()
    } == {"plain": 2, "swapped": 2}


def test_each_layout_is_asked_anew(monkeypatch):
    subject, seen = tiny.subject("llava"), []
    monkeypatch.setattr(
        cohorts.layouts,
        "ask_prompts",
        lambda _, some, __: (
            seen.extend(one.text for one in some)
            or pd.DataFrame([{"sample": one.sample.id} for one in some])
        ),
    )
    table = ask_layouts(subject, tiny.samples()[:1], None)
    assert (
        table["layout"].tolist() == ["plain"] * 2 + ["swapped"] * 2 + ["distanced"] * 2
        and len(set(seen)) == 6
    )


def spans(values):
    """A table in which a path has the given NSSD at layer 4, the sample's number of hundredths
    more, and nothing at layer 1. Samples differ by a fiftieth of it, and are in the mean as said.
    """
    rows = []
    for (layout, path), value in values.items():
        for number, sample in enumerate(SAMPLES):
            for control in (False, True):
                for layer in (1, 4):
                    own = value * (1 + 0.02 * (number - (len(SAMPLES) - 1) / 2))
                    nssd = (own + 0.01 * number) * (layer == 4) * (not control)
                    rows.append(("text", layout, path, control, layer, sample, nssd))
    table = pd.DataFrame(
        rows, columns=["following", "layout", "pathway", "control", "layer", "sample", "nssd"]
    )
    return table.assign(logp_p=-0.1, logp_c=-2.1, logp_p_blocked=-0.5, logp_c_blocked=-1.0)


def numbers(plain, swapped, distanced=(1.0, 1.0, 0.0)):
    """`meaning.summarise_meaning` of (modality, question[, neutral]) under each layout."""
    layouts = {"plain": plain, "swapped": swapped, "distanced": distanced}
    values = {
        (layout, f"context→{span}"): value
        for layout, row in layouts.items()
        for span, value in zip(("modality", "question", "neutral"), row)
    }
    return summarise_meaning(spans(values), outcomes(plain=4, swapped=3, distanced=4))


def test_a_relay_that_stays_with_its_place():
    found = numbers(plain=(0.2, 1.0), swapped=(1.4, 0.2))
    assert (
        found["position_text"] == pytest.approx(1.0) and found["position_text_verdict"] == "holds"
    )  # ((1 − 0.2) − (0.2 − 1.4)) / 2
    assert found["meaning_text"] == pytest.approx(0.2)  # −((1 − 0.2) + (0.2 − 1.4)) / 2


def test_a_relay_that_stays_with_its_sentence():
    found = numbers(plain=(1.0, 0.0), swapped=(1.0, 0.0))
    assert found["meaning_text"] == pytest.approx(1.0) and found["meaning_text_verdict"] == "holds"
    assert (
        found["position_text"] == pytest.approx(0.0)
        and found["position_text_verdict"] == "not seen"
    ), "0 in every sample has no width"
    assert numbers(plain=(0.0, 1.0), swapped=(0.0, 1.0))["meaning_text"] == pytest.approx(-1.0)


def test_neutral_words_are_held_against_the_stronger_sentence():
    assert numbers((1, 1), (1, 1), (0.3, 0.9, 0.5))["neutral_text"] == pytest.approx(0.4)
    found = numbers((1, 1), (1, 1), (0.1, 0.2, 0.9))
    assert (
        found["neutral_text"] == pytest.approx(-0.7)
        and found["neutral_text_verdict"] == "contradicted"
    )


def test_what_was_not_swept_is_not_measured():
    found = numbers(plain=(0.2, 1.0), swapped=(1.4, 0.2))
    assert (
        found["into_question_plain_text"] == pytest.approx(1.015)
        and found["into_question_plain_text_layer"] == 4.0
    )
    assert found["into_question_plain_text_control"] == 0.0 and found[
        "into_question_plain_text_over"
    ] == pytest.approx(1.015)
    assert (
        found["n_asked_swapped_text"],
        found["follow_swapped_text"],
        found["n_swapped_text"],
    ) == (4.0, 0.75, 4.0)
    assert math.isnan(found["into_modality_plain_vision"]) and math.isnan(
        found["into_modality_plain_vision_layer"]
    )
    assert (
        found["position_vision_verdict"] == found["position_text_out_verdict"] == "not measured"
        and found["n_plain_vision"] == 0.0
    )
