"""Token groups of §3.1.1: exact, disjoint and complete, for every shipped sample and every
architecture.
"""

import dataclasses
import re
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.nn.functional import one_hot

import tiny
from arbitration import dataset
from arbitration.dataset import entities
from arbitration.dataset.sample import PAPER_INSTRUCTION
from arbitration.engine import generation
from arbitration.models import altered, embedded, encode
from arbitration.models.groups import BASE_GROUPS
from arbitration.models.prompt import MARGIN, NoDecision, Unusable
from arbitration.models.subject import Subject
from reproduction.cohorts import answered
from reproduction.measures.answers import outcome_of


@pytest.fixture(scope="module")
def smol():
    model, processor = embedded.build_embedded("smol", weights="random")
    return Subject("smol", model, processor, "random-0", chat=False)


def partition(prompt):
    return torch.cat([prompt.groups.positions(name) for name in BASE_GROUPS]).sort().values


def words(subject, prompt, group):
    return subject.tokenizer.decode(prompt.inputs["input_ids"][0, prompt.groups.positions(group)])


@pytest.mark.parametrize("split", dataset.SPLITS)
def test_groups_partition_every_shipped_prompt(smol, split):
    for sample in dataset.load("scenes", split):
        for following in dataset.MODALITIES:
            prompt = smol.encode(sample, following)
            groups, ids = prompt.groups, prompt.inputs["input_ids"][0]
            assert torch.equal(partition(prompt), torch.arange(len(ids)))
            assert len(groups.vision) == 36 and (ids[groups.vision] == 5).all()
            assert groups.last.tolist() == [len(ids) - 1]
            assert words(smol, prompt, "context").strip() == sample.context
            assert (
                words(smol, prompt, "instruction").strip()
                == f"{sample.instruction(following)} {sample.question}"
            )
            assert words(smol, prompt, "modality").strip() == sample.instruction(following)
            assert words(smol, prompt, "question").strip() == sample.question
            assert prompt.y_p != prompt.y_c


def test_prompt_is_the_one_of_training(smol):
    sample = dataset.load("scenes", "held")[0]
    prompt = smol.encode(sample, "vision")
    picture = smol.processor.image_token * 36
    assert prompt.text == (
        f"USER:{picture}\n{sample.context}\n{sample.instruction_vision} "
        f"{sample.question}\nASSISTANT:"
    )
    assert smol.tokenizer.decode([prompt.y_p, prompt.y_c]) == " laptop door"


@pytest.mark.parametrize(
    "layout, order",
    [
        ("plain", ["context", "modality", "question"]),
        ("swapped", ["context", "question", "modality"]),
        ("distanced", ["context", "neutral", "modality", "question"]),
    ],
)
def test_layouts_change_the_order_and_nothing_else(smol, layout, order):
    for sample in dataset.load("scenes", "held")[:20]:
        prompt = encode.encode(smol, sample, "text", layout=layout)
        said = {
            "context": sample.context,
            "modality": sample.instruction_text,
            "question": sample.question,
            "neutral": encode.NEUTRAL,
        }
        assert torch.equal(partition(prompt), torch.arange(prompt.groups.length))
        assert [words(smol, prompt, group).strip() for group in order] == [
            said[group] for group in order
        ]
        edges = [
            (int(prompt.groups.positions(group).min()), int(prompt.groups.positions(group).max()))
            for group in order
        ]
        assert all(before[1] < after[0] for before, after in zip(edges, edges[1:]))
        assert torch.equal(
            prompt.groups.instruction,
            torch.cat([prompt.groups.modality, prompt.groups.question]).sort().values,
        )
        assert torch.isin(prompt.groups.neutral, prompt.groups.template).all() and (
            len(prompt.groups.neutral) > 0
        ) == (layout == "distanced")
    assert encode.encode(smol, sample, "text").text == smol.encode(sample, "text").text


def test_the_swapped_order_was_trained_too(smol):
    sample = dataset.load("scenes", "held")[0]
    text = encode.encode(smol, sample, "vision", layout="swapped").text
    assert text.endswith(
        f"{sample.context}\n{sample.question} {sample.instruction_vision}\nASSISTANT:"
    )


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_layouts_keep_the_answer_format_last(architecture):
    subject, sample = tiny.subject(architecture), tiny.samples()[0]
    for layout in encode.LAYOUTS:
        groups = encode.encode(subject, sample, "text", layout=layout).groups
        assert groups.constraint.min() > max(groups.modality.max(), groups.question.max())
        assert (groups.question.max() < groups.modality.min()) == (layout == "swapped")
        assert (
            len(groups.neutral) == 0
            or groups.context.max()
            < groups.neutral.min()
            < groups.neutral.max()
            < groups.modality.min()
        )


def test_an_unknown_layout_is_refused(smol):
    with pytest.raises(
        ValueError, match="unknown layout 'reversed'; known layouts: plain, swapped, distanced"
    ):
        encode.encode(smol, tiny.samples()[0], "text", layout="reversed")


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_modality_alone_has_nothing_to_contradict_it(architecture):
    subject, sample = tiny.subject(architecture), tiny.samples()[0]
    seen, read = (
        altered.encode_alone(subject, sample, modality) for modality in ("vision", "text")
    )
    assert (
        encode.NEUTRAL in seen.text
        and sample.context not in seen.text
        and sample.instruction_vision in seen.text
    )
    assert torch.equal(
        seen.inputs["pixel_values"], subject.encode(sample, "vision").inputs["pixel_values"]
    )
    pixels = read.inputs["pixel_values"]
    place = (-2, -1) if pixels.ndim > 2 else (0,)
    assert pixels.std(place).max() < 1e-6 and read.text == subject.encode(sample, "text").text
    torch.testing.assert_close(
        pixels.mean(place),
        subject.encode(sample, "text").inputs["pixel_values"].mean(place),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "architecture, images", [("llava", 16), ("qwen2.5-vl", 9), ("internvl", 4)]
)
def test_groups_survive_image_expansion(architecture, images):
    subject = tiny.subject(architecture)
    for sample in tiny.samples():
        prompt = subject.encode(sample, "text")
        ids = prompt.inputs["input_ids"][0]
        assert torch.equal(partition(prompt), torch.arange(len(ids)))
        assert len(prompt.groups.vision) == images
        assert words(subject, prompt, "vision") == subject.processor.image_token * images
        assert words(subject, prompt, "context") == f"Text context: {sample.context}"
        assert words(subject, prompt, "constraint").strip() == encode.ANSWER_FORMAT
        assert torch.equal(
            prompt.groups.text,
            torch.cat([prompt.groups.context, prompt.groups.instruction]).sort().values,
        )


def test_modality_question_and_constraint_make_the_instruction():
    subject = tiny.subject("qwen2.5-vl")
    groups = subject.encode(tiny.samples()[0], "text").groups
    parts = torch.cat([groups.modality, groups.question, groups.constraint]).sort().values
    assert torch.equal(parts, groups.instruction)


def test_answers_with_one_first_token_are_refused():
    sample = dataclasses.replace(tiny.samples()[0], answer_text="laptop bag")
    with pytest.raises(NoDecision, match="same token"):
        tiny.subject("llava").encode(sample, "text")
    with pytest.raises(ValueError, match="choose 'vision' or 'text'"):
        tiny.subject("llava").encode(sample, "image")


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
@pytest.mark.parametrize("field", ["context", "question", "instruction_text"])
def test_special_tokens_in_the_words_of_a_sample_are_refused_by_name(architecture, field):
    """They would end the turn, or stand for a picture that is not there."""
    subject, sample = tiny.subject(architecture), tiny.samples()[0]
    for token in (subject.processor.image_token, "<|im_end|>"):
        hostile = dataclasses.replace(sample, **{field: f"{getattr(sample, field)} {token} now"})
        with pytest.raises(
            Unusable,
            match=(
                f"sample {sample.id}: its {field.partition('_')[0]} holds "
                f"'{re.escape(token)}'.*write it otherwise"
            ),
        ):
            subject.encode(hostile, "text")
    subject.encode(sample, "text")


def test_a_prompt_beyond_the_models_positions_is_refused_by_name(monkeypatch):
    subject, sample = tiny.subject("llava"), tiny.samples()[0]
    prompt = subject.encode(sample, "text")
    monkeypatch.setattr(
        subject.decoder.config, "max_position_embeddings", prompt.groups.length + prompt.room
    )
    subject.encode(sample, "text")
    longer = dataclasses.replace(sample, context=f"{sample.context} Indeed.")
    most = prompt.groups.length + prompt.room
    with pytest.raises(
        Unusable,
        match=(
            f"sample {sample.id}: prompt and answer may have .* tokens, and tiny-llava has "
            f"{most} positions"
        ),
    ):
        subject.encode(longer, "text")


def test_samples_that_a_model_cannot_take_are_dropped_and_told_before_any_pass(
    tmp_path, monkeypatch
):
    """A picture whose sides the processor refuses, a special token, too many tokens, no decision, a
    picture that is gone; two samples are left.
    """
    subject, (first, *others, last) = tiny.subject("qwen2.5-vl"), tiny.samples(7)
    Image.new("RGB", (1093, 5)).save(tmp_path / "banner.png")
    monkeypatch.setattr(subject.decoder.config, "max_position_embeddings", 400)
    changes = [
        {"image": str(tmp_path / "banner.png")},
        {"question": "What is <|image_pad|>?"},
        {"context": "So it is. " * 200},
        {"answer_text": first.answer_text, "answer_vision": f"{first.answer_text} too"},
        {"image": str(tmp_path / "gone.png")},
    ]
    broken = [dataclasses.replace(sample, **change) for sample, change in zip(others, changes)]
    monkeypatch.setattr(
        type(subject.model),
        "forward",
        lambda *arguments, **options: pytest.fail("a pass before the set was looked through"),
    )
    kept, dropped = answered.encode_decidable(subject, [first, *broken, last])
    assert [prompt.sample.id for prompt in kept] == [first.id, first.id, last.id, last.id]
    reasons = dropped.groupby("sample", sort=False)["why"].first().tolist()
    expected = [
        "does not take its picture 'banner.png': absolute aspect ratio",
        "its question holds '<|image_pad|>'",
        "has 400 positions",
        "both answers begin with the same token",
        "does not take its picture 'gone.png': cannot be read as a picture",
    ]
    assert all(one in reason for one, reason in zip(expected, reasons, strict=True)), reasons
    with pytest.raises(
        ValueError,
        match=f"none of 5 samples can be put to tiny-qwen2.5-vl; {others[0].id}: the processor",
    ):
        answered.encode_decidable(subject, broken)


@pytest.mark.parametrize(
    "answers, least",
    [(("old double-decker bus", "a tram"), 6), (("яблоко", "груша"), 6), (("red", "blue"), 1)],
)
def test_an_answer_has_room_to_be_written_whole(monkeypatch, answers, least):
    """A model that writes the perfect answer, token by token until it is told to stop, follows;
    with five tokens the longer ones were cut.
    """
    subject = tiny.subject("llava")
    sample = dataclasses.replace(
        tiny.samples()[0], answer_vision=answers[0], answer_text=answers[1]
    )
    prompt = subject.encode(sample, "vision")
    own, rival = (
        subject.tokenizer(f" {answer}" if prompt.text[-1] != "\n" else answer)["input_ids"]
        for answer in answers
    )
    assert prompt.room == max(len(own), len(rival)) + MARGIN and len(own) >= least

    def generate(inputs=None, *, input_ids, max_new_tokens, **options):
        written = torch.tensor([own[:max_new_tokens]])
        return SimpleNamespace(
            sequences=torch.cat([input_ids, written], dim=1),
            logits=[one_hot(torch.tensor(own[:1]), len(subject.tokenizer)).float()],
        )

    monkeypatch.setattr(subject.model, "generate", generate)
    answer, token = generation.first_answer(subject, prompt)
    dictionary = entities.EntityDictionary(
        {entities.AS_WRITTEN: {answer: {"en": [answer]} for answer in answers}}
    )
    assert (answer.strip(), token) == (answers[0], prompt.y_p) and outcome_of(
        answer, prompt, dictionary
    ) == "follow"


def test_weakening_mixes_the_two_instructions():
    subject, sample = tiny.subject("llava"), tiny.samples()[0]
    own, half, opposite = (
        altered.weaken(subject, sample, "vision", share) for share in (0.0, 0.5, 1.0)
    )
    plain = encode.encode(subject, sample, "vision", PAPER_INSTRUCTION["vision"])
    mirror = encode.encode(subject, sample, "text", PAPER_INSTRUCTION["text"])
    logits = [subject.model(**p.inputs).logits[0, -1] for p in (own, half, opposite, plain, mirror)]
    assert torch.equal(logits[0], logits[3]) and torch.equal(logits[2], logits[4])
    assert not torch.allclose(logits[1], logits[0]) and not torch.allclose(logits[1], logits[2])
    outside = torch.ones(half.groups.length, dtype=bool).index_fill(0, half.groups.modality, False)
    assert torch.equal(
        half.inputs["inputs_embeds"][0, outside], own.inputs["inputs_embeds"][0, outside]
    )


@pytest.mark.parametrize("architecture", ["qwen2.5-vl", "qwen3-vl", "gemma-3"])
def test_weakening_refuses_models_that_need_token_ids(architecture):
    """For positions with three axes, or because transformers generates from nothing else."""
    with pytest.raises(ValueError, match="natural failures"):
        altered.weaken(tiny.subject(architecture), tiny.samples()[0], "vision", 0.5)
    assert all(
        altered.can_weaken(tiny.subject(other))
        for other in ("llava", "internvl", "llava-onevision")
    )
