"""What is put to the hand-made models of `planted`: conflicts of colours in words of their own."""

import torch

from arbitration.dataset.entities import EntityDictionary
from arbitration.dataset.sample import Sample
from arbitration.models.prompt import Prompt, TokenGroups
from arbitration.models.subject import Subject

COLOURS = ("red", "green", "blue", "yellow")


def samples() -> list[Sample]:
    """Every pair of colours that picture and text can disagree about; the picture is the tokens
    that stand for it.
    """
    pairs = [(shown, written) for shown in COLOURS for written in COLOURS if shown != written]
    return [
        Sample(
            id=f"{shown}-{written}",
            split="planted",
            task="color",
            image=f"<blank> <{shown}> <{shown}> <blank>",
            question="which colour ?",
            context=f"the note says {written}" if number % 2 else f"{written} says the note here",
            answer_vision=shown,
            answer_text=written,
            instruction_vision="trust the picture",
            instruction_text="trust the words",
        )
        for number, (shown, written) in enumerate(pairs)
    ]


def dictionary() -> EntityDictionary:
    """Each colour's only form is its name."""
    return EntityDictionary({"colour": {colour: {"en": [colour]} for colour in COLOURS}})


def encode_planted(subject: Subject, sample: Sample, following: str) -> Prompt:
    """The prompt of one sample under one instruction; image tokens are words of the vocabulary."""
    pieces = (
        ("<s> user", "template"),
        (sample.image, "vision"),
        (sample.context, "context"),
        (sample.instruction(following), "modality"),
        (sample.question, "question"),
        ("assistant", "template"),
        (":", "last"),
    )
    ids: list[int] = []
    places: dict[str, list[int]] = {"constraint": []}
    for words, group in pieces:
        tokens = subject.tokenizer(words)["input_ids"]
        places.setdefault(group, []).extend(range(len(ids), len(ids) + len(tokens)))
        ids += tokens
    groups = {name: torch.tensor(found, dtype=torch.long) for name, found in places.items()}
    groups["instruction"] = torch.cat([groups["modality"], groups["question"]])
    y_p, y_c = (subject.tokenizer(answer)["input_ids"][0] for answer in sample.answers(following))
    inputs = {
        "input_ids": torch.tensor([ids]),
        "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
    }
    return Prompt(
        inputs,
        TokenGroups(**groups),
        y_p,
        y_c,
        sample,
        following,
        " ".join(words for words, _ in pieces),
    )
