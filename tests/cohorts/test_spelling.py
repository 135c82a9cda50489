"""In which spelling a model answers, and that y_p and y_c are tokens that it was about to write."""

import copy
import dataclasses

import pandas as pd
import pytest
import torch

import arbitration as arb
import tiny
from arbitration.dataset import entities
from arbitration.engine import generation
from arbitration.models import encode
from reproduction import results
from reproduction.cohorts import answered


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(results.question, "cache", lambda: tmp_path)


def test_spellings_differ_in_the_first_letter_alone():
    spelt = {
        name: [spell(answer) for answer in ("new York", "iPad", "x", "红色", "5")]
        for name, spell in encode.SPELLINGS.items()
    }
    assert spelt == {
        "as given": ["new York", "iPad", "x", "红色", "5"],
        "lower case": ["new York", "iPad", "x", "红色", "5"],
        "capitalised": ["New York", "IPad", "X", "红色", "5"],
    }


@pytest.mark.parametrize(
    "written, expected",
    [
        (str.capitalize, "capitalised"),
        (str.lower, "as given"),
        (str.upper, "as given"),
        (lambda answer: f" {answer.capitalize()}.", "capitalised"),
        (lambda answer: "none of them", "as given"),
    ],
)
def test_the_spelling_is_that_of_the_answers_that_follow(monkeypatch, written, expected):
    """Most of them decide; an answer that does not follow has no say, nor has one in letters of
    neither spelling.
    """
    dictionary, samples = entities.load("scenes"), list(tiny.samples(6))
    contrary = {f"{samples[0].id}-text", f"{samples[1].id}-vision"}

    def first_answer(subject, prompt, last):
        given, rival = prompt.sample.answers(prompt.following)
        return (rival.capitalize() if prompt.id in contrary else written(given)), 0

    monkeypatch.setattr(generation, "first_answer", first_answer)
    assert answered.adopt_spelling(tiny.subject("llava"), samples, dictionary).spelling == expected


def test_whatever_the_order_the_first_by_name_are_asked(monkeypatch):
    dictionary, samples = entities.load("scenes"), list(tiny.samples(4))
    monkeypatch.setattr(answered, "PROBED", 2)
    asked = []

    def first_answer(subject, prompt, last):
        asked.append(prompt.sample.id)
        return prompt.sample.answers(prompt.following)[0], 0

    monkeypatch.setattr(generation, "first_answer", first_answer)
    first, *others = sorted(samples, key=lambda sample: sample.id)
    undecided = dataclasses.replace(first, answer_vision=f"{first.answer_text} too")
    answered.adopt_spelling(tiny.subject("llava"), [*others[::-1], undecided], dictionary)
    assert sorted(set(asked)) == [sample.id for sample in others[:2]], (
        "one that cannot be put to the model is passed over"
    )


def capitalising_twin(subject):
    """A model that capitalises: what `subject` would write as a word in lower case it writes with a
    capital, and the other way round.
    """
    vocabulary, order = subject.tokenizer.get_vocab(), torch.arange(len(subject.tokenizer))
    for token, place in vocabulary.items():
        other = vocabulary.get(token[:1] + token[1:2].upper() + token[2:])
        if token.startswith("Ġ") and token[1:2].islower() and other is not None:
            order[place], order[other] = other, place
    head = torch.nn.Linear(subject.unembedding.shape[1], len(subject.unembedding), bias=False)
    head.weight = torch.nn.Parameter(subject.unembedding.detach()[order].clone())
    model = copy.deepcopy(subject.model)
    model.set_output_embeddings(head)
    return dataclasses.replace(subject, revision="capitalising", model=model.eval())


def test_a_model_that_capitalises_is_measured_like_its_twin_that_does_not():
    """The planted answer: every number of the twin's sweep is that of `smol`, and with the answers
    as given it would not be.
    """
    plain, dictionary = arb.load("smol"), entities.load("scenes")
    twin = capitalising_twin(plain)
    vocabulary = plain.tokenizer.get_vocab()
    held = arb.dataset.load("scenes", "held")
    samples = [
        one
        for one in held
        if all(
            f"Ġ{spell(word)}" in vocabulary
            for word in one.answers("text")
            for spell in encode.SPELLINGS.values()
        )
    ][:6]
    assert answered.adopt_spelling(plain, samples, dictionary).spelling == "as given"
    spelt = answered.adopt_spelling(twin, samples, dictionary)
    assert spelt.spelling == "capitalised"
    tables = {
        name: answered.ask_samples(subject, samples, dictionary).set_index(["sample", "following"])
        for name, subject in (("plain", plain), ("spelt", spelt), ("as given", twin))
    }
    assert (tables["plain"]["first"] == tables["spelt"]["first"]).all() and (
        tables["plain"]["first"] != "other"
    ).mean() > 0.9
    assert (tables["as given"]["first"] == "other").all(), (
        "compared at two tokens that it was not about to write"
    )
    assert set(tables["spelt"]["answer"].str.strip().str[0].str.isupper()) == {True}
    paths = [arb.Pathway("instruction", "last")]
    sweeps = [
        arb.knockout_sweep(
            subject,
            [subject.encode(sample, "text") for sample in samples[:2]],
            paths,
            layers=range(10, 30, 5),
            progress=False,
        )
        for subject in (plain, spelt, twin)
    ]
    numbers = ["logp_p", "logp_c", "logp_p_blocked", "logp_c_blocked", "nssd"]
    pd.testing.assert_frame_equal(sweeps[0][numbers], sweeps[1][numbers], atol=1e-4, rtol=0)
    assert (sweeps[0]["logp_p"] - sweeps[2]["logp_p"]).min() > 1
