"""Φ token by token: what the pooled Φ of Eq. 8 is the largest of."""

import numpy as np
import pytest

import tiny
from arbitration.dataset import entities
from arbitration.equations.trace import trace
from reproduction.measures.beliefs import measure_beliefs
from reproduction.measures.tokens import measure_token_signals


@pytest.fixture(scope="module", params=["llava", "internvl"])
def measured(request):
    subject, dictionary = tiny.subject(request.param), entities.load("scenes")
    prompt = subject.encode(tiny.samples()[0], "text")
    return subject, prompt, dictionary, measure_token_signals(subject, prompt, dictionary)


def test_the_largest_token_is_what_the_beliefs_say(measured):
    subject, prompt, dictionary, table = measured
    beliefs = measure_beliefs(subject, prompt, dictionary, None)
    pooled = beliefs[beliefs["positions"] == "instruction"].set_index("layer")
    largest = table.groupby("layer")[["phi_f", "phi_c"]].max()
    assert list(largest.index) == list(pooled.index) == list(range(-1, subject.n_layers))
    for name in ("phi_f", "phi_c"):
        np.testing.assert_allclose(largest[name], pooled[name], rtol=1e-6)
    assert table.groupby("layer")["phi_f"].nunique().min() > 1, "tokens differ"


def test_one_token_has_the_largest_logit_of_the_answers_words(measured):
    subject, prompt, dictionary, table = measured
    of_vision, of_text = dictionary.sample_ids(prompt.sample, subject.tokenizer)
    residual = trace(subject, prompt).residual
    place = int(prompt.groups.instruction[2])
    [row] = table[(table["layer"] == 0) & (table["position"] == place)].to_dict("records")
    logits = subject.unembedding.detach() @ residual[1, place].to(subject.unembedding.dtype)
    assert row["phi_f"] == pytest.approx(float(logits[of_text].max()), rel=1e-5)
    assert row["phi_c"] == pytest.approx(float(logits[of_vision].max()), rel=1e-5)


def test_the_tokens_spell_the_instruction(measured):
    _, prompt, _, table = measured
    first = table[table["layer"] == -1]
    assert first["position"].tolist() == prompt.groups.instruction.tolist()
    spelt = "".join(first["token"])
    assert prompt.sample.instruction("text") in spelt
