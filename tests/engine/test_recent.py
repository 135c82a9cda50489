"""Answers from rows that the last prompt left are those of full passes, and no prompt is ever given
another's rows.

The reference is transformers' own generation over the whole prompt. What is computed is counted by
a hook: rows that enter the decoder's final norm.
"""

import copy
from dataclasses import replace

import pytest
import torch

import tiny
from arbitration import Head, scale_heads
from arbitration.dataset import entities
from arbitration.dataset.sample import PAPER_INSTRUCTION
from arbitration.engine import exactness, generation, recent
from arbitration.engine.plain import next_token_logits
from arbitration.equations.hooks import hooks
from arbitration.models import altered, embedded, encode
from reproduction.cohorts import answered, failures
from reproduction.measures import answers
from reproduction.results import question

CLOSED = embedded.CLOSED["smol-masked"]
SHARE = (*tiny.ARCHITECTURES, "llava-onevision")
every_architecture = pytest.mark.parametrize("architecture", [*tiny.ARCHITECTURES, *tiny.FURTHER])


def whole(subject, prompt):
    """The plain way's answer and first token, by transformers alone for an open model."""
    return generation.first_answer(subject, prompt)


def fresh():
    """Nothing asked yet, and no answer compared with full passes on the way."""
    return recent.Recent(checked=True)


def counted(subject, ask):
    """What `ask` returns, and how many rows each pass of the decoder had."""
    rows = []

    def count(module, args):
        rows.append(args[0].shape[1])

    with hooks([subject.norm.register_forward_pre_hook(count)]):
        return ask(), rows


def pair(subject, place=0):
    return [subject.encode(tiny.samples()[place], way) for way in ("text", "vision")]


def alike(one, other):
    """The first place at which two prompts have different tokens, by comparing lists."""
    both = (prompt.inputs["input_ids"][0].tolist() for prompt in (one, other))
    return next(place for place, (a, b) in enumerate(zip(*both)) if a != b)


@every_architecture
def test_answers_and_first_tokens_are_those_of_full_passes(architecture):
    subject, last = tiny.subject(architecture), recent.Recent()
    for place in range(2):
        for prompt in pair(subject, place):
            assert generation.first_answer(subject, prompt, last) == whole(subject, prompt)
    shared = recent.can_share(subject) and not subject.image_term
    assert last.checked == shared == (architecture not in ("qwen3-vl", "qwen3-vl-moe", "gemma-3"))


@pytest.mark.parametrize(
    "architecture, closed",
    [*((name, ()) for name in SHARE), ("llava", CLOSED), ("qwen2.5-vl", CLOSED)],
)
def test_logits_and_rows_of_the_second_instruction(architecture, closed):
    subject, last = replace(tiny.subject(architecture), closed=closed), fresh()
    first, second = pair(subject)
    (_, _, none), rows = counted(subject, lambda: recent.answer_after(subject, first, last))
    assert none == 0 and rows[0] == first.groups.length + 1, "the prompt and the guess"
    (ids, logits, shared), rows = counted(
        subject, lambda: recent.answer_after(subject, second, last)
    )
    assert shared == alike(first, second) >= second.groups.instruction.min()
    assert rows[0] == second.groups.length + 1 - shared
    assert rows[1:] == [1] * (len(rows) - 1)
    off = logits[0].log_softmax(-1) - next_token_logits(subject, second)[0].log_softmax(-1)
    assert off.abs().max() < 1e-12
    text = subject.tokenizer.decode(ids, skip_special_tokens=True)
    assert text == whole(subject, second)[0]


@pytest.mark.parametrize("architecture", ["llava", "internvl"])
def test_mixes_wordings_and_a_faded_context(architecture):
    """Each behind the one before it, and what they share by comparing token ids or embeddings."""
    subject, sample, last = tiny.subject(architecture), tiny.samples()[0], fresh()
    weakened = [altered.weaken(subject, sample, "text", share) for share in (0.3, 0.6, 0.9)]
    worded = [
        encode.encode(subject, sample, "text", wording)
        for wording in (PAPER_INSTRUCTION["text"], PAPER_INSTRUCTION["vision"], "Trust the text.")
    ]
    faded = altered.fade(subject, sample, "text", 0.5)
    begins = int(faded.groups.instruction.min())
    found = []
    for prompt in [*weakened, *worded, faded]:
        ids, _, shared = recent.answer_after(subject, prompt, last)
        found.append(shared)
        text = subject.tokenizer.decode(ids, skip_special_tokens=True)
        assert text == whole(subject, prompt)[0]
    assert found[0] == 0 and min(found[1:6]) >= begins
    assert found[6] == faded.groups.context.min() < begins


def test_whether_the_guess_holds_makes_no_difference():
    subject = tiny.subject("internvl")
    prompt = subject.encode(tiny.samples()[0], "text")
    answer, token = whole(subject, prompt)
    tokens = []
    for guess in (token, token + 1):
        guessed = replace(prompt, y_p=guess)
        (ids, _, _), rows = counted(subject, lambda: recent.answer_after(subject, guessed, fresh()))
        assert subject.tokenizer.decode(ids, skip_special_tokens=True) == answer
        tokens.append((len(ids), len(rows)))
    (n, held), (same, missed) = tokens
    assert n == same == prompt.room and (held, missed) == (n - 1, n)


def test_a_prompt_that_is_asked_again_is_one_row_and_the_guess():
    subject, last = tiny.subject("llava"), fresh()
    prompt = subject.encode(tiny.samples()[0], "text")
    for expected in (0, prompt.groups.length - 1):
        assert recent.answer_after(subject, prompt, last)[2] == expected


def other_picture(subject, prompt):
    pixels = prompt.inputs["pixel_values"]
    return subject, replace(prompt, inputs=prompt.inputs | {"pixel_values": pixels.flip(-1)})


def other_context(subject, prompt):
    ids = prompt.inputs["input_ids"].clone()
    ids[0, prompt.groups.context[0]] += 1
    return subject, replace(prompt, inputs=prompt.inputs | {"input_ids": ids})


def other_mask(subject, prompt):
    return replace(subject, closed=(("vision", "context"), *CLOSED)), prompt


def other_groups(subject, prompt):
    """The same tokens; none is the instruction, so that all of the template stands behind it."""
    groups, none = prompt.groups, prompt.groups.instruction[:0]
    template = torch.cat([groups.template, groups.instruction]).sort().values
    return subject, replace(prompt, groups=replace(groups, template=template, instruction=none))


def other_weights(subject, prompt):
    """The same pictures and embeddings in a model whose first layer differs."""
    own = replace(subject, model=copy.deepcopy(subject.model))
    with torch.no_grad():
        own.mlp(0).up_proj.weight.mul_(2)
    return own, prompt


CHANGES = [other_picture, other_context, other_mask, other_groups, other_weights]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_no_prompt_is_given_the_rows_of_another(change):
    """Right behind the prompt from which it differs in one thing; its logits would be another's."""
    subject, last = replace(tiny.subject("llava"), closed=CLOSED), fresh()
    prompt = subject.encode(tiny.samples()[0], "text")
    recent.answer_after(subject, prompt, last)
    own, changed = change(subject, prompt)
    ids, logits, shared = recent.answer_after(own, changed, last)
    assert shared <= changed.groups.context.min()
    expected = next_token_logits(own, changed)[0].log_softmax(-1)
    assert (logits[0].log_softmax(-1) - expected).abs().max() < 1e-12
    before = next_token_logits(subject, prompt)[0].log_softmax(-1)
    assert (expected - before).abs().max() > 1e-3, "the change must show"


def test_weights_that_were_changed_in_place_are_another_models():
    subject, last = tiny.subject("internvl"), fresh()
    first, second = pair(subject)
    recent.answer_after(subject, first, last)
    weight = subject.mlp(0).up_proj.weight
    with torch.no_grad():
        weight.mul_(2)
    try:
        assert recent.answer_after(subject, second, last)[2] == 0
    finally:
        with torch.no_grad():
            weight.div_(2)


def test_positions_count():
    """Rows of the same embeddings and mask stand elsewhere."""
    rows = recent.Rows(torch.ones(4, 2), torch.arange(4)[None], torch.ones(4, 4).tril().bool())
    assert rows.common(rows) == 4
    assert rows.common(replace(rows, positions=torch.tensor([[0, 1, 3, 4]]))) == 2
    assert rows.common(replace(rows, positions=None)) == 0
    assert rows.common(replace(rows, positions=torch.arange(4).expand(3, 1, 4))) == 0
    nothing = rows.embeddings.clone()
    nothing[1] = float("nan")
    assert replace(rows, embeddings=nothing).common(replace(rows, embeddings=nothing)) == 1


def test_where_rounding_has_no_bound_or_a_hook_is_in_a_layer_the_plain_way_is_kept():
    subject, last = tiny.subject("llava"), fresh()
    assert recent.can_share(subject)
    with scale_heads(subject, [Head(0, 0)], 0.0):
        assert not recent.can_share(subject)
        prompt = subject.encode(tiny.samples()[0], "text")
        assert generation.first_answer(subject, prompt, last) == whole(subject, prompt)
    assert last.rows is None
    assert not recent.can_share(tiny.subject("llava", dtype=torch.bfloat16))
    assert not recent.can_share(tiny.subject("gemma-3"))


def test_an_answer_that_rounding_could_turn_is_generated_the_plain_way(monkeypatch):
    subject, last = tiny.subject("llava"), fresh()
    first, second = pair(subject)
    generation.first_answer(subject, first, last)
    monkeypatch.setitem(exactness.EXACT, torch.float64, 1e6)
    assert not recent.is_certain(subject, recent.answer_after(subject, second, last)[1])
    marked = whole(subject, second)
    monkeypatch.setattr(recent, "answer_after", lambda *a: ([5], [torch.zeros(9)], 7))
    assert generation.first_answer(subject, second, last) == marked


def test_the_first_answer_from_common_rows_is_compared_with_full_passes():
    """Keys that are not the prompt's own are noticed, once for each `Recent`."""
    subject, last = tiny.subject("llava"), recent.Recent()
    first, second = pair(subject)
    generation.first_answer(subject, first, last)
    assert not last.checked
    last.values = [2 * values for values in last.values]
    with pytest.raises(RuntimeError, match=r"in full passes, .* nats apart"):
        generation.first_answer(subject, second, last)


def test_both_instructions_are_asked_behind_each_other(tmp_path, monkeypatch):
    """The table is in the order of directions; of the second prompt of a sample only the rows
    behind the context are computed, and one is computed whole as a check.
    """
    monkeypatch.setattr(question, "cache", lambda: tmp_path)
    subject, samples = tiny.subject("internvl"), list(tiny.samples(3))
    table, rows = counted(
        subject, lambda: answered.ask_samples(subject, samples, entities.load("scenes"))
    )
    assert table["following"].tolist() == ["text"] * 3 + ["vision"] * 3
    assert table["sample"].tolist() == [one.id for one in samples] * 2
    expected = []
    for place in range(3):
        first, second = pair(subject, place)
        expected += [
            first.groups.length + 1,
            second.groups.length + 1 - alike(first, second),
            *([second.groups.length] if place == 0 else []),
        ]
    assert [count for count in rows if count > 1] == expected
    assert [(answer, first) for answer, first in zip(table["answer"], table["first"])] == [
        (own["answer"].item(), own["first"].item())
        for way in (0, 1)
        for place in range(3)
        for own in [answers.ask(subject, pair(subject, place)[way], entities.load("scenes"))]
    ]


def test_searches_go_through_the_samples_together(tmp_path, monkeypatch):
    """Two searches of one sample share its beginning; each stops by itself, and tries what it would
    try alone.
    """
    monkeypatch.setattr(question, "cache", lambda: tmp_path)
    subject, samples, asked = tiny.subject("llava"), list(tiny.samples(4)), []

    def first_answer(subject, prompt, last):
        asked.append(prompt.id)
        return prompt.sample.answer_text, prompt.y_p

    monkeypatch.setattr(generation, "first_answer", first_answer)
    names = {one.id for one in samples}
    searches = [failures.Search(way, failures.NATURAL, names, 2) for way in ("text", "vision")]
    searches += [failures.Search("vision", failures.UNREAD, {samples[3].id}, 1)]
    found = failures.seek_failures(subject, samples, searches, entities.load("scenes"))
    ids = [one.id for one in samples]
    order = [f"{ids[0]}-text", f"{ids[0]}-vision", f"{ids[1]}-text", f"{ids[1]}-vision"]
    assert asked == [*order, f"{ids[2]}-text", f"{ids[3]}-text", f"{ids[3]}-vision"]
    assert [[prompt.sample.id for prompt, _ in own] for own, _ in found] == [[], ids[:2], ids[3:]]
    assert [tried["sample"].tolist() for _, tried in found] == [ids, ids[:2], ids[3:]]


def test_hooks_that_transformers_leaves_behind_are_no_intervention():
    """It keeps one in every layer of a model that was once asked for its hidden states."""
    subject = tiny.subject("llava", seed=3)
    first, second = (subject.encode(tiny.samples()[0], way) for way in ("text", "vision"))
    expected = whole(subject, second)
    subject.model(**first.inputs, output_hidden_states=True)
    assert any(part._forward_hooks for part in subject.layers.modules())
    assert recent.can_share(subject)
    last = fresh()
    generation.first_answer(subject, first, last)
    assert generation.first_answer(subject, second, last) == expected
