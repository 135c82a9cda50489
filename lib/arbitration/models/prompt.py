"""One sample under one instruction as model inputs, and which of its tokens are image, text
context, instruction and the rest (§3.1.1).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from arbitration.dataset.sample import Sample
from arbitration.models.groups import BASE_GROUPS, TOKEN_GROUPS

#: Tokens that an answer may have beyond those of the answer as given: an article, a space, a mark
#: at its end.
MARGIN = 4


class Unusable(ValueError):
    """A sample cannot be put to a model; the others can.

    Attributes
    ----------
    sample, why : str
        The sample's name, and the reason without it.
    """

    def __init__(self, sample: Sample, why: str):
        self.why, self.sample = why, sample.id
        super().__init__(f"sample {sample.id}: {why}")


class NoDecision(Unusable):
    """Both answers of a sample begin with the same token, so the first token decides nothing."""

    def __init__(self, sample: Sample, token: str):
        super().__init__(sample, f"both answers begin with the same token, {token!r}")


@dataclass(frozen=True)
class TokenGroups:
    """Positions (0-based, in the sequence with the image expanded) of each part of a prompt.

    `vision`, `context`, `instruction`, `last` and `template` are disjoint and together the whole
    prompt. `modality`, `question` and `constraint` are parts of the instruction, `neutral` one of
    the template (a prompt may lack any of them); `text` is context and instruction together,
    `after` what of the template stands behind the instruction. All are sorted 1-D LongTensors.
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
    def after(self) -> Tensor:
        asked = self.instruction.max() if len(self.instruction) else -1
        return self.template[self.template > asked]

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
            why = f"unknown token group {name!r}; known groups: {', '.join(TOKEN_GROUPS)}"
            raise ValueError(why)
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
        Tokens that an answer may take: as many as the longer of the two answers has, and `MARGIN`
        more.
    wording : str
        Which sentence the instruction is (`Sample.wording`); empty where all samples of a set have
        the same one, or this prompt was given the paper's.
    variant : str
        What tells it, in its `id`, from other prompts of the same sample and direction that are
        measured together.
    """

    inputs: dict[str, Tensor] = field(repr=False)
    groups: TokenGroups = field(repr=False)
    y_p: int
    y_c: int
    sample: Sample
    following: str
    text: str = field(repr=False)
    room: int = 1 + MARGIN
    wording: str = ""
    variant: str = ""

    @property
    def id(self) -> str:
        name = f"{self.sample.id}-{self.following}"
        return f"{name}-{self.variant.replace(' ', '-')}" if self.variant else name


def identity(subject, prompt: Prompt) -> dict[str, str]:
    """What the rows of a table about one prompt of one model begin with."""
    return {"model": subject.name, "sample": prompt.sample.id, "following": prompt.following}
