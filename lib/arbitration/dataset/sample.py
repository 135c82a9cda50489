"""A conflict sample: an image and a text that support different answers to one question (§2)."""

from dataclasses import dataclass

MODALITIES = ("vision", "text")
#: The tokens of the modality that an instruction names.
SOURCE = {"text": "context", "vision": "vision"}
#: The wording of §2 and its mirror image.
PAPER_INSTRUCTION = {
    "vision": "You should follow the visual content rather than the textual context.",
    "text": "You should follow the textual context rather than the visual content.",
}
#: The split of samples that name none; they are there whichever split is asked for.
WHOLE = "all"


@dataclass(frozen=True)
class Sample:
    """S = ⟨Q, C_v, C_t, I_v, I_t⟩ of §2, with the two answers.

    Attributes
    ----------
    id, split, task : str
    image : str
        Path of the picture, C_v.
    question, context : str
        Q and the conflicting text C_t.
    answer_vision, answer_text : str
        What the image and what the text support.
    instruction_vision, instruction_text : str
        I_v and I_t.
    wording_vision, wording_text : str
        Which sentence each instruction is, whatever names of the modalities stand in it: samples of
        one wording are no independent ones. Empty in a set that has one wording alone.
    dictionary : str
        Which entity dictionary, ℰ, lies beside the set: a hash, or nothing for the shipped one or
        none. With it what was measured with one dictionary is never taken for another's.
    """

    id: str
    split: str
    task: str
    image: str
    question: str
    context: str
    answer_vision: str
    answer_text: str
    instruction_vision: str
    instruction_text: str
    wording_vision: str = ""
    wording_text: str = ""
    dictionary: str = ""

    def instruction(self, following: str) -> str:
        return {"vision": self.instruction_vision, "text": self.instruction_text}[following]

    def wording(self, following: str) -> str:
        return {"vision": self.wording_vision, "text": self.wording_text}[following]

    def answers(self, following: str) -> tuple[str, str]:
        """The compliant answer and its competitor under the instruction to follow `following`."""
        pair = (self.answer_vision, self.answer_text)
        return {"vision": pair, "text": pair[::-1]}[following]


def opposite(modality: str) -> str:
    """The competitor of a modality.

    Examples
    --------
    >>> opposite("vision")
    'text'
    """
    return {"vision": "text", "text": "vision"}[modality]
