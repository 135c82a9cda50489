"""What counts as following (§4.2.2), and which samples are kept (§2)."""

from types import SimpleNamespace

import pandas as pd
import pytest

import tiny
from arbitration import dataset
from arbitration.dataset import entities, outcomes
from arbitration.engine import generation
from arbitration.equations import metrics
from arbitration.models import altered, encode
from reproduction.cohorts import answered, failures
from reproduction.measures import answers
from reproduction.numbers import summarise_answers
from reproduction.results import question


def test_mfr():
    assert metrics.mfr(["follow", "competitor", "other", "follow"]) == 0.5
    with pytest.raises(ValueError, match="undefined"):
        metrics.mfr([])


def test_answers_are_judged_with_the_question_and_the_ambiguous_counted():
    """*A red car* gives red only where the question is of a car; *dark red* gives nothing, and one
    that names neither is not ambiguous.
    """
    sample = dataset.Sample("s", "all", "", "", "What color is the car?", "", "red", "blue", "", "")
    dictionary = entities.EntityDictionary(
        {entities.AS_WRITTEN: {"red": {"en": ["red"]}, "blue": {"en": ["blue"]}}}
    )
    table = pd.DataFrame({"answer": ["a red car", "dark red", "green", "blue cars"]})
    tables = []
    for way, expected in (
        ("vision", ["follow", "other", "other", "competitor"]),
        ("text", ["competitor", "other", "other", "follow"]),
    ):
        judged = answers.add_outcomes(
            table, SimpleNamespace(sample=sample, following=way), dictionary
        )
        assert list(judged["outcome"]) == expected
        assert list(judged["ambiguous"]) == [False, True, False, False]
        tables.append(judged.assign(sample=list("abcd"), following=way, first="other"))
    tables[1]["ambiguous"] = False
    coverage = pd.DataFrame({"forms": [1], "ids": [1], "fallback": [False]})
    found = summarise_answers(pd.concat(tables), coverage)
    assert (found["ambiguous_vision"], found["ambiguous_text"]) == (1.0, 0.0)


def test_filtered_keeps_order_and_direction():
    samples = list(tiny.samples(3))
    table = pd.DataFrame(
        {
            "sample": [s.id for s in samples] * 2,
            "following": ["text"] * 3 + ["vision"] * 3,
            "outcome": ["follow", "competitor", "follow", "other", "follow", "competitor"],
        }
    )
    assert answered.keep_outcome(table, samples, "text") == [samples[0], samples[2]]
    assert answered.keep_outcome(table, samples, "vision", "competitor") == [samples[2]]


def test_answers_are_transformers_own_greedy_answers():
    subject = tiny.subject("internvl")
    prompt = subject.encode(tiny.samples()[0], "text")
    ids = subject.model.generate(
        **prompt.inputs, max_new_tokens=prompt.room, do_sample=False, pad_token_id=2
    )
    text = subject.tokenizer.decode(ids[0, prompt.groups.length :], skip_special_tokens=True)
    assert generation.first_answer(subject, prompt) == (text, ids[0, prompt.groups.length])
    assert generation.answers(subject, prompt) == [text]


def test_shuffled_samples_are_seeded_and_balanced():
    samples = dataset.load("scenes", "held")
    first, again, other = (dataset.shuffled(samples, seed) for seed in (0, 0, 1))
    assert (
        first == again
        and first != other
        and sorted(s.id for s in first) == sorted(s.id for s in samples)
    )
    assert {s.task for s in first[:8]} == {s.task for s in samples}


@pytest.mark.parametrize(
    "arguments, word", [(("scenes", "test"), "held_style"), (("mc3", "held"), "scenes")]
)
def test_unknown_sets_are_named(arguments, word):
    with pytest.raises(ValueError, match=word):
        dataset.load(*arguments)


def test_samples_without_a_decision_are_dropped_and_counted(tmp_path, monkeypatch, capsys):
    import dataclasses

    monkeypatch.setenv("ARBITRATION_OUTPUT", str(tmp_path))
    monkeypatch.setattr(question, "cache", lambda: tmp_path)
    good, other = tiny.samples(2)
    undecided = dataclasses.replace(other, answer_vision="laptop", answer_text="laptop")
    table = answered.ask_samples(tiny.subject("llava"), [good, undecided], entities.load("scenes"))
    assert set(table["sample"]) == {good.id} and sorted(table["following"]) == ["text", "vision"]
    assert (
        f"dropped 1 of 2 samples: {undecided.id}: both answers begin with the same token, 'l'"
        in capsys.readouterr().out
    )
    kept, dropped = answered.encode_decidable(tiny.subject("llava"), [good, undecided])
    assert [prompt.id for prompt in kept] == [f"{good.id}-text", f"{good.id}-vision"]
    assert dropped["following"].tolist() == ["text", "vision"] and set(dropped["sample"]) == {
        undecided.id
    }
    assert set(dropped["why"]) == {"both answers begin with the same token, 'l'"}
    assert [
        p.sample
        for p in answered.choose_prompts(
            tiny.subject("llava"), [undecided, good], table, 2, only_following=False
        )
    ] == [good, good]


def test_failures_are_natural_first_then_barely_weakened(tmp_path, monkeypatch):
    import dataclasses

    monkeypatch.setattr(question, "cache", lambda: tmp_path)
    subject, dictionary, samples = (
        tiny.subject("llava"),
        entities.load("scenes"),
        list(tiny.samples(4)),
    )
    turns_at = {samples[0].id: 0.4, samples[1].id: 0.0, samples[2].id: 0.9, samples[3].id: 0.35}
    share_of, kept = {}, []  # a prompt that is let go may hand its id to another

    def weaken(subject, sample, following, share):
        prompt = encode.encode(subject, sample, following)
        prompt = dataclasses.replace(
            prompt, inputs=prompt.inputs | {"pixel_values": prompt.inputs["pixel_values"] + share}
        )
        share_of[id(prompt)] = share
        kept.append(prompt)
        return prompt

    def judged(answer, prompt, dictionary):
        turned = share_of.get(id(prompt), 0.0) >= turns_at[prompt.sample.id]
        return outcomes.Judgement("competitor" if turned else "follow", ambiguous=False)

    monkeypatch.setattr(altered, "weaken", weaken)
    monkeypatch.setattr(generation, "first_answer", lambda *a: ("", 0))
    monkeypatch.setattr(answers, "judge_answer", judged)
    found = failures.find_failures(subject, samples, 3, dictionary)
    assert [(p.following, p.sample.id, share) for p, share in found] == [
        (way, samples[place].id, share)
        for way in ("text", "vision")
        for place, share in ((1, 0.0), (0, 0.4), (3, 0.35))
    ]
    assert [share_of[id(p)] for p, _ in found[1:3]] == [0.4, 0.35]
    assert [
        (prompt.following, share)
        for prompt, share in failures.find_failures(
            tiny.subject("qwen2.5-vl"), samples, 3, dictionary
        )
    ] == [("text", 0.0), ("vision", 0.0)]
