"""One thing to answer: a picture, a prompt and the right word. What training sees, and what the
abilities are measured on.
"""

from dataclasses import dataclass
from random import Random

import torch

from recipe import wording
from recipe.render import Scene, render
from recipe.scenes import TASKS, draw_scene

#: Share of each kind of example in training.
MIXTURE = {"conflict": 0.55, "agreeing": 0.10, "vision only": 0.22, "text only": 0.13}
INSTRUCTION_FIRST = 0.7  # share of prompts with the instruction before the question
IGNORED = -100  # label of a position that is not trained


@dataclass(frozen=True)
class Example:
    """A picture, what is said about it, and the answer wanted.

    `other` is the answer of the modality that is not to be followed ("" where there is none).
    """

    task: str
    scene: Scene
    context: str
    request: str
    answer: str
    other: str = ""


def example(
    rng: Random,
    kind: str,
    task: str | None = None,
    following: str | None = None,
    held=False,
    held_style=False,
    order=True,
):
    """Draw an example.

    Parameters
    ----------
    rng : random.Random
    kind : {"conflict", "agreeing", "vision only", "text only"}
        Whether the text claims another answer than the picture, the same one, nothing about the
        question, or whether the picture is empty.
    task : str, optional
        A task type; drawn if not given.
    following : {"vision", "text"}, optional
        Drawn if not given; with one modality only it is that one.
    held : bool
        Wordings that training never shows.
    held_style : bool
        The art style that training never shows.
    order : bool
        True puts the instruction first, as in the shipped samples; None leaves it to chance.

    Returns
    -------
    Example
    """
    draft, scene = draw_scene(rng, task or rng.choice(list(TASKS)), held_style)
    following = {"vision only": "vision", "text only": "text"}.get(
        kind, following or rng.choice(("vision", "text"))
    )
    claimed = draft.answer_vision if kind == "agreeing" else draft.answer_text
    context = (
        wording.fillers(rng, held) if kind == "vision only" else draft.stated(rng, claimed, held)
    )
    if kind == "text only":
        scene = Scene((), scene.background)
    instruction = wording.instruction(rng, following, held)
    first = rng.random() < INSTRUCTION_FIRST if order is None else order
    request = f"{instruction} {draft.question}" if first else f"{draft.question} {instruction}"
    right, other = (
        (draft.answer_vision, claimed) if following == "vision" else (claimed, draft.answer_vision)
    )
    return Example(task or "", scene, context, request, right, other if kind == "conflict" else "")


def training_batch(rng: Random, size: int) -> list[Example]:
    """Examples in the proportions of `MIXTURE`, in the wordings and styles of training."""
    kinds = rng.choices(list(MIXTURE), list(MIXTURE.values()), k=size)
    return [example(rng, kind, order=None) for kind in kinds]


def write_prompt(example: Example, image: str) -> str:
    """The prompt; `image` stands for the picture."""
    return f"USER:{image}\n{example.context}\n{example.request}\nASSISTANT:"


def encode_examples(
    examples: list[Example],
    tokenizer,
    image: str,
    patches: int,
    device="cpu",
    answers=True,
    noise=None,
):
    """Model inputs for examples, padded on the right.

    Parameters
    ----------
    examples : list of Example
    tokenizer : PreTrainedTokenizerFast
    image : str
        The image token.
    patches : int
        Image tokens a picture takes.
    answers : bool
        Append the answer and the end of text, and label them.
    noise : torch.Generator, optional
        With it, brightness varies by ±7.5 % and pixels get noise of 0.03.

    Returns
    -------
    inputs : dict of str to Tensor
        input_ids and attention_mask (rows, length), pixel_values (rows, 3, 96, 96) in −1..1, labels
        if asked for.
    cue, late : BoolTensor
        Shape (rows, length): tokens of picture and text context; tokens after the request.
    """
    rows = []
    for each in examples:
        start = f"USER:{image * patches}\n"
        text = write_prompt(each, image * patches) + (f" {each.answer}" if answers else "")
        tokens = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
        context, request = len(start), len(start) + len(each.context) + 1
        ends = request + len(each.request)
        answer = len(write_prompt(each, image * patches))
        begins = [begin for begin, _ in tokens["offset_mapping"]]
        ids = tokens["input_ids"] + [tokenizer.eos_token_id] * answers
        cue = [len("USER:") <= a < context - 1 or context <= a < request - 1 for a in begins]
        late = [a >= ends for a in begins]
        trained = [a >= answer for a in begins]
        more = [True] * answers
        rows.append((ids, cue + [False] * answers, late + more, trained + more))
    length = max(len(ids) for ids, *_ in rows)
    shape = (len(rows), length)
    ids = torch.full(shape, tokenizer.pad_token_id)
    cue, late, trained, there = (torch.zeros(shape, dtype=torch.bool) for _ in range(4))
    for index, (tokens, *flags) in enumerate(rows):
        ids[index, : len(tokens)] = torch.tensor(tokens)
        there[index, : len(tokens)] = True
        for mask, values in zip((cue, late, trained), flags):
            mask[index, : len(tokens)] = torch.tensor(values)
    pictures = render([each.scene for each in examples], device)
    if noise is not None:
        light = 1 + 0.15 * (torch.rand(len(rows), 1, 1, 1, generator=noise, device=device) - 0.5)
        pictures = pictures * light + 0.03 * torch.randn(
            pictures.shape, generator=noise, device=device
        )
    inputs = {
        "input_ids": ids,
        "attention_mask": there.long(),
        "pixel_values": pictures.clamp(0, 1) * 2 - 1,
    }
    if answers:
        inputs["labels"] = ids.where(trained, IGNORED)
    return (
        {name: value.to(device) for name, value in inputs.items()},
        cue.to(device),
        late.to(device),
    )
