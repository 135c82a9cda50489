"""One sample as model inputs, and which of its tokens are image, text context, instruction and the rest (§3.1.1)."""

from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor

from arbitration import pictures
from arbitration.dataset import Sample, opposite

BASE_GROUPS = ("vision", "context", "instruction", "last", "template")
TOKEN_GROUPS = (*BASE_GROUPS, "text", "modality", "question", "constraint", "neutral")
ANSWER_FORMAT = "Answer the question using a single word or phrase."
#: The order of the user's words: as everywhere in the paper; the question before the modality sentence; `NEUTRAL` between context and instruction.
LAYOUTS = ("plain", "swapped", "distanced")
#: Words that say nothing of pictures, texts, or what to answer.
NEUTRAL = (
    "This page is one of a longer collection. It was put together some time ago and has been kept in a safe place ever since. "
    "Its parts follow each other in the order in which they came."
)
#: Tokens that an answer may have beyond those of the answer as given: an article, a space, a mark at its end.
MARGIN = 4
#: How a model may write the first letter of an answer (`Subject.spelling`).
SPELLINGS = {
    "as given": lambda answer: answer,
    "lower case": lambda answer: answer[:1].lower() + answer[1:],
    "capitalised": lambda answer: answer[:1].upper() + answer[1:],
}


class Unusable(ValueError):
    """A sample cannot be put to a model; the others can.

    Attributes
    ----------
    why : str
        Without the sample's name.
    """

    def __init__(self, sample: Sample, why: str):
        self.why = why
        super().__init__(f"sample {sample.id}: {why}")


class NoDecision(Unusable):
    """Both answers of a sample begin with the same token, so the first token decides nothing."""

    def __init__(self, sample: Sample, token: str):
        super().__init__(sample, f"both answers begin with the same token, {token!r}")


@dataclass(frozen=True)
class TokenGroups:
    """Positions (0-based, in the sequence with the image expanded) of each part of a prompt.

    `vision`, `context`, `instruction`, `last` and `template` are disjoint and together the whole prompt.
    `modality`, `question` and `constraint` are parts of the instruction, `neutral` one of the template (a prompt may lack
    any of them); `text` is context and instruction together. All are sorted 1-D LongTensors.
    """

    vision: Tensor
    context: Tensor
    instruction: Tensor
    last: Tensor
    template: Tensor
    modality: Tensor
    question: Tensor
    constraint: Tensor
    neutral: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))

    @property
    def text(self) -> Tensor:
        return torch.cat([self.context, self.instruction]).sort().values

    @property
    def length(self) -> int:
        return sum(len(getattr(self, name)) for name in BASE_GROUPS)

    def positions(self, name: str) -> Tensor:
        """The positions of a group by its name.

        Raises
        ------
        ValueError
            For an unknown group; names the known ones.
        """
        if name not in TOKEN_GROUPS:
            raise ValueError(f"unknown token group {name!r}; known groups: {', '.join(TOKEN_GROUPS)}")
        return getattr(self, name)


@dataclass(frozen=True, eq=False)
class Prompt:
    """One sample under one instruction, ready for the model.

    Attributes
    ----------
    inputs : dict of str to Tensor
        Keyword arguments of the model's forward and `generate`, batch of one.
    groups : TokenGroups
    y_p, y_c : int
        First token of the compliant answer and of its competitor.
    sample : Sample
    following : {"vision", "text"}
    text : str
        What the tokenizer saw, image placeholders included.
    room : int
        Tokens that an answer may take: as many as the longer of the two answers has, and `MARGIN` more.
    """

    inputs: dict[str, Tensor] = field(repr=False)
    groups: TokenGroups = field(repr=False)
    y_p: int
    y_c: int
    sample: Sample
    following: str
    text: str = field(repr=False)
    room: int = 1 + MARGIN

    @property
    def id(self) -> str:
        return f"{self.sample.id}-{self.following}"


def encode(subject, sample: Sample, following: str, instruction: str | None = None, layout: str = "plain") -> Prompt:
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
        If the sample cannot be put to the model for another reason: its picture cannot be read or is refused by the processor, it holds one of
        the model's special tokens, is too long, or its tokens cannot be aligned with the text. The message names the sample.
    ValueError
        For an unknown direction or layout.
    """
    if following not in ("vision", "text"):
        raise ValueError(f"following={following!r}; choose 'vision' or 'text'")
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; known layouts: {', '.join(LAYOUTS)}")
    instruction = instruction or sample.instruction(following)
    _refuse_special_tokens(subject, sample, instruction)
    pieces = _pieces(subject, sample, instruction, layout)
    inputs = _processed(subject, sample, "".join(piece for piece, _ in pieces))
    ids = inputs["input_ids"][0]
    spans, text = _expanded(subject, sample, pieces, ids)
    groups = _groups(subject, spans, text, ids)
    answers = [_answer_ids(subject, sample, text, ids, answer) for answer in sample.answers(following)]
    (y_p, *_), (y_c, *_) = answers
    if y_p == y_c:
        raise NoDecision(sample, subject.tokenizer.decode([y_p]))
    room = max(map(len, answers)) + MARGIN
    _refuse_beyond_positions(subject, sample, len(ids) + room)
    inputs = {key: value.to(subject.device) for key, value in inputs.items()}
    return Prompt(inputs, groups, y_p, y_c, sample, following, text, room)


def weaken(subject, sample: Sample, following: str, share: float) -> Prompt:
    """A prompt whose instruction is part of one wording, part of its mirror image, in the embedding space.

    Uses the paper's pair of wordings, whose tokens match one to one. Failures from such prompts come from the choice
    and not from missing evidence.

    Parameters
    ----------
    share : float in [0, 1]
        Weight of the opposite instruction's embeddings; 0 is the plain prompt, 1 its opposite.

    Raises
    ------
    ValueError
        If the two wordings differ in their number of tokens, or the model takes no mixed embeddings (`can_weaken`).
    """
    if not can_weaken(subject):
        raise ValueError(f"{subject.name} needs token ids for its positions or to generate, so embeddings cannot be mixed; use natural failures")
    own, other = (encode(subject, sample, following, PAPER_INSTRUCTION[way]) for way in (following, opposite(following)))
    ids, other_ids = own.inputs["input_ids"], other.inputs["input_ids"]
    if ids.shape != other_ids.shape:
        raise ValueError(f"the two wordings have {ids.shape[1]} and {other_ids.shape[1]} tokens in {subject.name}; they must match")
    embed = subject.model.get_input_embeddings()
    with torch.no_grad():
        mixed = torch.lerp(embed(ids), embed(other_ids), share)
    inputs = {key: value for key, value in own.inputs.items() if key != "input_ids"} | {"inputs_embeds": mixed}
    return replace(own, inputs=inputs)


def can_weaken(subject) -> bool:
    """Whether a model takes mixed embeddings: not if it derives positions from token ids, as M-RoPE does, or generates from token ids alone."""
    generates = "inputs_embeds" in signature(subject.model.prepare_inputs_for_generation).parameters
    return generates and not hasattr(subject.model.model, "get_rope_index")


def fade(subject, sample: Sample, following: str, share: float) -> Prompt:
    """A prompt whose instructed evidence is blurred: every part of it is drawn towards the mean of all its parts.

    Under a vision instruction each pixel goes towards the picture's mean colour (for models that are given patches, each patch
    towards the mean patch), under a text instruction the embedding of each token of the context towards their mean. The instruction
    and the competitor's evidence stay as they are.

    Parameters
    ----------
    share : float in [0, 1]
        0 is the plain prompt; at 1 nothing is left of the evidence but its mean.

    Raises
    ------
    ValueError
        Under a text instruction, if the model takes no mixed embeddings (`can_weaken`).
    """
    own = encode(subject, sample, following)
    if following == "vision":
        inputs = own.inputs | {"pixel_values": _blurred(own.inputs["pixel_values"], share)}
    elif can_weaken(subject):
        with torch.no_grad():
            mixed = subject.model.get_input_embeddings()(own.inputs["input_ids"]).clone()
            context = mixed[:, own.groups.context]
            mixed[:, own.groups.context] = torch.lerp(context, context.mean(1, keepdim=True), share)
        inputs = {key: value for key, value in own.inputs.items() if key != "input_ids"} | {"inputs_embeds": mixed}
    else:
        raise ValueError(f"{subject.name} needs token ids for its positions or to generate, so the context's embeddings cannot be blurred; use the picture's")
    return replace(own, inputs=inputs)


def alone(subject, sample: Sample, modality: str) -> Prompt:
    """A prompt without conflict: one modality has the answer, the other says nothing.

    With the picture alone, the context is `NEUTRAL`; with the text alone, each pixel has the picture's mean colour (for models that are
    given patches, each patch is the mean patch). The instruction names the modality that is left.
    """
    if modality == "vision":
        return encode(subject, replace(sample, context=NEUTRAL), "vision")
    own = encode(subject, sample, modality)
    return replace(own, inputs=own.inputs | {"pixel_values": _blurred(own.inputs["pixel_values"], 1.0)})


def _blurred(pixels: Tensor, share: float) -> Tensor:
    mean = pixels.mean((-2, -1), keepdim=True) if pixels.ndim > 2 else pixels.mean(0, keepdim=True)
    return torch.lerp(pixels, mean, share)


#: The wording of §2 and its mirror image.
PAPER_INSTRUCTION = {
    "vision": "You should follow the visual content rather than the textual context.",
    "text": "You should follow the textual context rather than the visual content.",
}


def _pieces(subject, sample: Sample, instruction: str, layout: str) -> list[tuple[str, str]]:
    """The prompt as (string, group) pieces in order, one image placeholder among them."""
    image = subject.processor.image_token
    asked = [(instruction, "modality"), (sample.question, "question")][:: -1 if layout == "swapped" else 1]
    between = [(NEUTRAL, "neutral"), ("\n", "template")] if layout == "distanced" else []
    if not subject.chat:
        return [
            ("USER:", "template"), (image, "vision"), ("\n", "template"), (sample.context, "context"), ("\n", "template"),
            *between, *_spaced(asked), ("\nASSISTANT:", "template"),
        ]
    body = [(f"Text context: {sample.context}", "context"), ("\n", "template"), *between, *_spaced([*asked, (ANSWER_FORMAT, "constraint")])]
    words = "".join(piece for piece, _ in body)
    turn = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": words}]}]
    rendered = subject.processor.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    if rendered.count(words) != 1 or rendered.count(image) != 1:
        raise ValueError(f"the chat template of {subject.name} does not hold the image and the user's words exactly once: {rendered!r}")
    before, after = rendered.split(words)
    head, between = before.split(image)
    return [(head, "template"), (image, "vision"), (between, "template"), *body, (after, "template")]


def _spaced(sentences: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [piece for sentence in sentences for piece in ((" ", sentence[1]), sentence)][1:]


def _refuse_special_tokens(subject, sample: Sample, instruction: str) -> None:
    """A sample whose words hold one of the tokenizer's special tokens would say something else to the model than to a reader."""
    tokenizer = subject.tokenizer
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    special |= {*tokenizer.all_special_tokens, subject.processor.image_token}
    for name, words in (("context", sample.context), ("instruction", instruction), ("question", sample.question)):
        found = next((token for token in sorted(special) if token and token in words), None)
        if found:
            raise Unusable(sample, f"its {name} holds {found!r}, which {subject.name} takes for a special token; write it otherwise")


def _processed(subject, sample: Sample, asked: str) -> dict[str, Tensor]:
    """The processor's inputs of a model for a sample's picture and some text."""
    try:
        picture = pictures.read(sample.image)
        return subject.processor(
            images=picture, text=asked, images_kwargs=subject.images, text_kwargs=_start(subject, asked), return_tensors="pt",
        )
    except Exception as error:  # processors raise many kinds
        said = " ".join(str(error).split()) or type(error).__name__
        raise Unusable(sample, f"the processor of {subject.name} does not take its picture {Path(sample.image).name!r}: {said}") from error


def _refuse_beyond_positions(subject, sample: Sample, length: int) -> None:
    most = getattr(subject.decoder.config, "max_position_embeddings", None)
    if most and length > most:
        why = f"prompt and answer may have {length:,} tokens, and {subject.name} has {most:,} positions; shorten its context, or take smaller pictures"
        raise Unusable(sample, why)


def _expanded(subject, sample: Sample, pieces, ids: Tensor) -> tuple[list[tuple[int, int, str]], str]:
    """Character spans of the pieces in the text with the image placeholder expanded as the processor did it.

    Checked by tokenising that text: it must give the processor's ids, so offsets can be trusted.
    """
    places = (ids == subject.image_token_id).nonzero().flatten().tolist()
    if not places:
        raise ValueError(
            f"the processor of {subject.name} gave no token {subject.image_token_id}, which the model's configuration names as that of the picture"
            " (image_token_id); give a processor and a model of the same checkpoint"
        )
    first, last = places[0], places[-1] + 1
    # What stands in the picture's place: its tokens, or those and one more on either side, or what the processor itself says.
    tokens = ("".join(subject.tokenizer.convert_ids_to_tokens(ids[first - margin : last + margin].tolist())) for margin in (0, 1))
    for wrapped in (*tokens, getattr(subject.processor, "full_image_sequence", "")):
        spans, text = [], ""
        for piece, group in pieces:
            piece = wrapped if group == "vision" else piece
            spans.append((len(text), len(text) + len(piece), group))
            text += piece
        if subject.tokenizer(text, **_start(subject, text))["input_ids"] == ids.tolist():
            return spans, text
    raise Unusable(sample, f"cannot align the tokens of {subject.name} with its prompt text: expanding the image gives other ids than the processor's")


def _start(subject, text: str) -> dict:
    """What the tokenizer is told so that a prompt begins as its chat template does, and not with a second token for the beginning."""
    begins = subject.tokenizer.bos_token
    return {"add_special_tokens": False} if begins and text.startswith(begins) else {}


def _groups(subject, spans, text: str, ids: Tensor) -> TokenGroups:
    """Each token belongs to the group of its first non-space character."""
    offsets = subject.tokenizer(text, return_offsets_mapping=True, **_start(subject, text))["offset_mapping"]
    found: dict[str, list[int]] = {}
    for position, (start, end) in enumerate(offsets):
        token = text[start:end]
        start += len(token) - len(token.lstrip()) if token.strip() else 0
        group = next((name for low, high, name in spans if low <= start < high), "template") if end > start else "template"
        if group == "vision" and ids[position] != subject.image_token_id:
            group = "template"
        if position == len(ids) - 1:
            group = "last"
        found.setdefault(group, []).append(position)
    names = ("vision", "context", "last", "template", "modality", "question", "constraint", "neutral")
    tensors = {name: torch.tensor(found.get(name, []), dtype=torch.long) for name in names}
    tensors["template"] = torch.cat([tensors["template"], tensors["neutral"]]).sort().values
    instruction = torch.cat([tensors[name] for name in ("modality", "question", "constraint")]).sort().values
    return TokenGroups(instruction=instruction, **tensors)


def _answer_ids(subject, sample: Sample, text: str, ids: Tensor, answer: str) -> list[int]:
    """The tokens of an answer as the model would write it after this prompt: in its spelling, after a space unless one is there."""
    answer = SPELLINGS[subject.spelling](answer)
    form = answer if text[-1].isspace() else f" {answer}"
    whole = subject.tokenizer(text + form, **_start(subject, text))["input_ids"]
    if whole[: len(ids)] != ids.tolist():
        raise Unusable(sample, f"in {subject.name} the answer {answer!r} merges with the end of the prompt")
    return whole[len(ids) :]
