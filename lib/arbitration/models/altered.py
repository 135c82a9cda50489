"""Prompts with something changed: a weakened instruction, faded evidence, one modality alone."""

from dataclasses import replace
from inspect import signature

import torch
from torch import Tensor

from arbitration.dataset.sample import PAPER_INSTRUCTION, Sample, opposite
from arbitration.models.encode import NEUTRAL, encode
from arbitration.models.prompt import Prompt


def weaken(subject, sample: Sample, following: str, share: float) -> Prompt:
    """A prompt whose instruction is part of one wording, part of its mirror image, in the embedding
    space.

    Uses the paper's pair of wordings, whose tokens match one to one. Failures from such prompts
    come from the choice and not from missing evidence.

    Parameters
    ----------
    share : float in [0, 1]
        Weight of the opposite instruction's embeddings; 0 is the plain prompt, 1 its opposite.

    Raises
    ------
    ValueError
        If the two wordings differ in their number of tokens, or the model takes no mixed embeddings
        (`can_weaken`).
    """
    if not can_weaken(subject):
        why = (
            f"{subject.name} needs token ids for its positions or to generate, so embeddings "
            f"cannot be mixed; use natural failures"
        )
        raise ValueError(why)
    own, other = (
        encode(subject, sample, following, PAPER_INSTRUCTION[way])
        for way in (following, opposite(following))
    )
    ids, other_ids = own.inputs["input_ids"], other.inputs["input_ids"]
    if ids.shape != other_ids.shape:
        why = (
            f"the two wordings have {ids.shape[1]} and {other_ids.shape[1]} tokens in "
            f"{subject.name}; they must match"
        )
        raise ValueError(why)
    embed = subject.model.get_input_embeddings()
    with torch.no_grad():
        mixed = torch.lerp(embed(ids), embed(other_ids), share)
    inputs = {key: value for key, value in own.inputs.items() if key != "input_ids"} | {
        "inputs_embeds": mixed
    }
    return replace(own, inputs=inputs)


def can_weaken(subject) -> bool:
    """Whether a model takes mixed embeddings: not if it derives positions from token ids, as M-RoPE
    does, or generates from token ids alone.
    """
    generates = "inputs_embeds" in signature(subject.model.prepare_inputs_for_generation).parameters
    return generates and not hasattr(subject.model.model, "get_rope_index")


def fade(subject, sample: Sample, following: str, share: float) -> Prompt:
    """A prompt whose instructed evidence is blurred: every part of it is drawn towards the mean of
    all its parts.

    Under a vision instruction each pixel goes towards the picture's mean colour (for models that
    are given patches, each patch towards the mean patch), under a text instruction the embedding of
    each token of the context towards their mean. The instruction and the competitor's evidence stay
    as they are.

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
        inputs = {key: value for key, value in own.inputs.items() if key != "input_ids"} | {
            "inputs_embeds": mixed
        }
    else:
        why = (
            f"{subject.name} needs token ids for its positions or to generate, so the "
            f"context's embeddings cannot be blurred; use the picture's"
        )
        raise ValueError(why)
    return replace(own, inputs=inputs)


def encode_alone(subject, sample: Sample, modality: str) -> Prompt:
    """A prompt without conflict: one modality has the answer, the other says nothing.

    With the picture alone, the context is `NEUTRAL`; with the text alone, each pixel has the
    picture's mean colour (for models that are given patches, each patch is the mean patch). The
    instruction names the modality that is left.
    """
    if modality == "vision":
        return encode(subject, replace(sample, context=NEUTRAL), "vision")
    own = encode(subject, sample, modality)
    return replace(
        own, inputs=own.inputs | {"pixel_values": _blurred(own.inputs["pixel_values"], 1.0)}
    )


def _blurred(pixels: Tensor, share: float) -> Tensor:
    mean = pixels.mean((-2, -1), keepdim=True) if pixels.ndim > 2 else pixels.mean(0, keepdim=True)
    return torch.lerp(pixels, mean, share)
