"""Which sentence an instruction is: what is stored agrees with the templates, and a set with one
sentence alone has none.
"""

import itertools
import json
import shutil
from dataclasses import replace

import pytest

import tiny
from arbitration.dataset import sets
from arbitration.dataset.sample import PAPER_INSTRUCTION
from arbitration.files import folders
from arbitration.models import encode

WAYS = ("vision", "text")
TEMPLATES = json.loads((folders.DATA / "scenes" / "templates.json").read_text(encoding="utf-8"))[
    "instruction"
]
SAMPLES = [
    json.loads(line)
    for line in (folders.DATA / "scenes" / "samples.jsonl").read_text(encoding="utf-8").splitlines()
]


def fillings(way):
    """Each instruction that a template can become, with the template: the modality that is to be
    followed is A, the other B. The paper's sentence is its own, though a template can become it.
    """
    nouns = {
        modality: TEMPLATES[f"{modality}_nouns"] + TEMPLATES[f"{modality}_nouns_held_out"]
        for modality in ("image", "text")
    }
    both = ("image", "text") if way == "vision" else ("text", "image")
    found = {TEMPLATES[f"paper_{way}"]: TEMPLATES[f"paper_{way}"]}
    for sentence in TEMPLATES["train"] + TEMPLATES["held_out"]:
        for one, other in itertools.product(*(nouns[name] for name in both)):
            found.setdefault(sentence.replace("{A}", one).replace("{B}", other), sentence)
    return found


@pytest.mark.parametrize("way", WAYS)
def test_every_stored_wording_is_the_template_of_its_instruction(way):
    known = fillings(way)
    for sample in SAMPLES:
        assert sample[f"wording_{way}"] == known[sample[f"instruction_{way}"]], sample["id"]


@pytest.mark.parametrize("way", WAYS)
def test_wordings_of_one_split_are_not_those_of_another(way):
    """Held-out samples have the eight held-out sentences of either direction, all of them."""
    split = {name: set() for name in ("iid", "held", "held_style")}
    for sample in SAMPLES:
        split[sample["split"]].add(sample[f"wording_{way}"])
    assert split["held"] == set(TEMPLATES["held_out"]) and len(split["held"]) == 8
    assert split["iid"] <= {*TEMPLATES["train"], TEMPLATES[f"paper_{way}"]}
    assert not split["held"] & split["iid"]


def test_a_loaded_sample_has_its_stored_wording():
    loaded = {sample.id: sample for sample in sets.load("scenes", "held")}
    stored = [sample for sample in SAMPLES if sample["split"] == "held"]
    assert len(loaded) == len(stored) == 400
    for sample in stored:
        for way in WAYS:
            assert loaded[sample["id"]].wording(way) == sample[f"wording_{way}"]


def test_a_set_with_one_sentence_has_no_wording_and_one_with_several_has_its_sentences(tmp_path):
    """Two sentences for the picture, one for the text."""
    for number, sample in enumerate(tiny.samples(2)):
        shutil.copy(sample.image, tmp_path / f"{number}.png")
    records = [
        {
            "image": f"{number}.png",
            "question": "Which?",
            "context": "It is a dog.",
            "answer_vision": "cat",
            "answer_text": "dog",
            "instruction_vision": f"Look {'here' if number else 'there'}.",
            "instruction_text": "Read.",
        }
        for number in range(2)
    ]
    text = "\n".join(map(json.dumps, records))
    (tmp_path / "samples.jsonl").write_text(text, encoding="utf-8")
    one, other = sets.load(str(tmp_path), "held")
    assert (one.wording("vision"), other.wording("vision")) == ("Look there.", "Look here.")
    assert one.wording("text") == other.wording("text") == ""


def test_a_prompt_under_another_sentence_is_of_another_wording():
    subject, sample = tiny.subject("internvl"), tiny.samples(1)[0]
    sample = replace(sample, wording_vision="Heed {A}.", wording_text="")
    own = subject.encode(sample, "vision")
    assert own.wording == "Heed {A}." and subject.encode(sample, "text").wording == ""
    for sentence, wording in (
        (sample.instruction("vision"), "Heed {A}."),
        ("Mind the picture.", "Mind the picture."),
        (PAPER_INSTRUCTION["vision"], ""),
    ):
        assert encode.encode(subject, sample, "vision", sentence).wording == wording
