"""Spans, decisions and entities under the vocabularies of the paper's models, rebuilt in
`vocabularies`.
"""

import re
from dataclasses import replace

import pytest
import torch
from PIL import Image

import vocabularies
from arbitration import dataset
from arbitration.dataset import entities, mc2
from arbitration.dataset.sample import PAPER_INSTRUCTION
from arbitration.files.folders import ROOT
from arbitration.models import encode
from arbitration.models.groups import BASE_GROUPS
from arbitration.models.prompt import NoDecision
from reproduction.cohorts import answered
from shared_folder import SHARED


@pytest.mark.parametrize(
    "text, ids",
    [
        ("Hello world", [9707, 1879]),
        ("hello", [14990]),
        ("\n", [198]),
        ("12", [16, 17]),
        ("<|im_start|>user\n", [151644, 872, 198]),
        ("<|im_end|>", [151645]),
        ("<|vision_start|><|image_pad|><|vision_end|>", [151652, 151655, 151653]),
        ("You are a helpful assistant.", [2610, 525, 264, 10950, 17847, 13]),
        ("assistant\n", [77091, 198]),
    ],
)
def test_qwen_encodes_as_it_is_known_to(text, ids):
    assert vocabularies.subject("qwen2.5-vl").tokenizer(text)["input_ids"] == ids


def test_qwen_has_its_size():
    tokenizer = vocabularies.subject("qwen2.5-vl").tokenizer
    assert len(tokenizer) == 151665 and len(vocabularies._qwen_parts()[1]) == 151643 - 256
    assert (
        vocabularies.subject("internvl3").tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>") == 151667
    )


@pytest.mark.parametrize(
    "text, ids",
    [
        ("Hello world", [1, 15043, 3186]),
        ("Hello this is a test", [1, 15043, 445, 338, 263, 1243]),
        ("USER: <image>", [1, 3148, 1001, 29901, 29871, 32000]),
        ("grabbed", [1, 2646, 1327, 287]),
        ("镇", [1, 29871, 30411]),
        ("🦙", [1, 29871, 243, 162, 169, 156]),
        ("USER: <image>\nText", [1, 3148, 1001, 29901, 29871, 32000, 29871, 13, 1626]),
    ],
)
def test_llama_encodes_as_it_is_known_to(text, ids):
    assert vocabularies.llama()(text)["input_ids"] == ids


def test_a_prompt_of_llava_goes_on_after_its_picture_as_the_true_one_does():
    """LLaVA-1.5's tokenizer puts its own space (29871) between the picture and the line's end."""
    subject = vocabularies.subject("llava-1.5")
    prompt = subject.encode(dataset.load("scenes", "held")[0], "vision")
    ids, last = prompt.inputs["input_ids"][0], int(prompt.groups.vision[-1])
    assert ids[last + 1 : last + 3].tolist() == [29871, 13]
    assert {last + 1, last + 2} <= set(prompt.groups.template.tolist())


@pytest.mark.parametrize(
    "ci, outcome", [(None, pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_machine_without_npm_is_told_of(tmp_path, monkeypatch, ci, outcome):
    """Elsewhere the tests that need LLaMA's vocabulary are skipped; where the project is judged
    they must run.
    """
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv("CI", ci) if ci else monkeypatch.delenv("CI", raising=False)
    with pytest.raises(outcome, match="npm is not installed"):
        vocabularies.llama()


def words(subject, prompt, group):
    return subject.tokenizer.decode(
        prompt.inputs["input_ids"][0, prompt.groups.positions(group)]
    ).strip()


def check(subject, prompt, dictionary):
    """Groups say what they should and make up the prompt; the decision is between the answers'
    first tokens, which are entities.
    """
    groups, sample, ids = prompt.groups, prompt.sample, prompt.inputs["input_ids"][0]
    place = torch.cat([groups.positions(name) for name in BASE_GROUPS]).sort().values
    assert torch.equal(place, torch.arange(len(ids)))
    assert words(subject, prompt, "context") == f"Text context: {sample.context}"
    assert words(subject, prompt, "modality") == sample.instruction(prompt.following)
    assert words(subject, prompt, "question") == sample.question
    assert words(subject, prompt, "constraint") == encode.ANSWER_FORMAT
    assert (
        ids[groups.vision] == subject.tokenizer.convert_tokens_to_ids(subject.processor.image_token)
    ).all() and len(groups.vision) >= 4
    entity = dict(zip(("vision", "text"), dictionary.sample_ids(sample, subject.tokenizer)))
    assert not set(entity["vision"].tolist()) & set(entity["text"].tolist())
    followed, other = sample.answers(prompt.following)
    for token, answer, own in (
        (prompt.y_p, followed, entity.pop(prompt.following)),
        (prompt.y_c, other, *entity.values()),
    ):
        said = subject.tokenizer.decode([token]).strip()
        assert answer.startswith(said) and len(own)
        assert token in own or said != answer, "a whole answer that is one token is an entity"


def undecided(subject, samples, dictionary):
    """Check every sample under one of its instructions, which differ in one sentence; what
    `answered.encode_decidable` says of those without a decision.
    """
    without = []
    for place, sample in enumerate(samples):
        try:
            check(subject, subject.encode(sample, dataset.MODALITIES[place % 2]), dictionary)
        except NoDecision:
            without.append(sample)
    usable = next(sample for sample in samples if sample not in without)
    kept, dropped = answered.encode_decidable(subject, [*without, usable])
    assert {prompt.sample.id for prompt in kept} == {usable.id}
    assert dropped["sample"].tolist() == [
        sample.id for sample in without for _ in dataset.MODALITIES
    ]
    for row in dropped.itertuples():
        first = re.fullmatch("both answers begin with the same token, '(.*)'", row.why)[1].strip()
        assert first and row.answer_vision.startswith(first) and row.answer_text.startswith(first)
    return [sample.id for sample in without]


@pytest.mark.parametrize(
    "architecture, lost",
    [
        ("qwen2.5-vl", ["held-316", "held-325"]),
        ("internvl3", ["held-316", "held-325"]),
        ("llava-1.5", ["held-325"]),
    ],
)
def test_every_shipped_scene(architecture, lost):
    """*Driving* and *drinking* begin alike in Qwen2.5's vocabulary when no space is before them,
    *skating* and *skateboarding* in both.
    """
    subject, dictionary = vocabularies.subject(architecture), entities.load("scenes")
    samples = [sample for split in dataset.SPLITS for sample in dataset.load("scenes", split)]
    assert undecided(subject, samples, dictionary) == lost


@pytest.mark.parametrize(
    "architecture, ends, y_p",
    [
        ("qwen2.5-vl", "<|im_start|>assistant\n", "l"),
        ("internvl3", "<|im_start|>assistant\n", "l"),
        ("llava-1.5", "phrase. ASSISTANT:", "▁laptop"),
    ],
)
def test_an_answer_begins_as_the_model_would_write_it(architecture, ends, y_p):
    """After a line's end bare, where Qwen2.5 writes *laptop* in two tokens; after ``ASSISTANT:``
    with a space.
    """
    subject = vocabularies.subject(architecture)
    prompt = subject.encode(dataset.load("scenes", "held")[0], "vision")
    assert prompt.text.endswith(ends) and subject.tokenizer.convert_ids_to_tokens(prompt.y_p) == y_p


@pytest.fixture(scope="module")
def conflicts(tmp_path_factory):
    """MC²'s samples, all with one picture: the photographs are not here, and no token depends on
    what they show.
    """
    picture = tmp_path_factory.mktemp("picture") / "one.png"
    Image.new("RGB", (56, 56), "gray").save(picture)
    records = mc2.read(SHARED / "data" / "mc2.json")
    scene = dataset.load("scenes", "held")[0]
    wordings = {f"instruction_{way}": wording for way, wording in PAPER_INSTRUCTION.items()}
    return [
        replace(
            scene,
            id=f"mc2-{place:04d}",
            image=str(picture),
            **{name: value for name, value in mc2.cleaned(record).items() if name != "image_id"},
            **wordings,
        )
        for place, record in enumerate(records)
    ]


@pytest.mark.shared
@pytest.mark.parametrize("architecture", ["qwen2.5-vl", "llava-1.5"])
def test_mc2_loses_at_most_one_in_a_hundred(conflicts, architecture):
    subject = vocabularies.subject(architecture)
    dictionary = entities.EntityDictionary(
        {
            entities.AS_WRITTEN: {
                answer: {"en": [answer]}
                for sample in conflicts
                for answer in sample.answers("vision")
            }
        }
    )
    assert len(undecided(subject, conflicts, dictionary)) == 18 <= len(conflicts) / 100


@pytest.mark.shared
def test_the_page_says_how_often_an_answer_is_one_token():
    page = " ".join((ROOT / "book" / "dictionaries.md").read_text(encoding="utf-8").split())
    words = [
        answer
        for record in map(mc2.cleaned, mc2.read(SHARED / "data" / "mc2.json"))
        for answer in (record["answer_vision"], record["answer_text"])
        if " " not in answer
    ]
    shares = []
    for architecture, space in (("qwen2.5-vl", ""), ("qwen2.5-vl", " "), ("llava-1.5", " ")):
        tokenizer = vocabularies.subject(architecture).tokenizer
        tokens = tokenizer([space + word for word in words], add_special_tokens=False)["input_ids"]
        shares.append(100 * sum(len(ids) == 1 for ids in tokens) / len(words))
    bare, spaced, llama = (f"{share:.0f} %" for share in shares)
    assert (
        f"there {bare} of MC²'s one-word answers are one token, though {spaced} are one "
        f"after a space; in LLaMA's vocabulary {llama} are one token"
    ) in page
