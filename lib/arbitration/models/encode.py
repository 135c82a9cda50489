"""From a sample to a prompt: the model's own words around it, its tokens, and the group of each."""

from pathlib import Path

import torch
from torch import Tensor

from arbitration.dataset import pictures
from arbitration.dataset.sample import PAPER_INSTRUCTION, Sample
from arbitration.files.given import quote, quote_error
from arbitration.models.prompt import MARGIN, NoDecision, Prompt, TokenGroups, Unusable

ANSWER_FORMAT = "Answer the question using a single word or phrase."
#: The order of the user's words: as everywhere in the paper; the question before the modality
#: sentence; `NEUTRAL` between context and instruction.
LAYOUTS = ("plain", "swapped", "distanced")
#: Words that say nothing of pictures, texts, or what to answer.
NEUTRAL = (
    "This page is one of a longer collection. It was put together some time ago and has "
    "been kept in a safe place ever since. "
    "Its parts follow each other in the order in which they came."
)
#: How a model may write the first letter of an answer (`Subject.spelling`).
SPELLINGS = {
    "as given": lambda answer: answer,
    "lower case": lambda answer: answer[:1].lower() + answer[1:],
    "capitalised": lambda answer: answer[:1].upper() + answer[1:],
}


def encode(
    subject, sample: Sample, following: str, instruction: str | None = None, layout: str = "plain"
) -> Prompt:
    """Build the prompt of one sample under one instruction.

    Parameters
    ----------
    subject : Subject
    sample : Sample
    following : {"vision", "text"}
    instruction : str, optional
        Another wording than the sample's own.
    layout : {"plain", "swapped", "distanced"}
        See `LAYOUTS`.

    Raises
    ------
    NoDecision
        If both answers begin with the same token.
    Unusable
        If the sample cannot be put to the model for another reason: its picture cannot be read or
        is refused by the processor, it holds one of the model's special tokens, is too long, or its
        tokens cannot be aligned with the text. The message names the sample.
    ValueError
        For an unknown direction or layout.
    """
    if following not in ("vision", "text"):
        why = f"following={following!r}; choose 'vision' or 'text'"
        raise ValueError(why)
    if layout not in LAYOUTS:
        why = f"unknown layout {layout!r}; known layouts: {', '.join(LAYOUTS)}"
        raise ValueError(why)
    wording = _wording(sample, following, instruction)
    instruction = instruction or sample.instruction(following)
    _refuse_special_tokens(subject, sample, instruction)
    pieces = _pieces(subject, sample, instruction, layout)
    inputs = _processed(subject, sample, "".join(piece for piece, _ in pieces))
    ids = inputs["input_ids"][0]
    text, offsets, spans = _expanded(subject, sample, pieces, ids)
    groups = _groups(subject, text, offsets, spans, ids)
    answers = [
        _answer_ids(subject, sample, text, ids, answer) for answer in sample.answers(following)
    ]
    (y_p, *_), (y_c, *_) = answers
    if y_p == y_c:
        raise NoDecision(sample, subject.tokenizer.decode([y_p]))
    room = max(map(len, answers)) + MARGIN
    _refuse_beyond_positions(subject, sample, len(ids) + room)
    inputs = {key: value.to(subject.device) for key, value in inputs.items()}
    return Prompt(inputs, groups, y_p, y_c, sample, following, text, room, wording)


def _wording(sample: Sample, following: str, instruction: str | None) -> str:
    """`Prompt.wording`: another's sentence by itself; none for the paper's, which all share that
    are given it.
    """
    if instruction in (None, sample.instruction(following)):
        return sample.wording(following)
    return "" if instruction == PAPER_INSTRUCTION[following] else instruction


def _pieces(subject, sample: Sample, instruction: str, layout: str) -> list[tuple[str, str]]:
    """The prompt as (string, group) pieces in order, one image placeholder among them."""
    image = subject.processor.image_token
    asked = [(instruction, "modality"), (sample.question, "question")][
        :: -1 if layout == "swapped" else 1
    ]
    between = [(NEUTRAL, "neutral"), ("\n", "template")] if layout == "distanced" else []
    if not subject.chat:
        return [
            ("USER:", "template"),
            (image, "vision"),
            ("\n", "template"),
            (sample.context, "context"),
            ("\n", "template"),
            *between,
            *_spaced(asked),
            ("\nASSISTANT:", "template"),
        ]
    body = [
        (f"Text context: {sample.context}", "context"),
        ("\n", "template"),
        *between,
        *_spaced([*asked, (ANSWER_FORMAT, "constraint")]),
    ]
    words = "".join(piece for piece, _ in body)
    turn = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": words}]}]
    try:
        rendered = subject.processor.apply_chat_template(
            turn, add_generation_prompt=True, tokenize=False
        )
    except Exception as error:  # a template is a program, and raises many kinds
        why = (
            f"the chat template of {subject.name} cannot be used ({quote_error(error)}); put the "
            f"chat_template.jinja of its checkpoint beside its processor"
        )
        raise ValueError(why) from error
    if rendered.count(words) != 1 or rendered.count(image) != 1:
        why = (
            f"the chat template of {subject.name} does not hold the image and the user's words "
            f"exactly once: {quote(rendered)}; put that of its checkpoint beside its processor"
        )
        raise ValueError(why)
    before, after = rendered.split(words)
    head, between = before.split(image)
    return [
        (head, "template"),
        (image, "vision"),
        (between, "template"),
        *body,
        (after, "template"),
    ]


def _spaced(sentences: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [piece for sentence in sentences for piece in ((" ", sentence[1]), sentence)][1:]


def _refuse_special_tokens(subject, sample: Sample, instruction: str) -> None:
    """A sample whose words or answers hold one of the tokenizer's special tokens would say other
    things to the model than to a reader.
    """
    tokenizer = subject.tokenizer
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    special |= {*tokenizer.all_special_tokens, subject.processor.image_token}
    for name, words in (
        ("context", sample.context),
        ("instruction", instruction),
        ("question", sample.question),
        ("answer_vision", sample.answer_vision),
        ("answer_text", sample.answer_text),
    ):
        found = next((token for token in sorted(special) if token and token in words), None)
        if found:
            raise Unusable(
                sample,
                (
                    f"its {name} holds {found!r}, which {subject.name} takes for a special "
                    f"token; write it otherwise"
                ),
            )


def _processed(subject, sample: Sample, asked: str) -> dict[str, Tensor]:
    """The processor's inputs of a model for a sample's picture and some text."""
    try:
        picture = pictures.read_picture(sample.image)
        return subject.processor(
            images=picture,
            text=asked,
            images_kwargs=subject.images,
            text_kwargs=_start(subject, asked),
            return_tensors="pt",
        )
    except Exception as error:  # processors raise many kinds
        raise Unusable(
            sample,
            (
                f"the processor of {subject.name} does not take its picture "
                f"{Path(sample.image).name!r}: {quote_error(error)}"
            ),
        ) from error


def _refuse_beyond_positions(subject, sample: Sample, length: int) -> None:
    most = getattr(subject.decoder.config, "max_position_embeddings", None)
    if most and length > most:
        why = (
            f"prompt and answer may have {length:,} tokens, and {subject.name} has {most:,} "
            f"positions; shorten its context, or take smaller pictures"
        )
        raise Unusable(sample, why)


def _expanded(
    subject, sample: Sample, pieces, ids: Tensor
) -> tuple[str, list[tuple[int, int]], list[tuple[int, int, str]]]:
    """The text with the image placeholder expanded as the processor did it, and in it the character
    spans of the tokens and of the pieces.

    Checked by tokenising that text: it must give the processor's ids, so offsets can be trusted.
    """
    places = (ids == subject.image_token_id).nonzero().flatten().tolist()
    if not places:
        why = (
            f"the processor of {subject.name} gave no token {subject.image_token_id}, "
            f"which the model's configuration names as that of the picture"
            " (image_token_id); give a processor and a model of the same checkpoint"
        )
        raise ValueError(why)
    first, last = places[0], places[-1] + 1
    # What stands in the picture's place: its tokens, or those and one more on either side, or what
    # the processor itself says.
    placeholders = (
        "".join(
            subject.tokenizer.convert_ids_to_tokens(ids[first - margin : last + margin].tolist())
        )
        for margin in (0, 1)
    )
    for wrapped in (*placeholders, getattr(subject.processor, "full_image_sequence", "")):
        spans, text = [], ""
        for piece, group in pieces:
            piece = wrapped if group == "vision" else piece
            spans.append((len(text), len(text) + len(piece), group))
            text += piece
        tokens = subject.tokenizer(text, return_offsets_mapping=True, **_start(subject, text))
        if tokens["input_ids"] == ids.tolist():
            return text, tokens["offset_mapping"], spans
    raise Unusable(
        sample,
        (
            f"cannot align the tokens of {subject.name} with its prompt text: expanding the "
            f"image gives other ids than the processor's"
        ),
    )


def _start(subject, text: str) -> dict:
    """What the tokenizer is told so that a prompt begins as its chat template does, and not with a
    second token for the beginning.
    """
    begins = subject.tokenizer.bos_token
    return {"add_special_tokens": False} if begins and text.startswith(begins) else {}


def _groups(subject, text: str, offsets, spans, ids: Tensor) -> TokenGroups:
    """Each token belongs to the group of its first non-space character (`_expanded`)."""
    numbers, image = ids.tolist(), subject.image_token_id
    found: dict[str, list[int]] = {}
    for position, (start, end) in enumerate(offsets):
        token = text[start:end]
        start += len(token) - len(token.lstrip()) if token.strip() else 0
        group = (
            next((name for low, high, name in spans if low <= start < high), "template")
            if end > start
            else "template"
        )
        if group == "vision" and numbers[position] != image:
            group = "template"
        if position == len(ids) - 1:
            group = "last"
        found.setdefault(group, []).append(position)
    names = (
        "vision",
        "context",
        "last",
        "template",
        "modality",
        "question",
        "constraint",
        "neutral",
    )
    tensors = {name: torch.tensor(found.get(name, []), dtype=torch.long) for name in names}
    tensors["template"] = torch.cat([tensors["template"], tensors["neutral"]]).sort().values
    instruction = (
        torch.cat([tensors[name] for name in ("modality", "question", "constraint")]).sort().values
    )
    return TokenGroups(instruction=instruction, **tensors)


def _answer_ids(subject, sample: Sample, text: str, ids: Tensor, answer: str) -> list[int]:
    """The tokens of an answer as the model would write it after this prompt: in its spelling, after
    a space unless one is there.
    """
    answer = SPELLINGS[subject.spelling](answer)
    form = answer if text[-1].isspace() else f" {answer}"
    whole = subject.tokenizer(text + form, **_start(subject, text))["input_ids"]
    if whole[: len(ids)] != ids.tolist():
        raise Unusable(
            sample, f"in {subject.name} the answer {answer!r} merges with the end of the prompt"
        )
    return whole[len(ids) :]
