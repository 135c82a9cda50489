"""Which paths, tokens, prompts and heads are measured: what a label says is what was done."""

import numpy as np
import pandas as pd
import pytest
import torch

import arbitration as arb
import tiny
from arbitration.engine import generation
from arbitration.equations.attribution import margin
from arbitration.equations.heads import random_heads
from arbitration.equations.knockout import Pathway
from reproduction.cohorts import answered, failures
from reproduction.measures import paths
from reproduction.results import question


@pytest.fixture(scope="module")
def dictionary():
    return arb.entities.load("scenes")


@pytest.mark.parametrize("way, own", [("text", "context"), ("vision", "vision")])
def test_a_row_of_fig_5b_closes_the_path_that_its_label_names(monkeypatch, dictionary, way, own):
    closed = []

    def answers_without(subject, prompt, cases, layers):
        closed.append((list(cases), layers))
        return [""] * len(cases)

    monkeypatch.setattr(generation, "answers_without", answers_without)
    subject = tiny.subject("llava")
    prompt = subject.encode(tiny.samples(1)[0], way)
    places = {"own": {way: range(1, 3)}, "scaled": {}}
    table = paths.measure_paths(subject, prompt, dictionary, places, seed=5)
    assert set(table["place"]) == {"own"}, "a direction whose layers are not known has no rows"
    ((cases, layers),) = closed
    assert layers == range(1, 3)
    assert dict(zip(table["blocked"], cases, strict=True)) == {
        "none": [],
        "instruction→last": [Pathway("instruction", "last")],
        f"{own}→last": [Pathway(own, "last")],
        "random→last": [Pathway("instruction", "last", control=5)],
    }


@pytest.mark.parametrize("way", ["text", "vision"])
def test_each_side_of_the_margin_has_its_own_strongest_token(dictionary, way):
    """ΔS: the largest product over tokens and forms of one answer, less that of the other."""
    subject, sample = tiny.subject("internvl"), tiny.samples(1)[0]
    prompt = subject.encode(sample, way)
    torch.manual_seed(0)
    hidden = torch.randn(7, subject.unembedding.shape[1], dtype=subject.unembedding.dtype)
    logits = hidden @ subject.unembedding.T
    vision, text = dictionary.sample_ids(sample, subject.tokenizer)
    own, other = (vision, text) if way == "vision" else (text, vision)
    assert logits[:, own].max(1).values.argmax() != logits[:, other].max(1).values.argmax()
    by_hand = logits[:, own].max() - logits[:, other].max()
    torch.testing.assert_close(margin(subject, prompt, dictionary)(hidden), by_hand)


def test_only_what_is_answered_as_told_is_measured():
    subject, samples = tiny.subject("llava"), list(tiny.samples(6))
    outcomes = ["other", "follow", "competitor", "follow", "other", "follow"]
    table = pd.DataFrame({"sample": [one.id for one in samples], "outcome": outcomes})
    answers = pd.concat([table.assign(following=way) for way in ("text", "vision")])
    chosen = answered.choose_prompts(subject, samples, answers, 2)
    ids = [(prompt.sample.id, prompt.following) for prompt in chosen]
    assert ids == [(samples[place].id, way) for way in ("text", "vision") for place in (1, 3)]
    (more, _) = answered.choose_prompts(subject, samples, answers, 2, skip=2)
    assert more.sample == samples[5]


def test_each_direction_has_its_own_samples_that_follow():
    subject, samples = tiny.subject("llava"), list(tiny.samples(4))
    said = {"text": ["follow", "other", "follow", "other"], "vision": ["other"] + ["follow"] * 3}
    ids = [one.id for one in samples]
    tables = [pd.DataFrame({"sample": ids, "following": w, "outcome": said[w]}) for w in said]
    chosen = answered.choose_prompts(subject, samples, pd.concat(tables), 3)
    places = [(ids.index(prompt.sample.id), prompt.following) for prompt in chosen]
    assert places == [(0, "text"), (2, "text"), (1, "vision"), (2, "vision"), (3, "vision")]


def test_the_paper_s_layers_are_both_ends():
    """Layers 20 to 25 of 28 (Section 3.2.3), and as the same part of a depth of 30."""
    assert list(paths.critical_layers(28)) == [20, 21, 22, 23, 24, 25]
    assert list(paths.critical_layers(30)) == [21, 22, 23, 24, 25, 26]


def test_a_wrong_answer_that_is_no_competitor_s_is_no_failure(tmp_path, monkeypatch, dictionary):
    monkeypatch.setattr(question, "cache", lambda: tmp_path)
    subject, samples = tiny.subject("llava"), list(tiny.samples(4))
    said = dict(zip((one.id for one in samples), ("other", "competitor", "follow", "competitor")))
    words = {"other": lambda one: "nothing", "competitor": lambda one: one.answer_vision}
    words["follow"] = lambda one: one.answer_text

    def first_answer(subject, prompt, last):
        return words[said[prompt.sample.id]](prompt.sample), prompt.y_p

    monkeypatch.setattr(generation, "first_answer", first_answer)
    sought = failures.Search("text", failures.NATURAL, set(said), 4)
    [(found, tried)] = failures.seek_failures(subject, samples, [sought], dictionary)
    assert [prompt.sample.id for prompt, _ in found] == [samples[1].id, samples[3].id]
    assert dict(zip(tried["sample"], tried["outcome"])) == said


def test_a_wording_is_tried_on_all_samples_and_what_is_weakened_on_those_that_follow(monkeypatch):
    """A sample that fails as it is may follow another wording's habit; one that fails already has
    nothing to be weakened.
    """
    subject, samples, sought = tiny.subject("llava"), list(tiny.samples(4)), {}

    def seek_failures(subject, samples, searches, dictionary):
        for one in searches:
            sought[one.direction, one.source] = one.names
        return [([], pd.DataFrame(columns=failures.TRIED))] * len(searches)

    monkeypatch.setattr(failures, "seek_failures", seek_failures)
    ids = [one.id for one in samples]
    said = {"text": ["follow", "competitor", "other"], "vision": ["competitor", "follow", "follow"]}
    tables = [pd.DataFrame({"sample": ids[:3], "following": w, "outcome": said[w]}) for w in said]
    failures.seek_all_sources(subject, samples, pd.concat(tables), 1, None)
    follows = {"text": {*ids[:1]}, "vision": {*ids[1:3]}}
    for way in said:
        assert sought[way, failures.UNREAD] == {*ids[:3]}, "all that could be asked"
        assert sought[way, failures.WEAKENED] == sought[way, failures.FADED] == follows[way]


def test_random_heads_come_from_all_layers_alike():
    """Of 6 layers × 8 heads, 2 000 draws of 4: each head is drawn 167 ± 12.4 times."""
    subject = tiny.subject("llava")
    drawn = np.zeros((subject.n_layers, subject.n_heads))
    count, draws = 2, 2000
    for seed in range(draws):
        for head in random_heads(subject, count, seed):
            drawn[head.layer, head.index] += 1
    share = count / subject.total_heads
    spread = np.sqrt(draws * share * (1 - share))
    assert np.abs(drawn - draws * share).max() < 5 * spread
