"""The answer entity dictionary ℰ = {ℰ_v, ℰ_t} of §2 and Appendix B: the forms in which a model may write an answer.

Made in the paper's two stages. Candidates are the synonyms that WordNet 3.0 gives for a word, read through NLTK. They are
verified by what is known about the set: the sense must have the part of speech and the lexicographer's field of the kind of
thing the word names here (a *bat* among animals is no club), and a reader's review of the outcome (``review.json``) replaces
senses and rejects words that fit no picture. ``entities.write()`` makes the shipped file again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch

from arbitration import wordnet
from arbitration.dataset import Sample
from arbitration.folders import DATA

OBJECTS = ("animal", "food", "vehicle", "clothing", "tool", "instrument", "thing", "plant", "building", "sky")

#: Where a task's answers are looked up, in this order (a star is a shape before it is a thing in the sky).
TASK_KINDS = {
    "object_recognition": OBJECTS,
    "color": ("colour",),
    "counting": ("number",),
    "positional_reasoning": ("side", *OBJECTS),
    "activity_recognition": ("activity",),
    "sport_recognition": ("sport",),
    "attribute": ("shape", *OBJECTS),
    "sentiment_understanding": ("sentiment",),
}


#: The kind of answers whose only form is the answer itself.
AS_WRITTEN = "as written"


@dataclass(frozen=True)
class EntityDictionary:
    """Surface forms of every answer of a set.

    Attributes
    ----------
    entries : mapping
        ``entries[kind][word][language]`` is a list of forms, the word itself first; languages are "en" and "zh".
    """

    entries: Mapping[str, Mapping[str, Mapping[str, list[str]]]] = field(repr=False)

    def forms(self, answer: str, task: str | None = None) -> tuple[str, ...]:
        """The forms of an answer, the answer itself first.

        Parameters
        ----------
        answer : str
        task : str, optional
            Settles what a word means (*orange*: the fruit or the colour). Without it the forms of all its meanings.

        Raises
        ------
        ValueError
            If the dictionary lacks the answer.
        """
        kinds = [kind for kind in (*TASK_KINDS.get(task, self.entries), AS_WRITTEN) if answer in self.entries.get(kind, {})]
        if not kinds:
            where = f" for the task {task!r}" if task else ""
            raise ValueError(f"the entity dictionary has no entry {answer!r}{where}; add the word and make it again")
        chosen = kinds[:1] if task else kinds
        found = [self.entries[kind][answer] for kind in chosen]
        return tuple(dict.fromkeys(form for entry in found for language in ("en", "zh") for form in entry.get(language, [])))

    def sample_forms(self, sample: Sample) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Forms of the visual and of the textual answer; one that would fit both (whatever its case) is in neither."""
        vision = self.forms(sample.answer_vision, sample.task)
        text = self.forms(sample.answer_text, sample.task)
        shared = {form.lower() for form in vision} & {form.lower() for form in text}
        return tuple(
            tuple(form for form in forms if form == answer or form.lower() not in shared)
            for forms, answer in ((vision, sample.answer_vision), (text, sample.answer_text))
        )

    def sample_ids(self, sample: Sample, tokenizer) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids of the two entities of a sample, 𝓔_v and 𝓔_t.

        Every form counts bare and after a space, as written, in lower case and capitalised, if it is one token. Ids that
        both answers own are removed from both. If nothing is left, the first token of the answer stands in; `coverage`
        says for which samples.

        Returns
        -------
        ids_vision, ids_text : LongTensor
            Sorted, disjoint, never empty.

        Raises
        ------
        ValueError
            If even the first tokens do not tell the two answers apart.
        """
        sides = self._sides(sample, tokenizer)
        return tuple(torch.tensor(sorted(ids), dtype=torch.long) for ids, _, _ in sides)

    def coverage(self, samples: list[Sample], tokenizer) -> pd.DataFrame:
        """How well the dictionary covers a set in one vocabulary.

        Returns
        -------
        DataFrame
            One row per sample × modality: sample, task, following ("vision"/"text": whose answer), answer, forms,
            ids (single-token ids left), shared (ids removed because the other answer owns them too), fallback (bool).
        """
        rows = []
        for sample in samples:
            answers = (sample.answer_vision, sample.answer_text)
            forms = self.sample_forms(sample)
            for modality, answer, side, own in zip(("vision", "text"), answers, self._sides(sample, tokenizer), forms):
                ids, shared, fallback = side
                rows.append((sample.id, sample.task, modality, answer, len(own), len(ids), shared, fallback))
        return pd.DataFrame(rows, columns=["sample", "task", "following", "answer", "forms", "ids", "shared", "fallback"])

    def _sides(self, sample, tokenizer):
        """(ids, number of shared ids removed, fallback) of the visual and of the textual answer."""
        single = [_single_tokens(forms, tokenizer) for forms in self.sample_forms(sample)]
        shared = single[0] & single[1]
        sides = []
        for own, answer in zip(single, (sample.answer_vision, sample.answer_text)):
            ids = own - shared
            sides.append((ids or {_tokens(spelt, tokenizer)[0] for spelt in (answer, " " + answer)}, len(shared), not ids))
        both = sides[0][0] & sides[1][0]
        if both:
            sides = [(ids - both, count, fallback) for ids, count, fallback in sides]
            if not all(ids for ids, _, _ in sides):
                raise ValueError(
                    f"sample {sample.id}: the first tokens of {sample.answer_vision!r} and {sample.answer_text!r} do not "
                    f"tell them apart in this vocabulary; drop the sample"
                )
        return sides


def load(name: str = "scenes") -> EntityDictionary:
    """The shipped dictionary of a set.

    Raises
    ------
    ValueError
        If the set has none.
    """
    path = DATA / name / "entities.json"
    if not path.exists():
        known = sorted(found.parent.name for found in DATA.glob("*/entities.json"))
        raise ValueError(f"no entity dictionary for the set {name!r}; there is one for: {', '.join(known)}")
    return EntityDictionary(json.loads(path.read_text(encoding="utf-8"))["entries"])


def of(name, samples: list[Sample]) -> EntityDictionary:
    """The shipped dictionary of a set; for one without, the plainest: an answer's only form is the answer as written."""
    if (DATA / str(name) / "entities.json").exists():
        return load(name)
    return EntityDictionary({AS_WRITTEN: {answer: {"en": [answer]} for sample in samples for answer in sample.answers("vision")}})


def vocabulary() -> dict[str, list[str]]:
    """Every word the scenes can have as an answer, by kind."""
    icons = json.loads((DATA / "scenes" / "icons.json").read_text(encoding="utf-8"))
    sides = json.loads((DATA / "scenes" / "templates.json").read_text(encoding="utf-8"))["sides"]
    concepts = icons["concepts"]
    return {
        **{kind: list(concepts[kind]) for kind in (*OBJECTS, "shape", "sport")},
        "activity": list(dict.fromkeys([*concepts["actp"], *concepts["acti"]])),
        "sentiment": list(concepts["sent"]),
        "colour": list(icons["colours"]),
        "number": list(icons["numbers"]),
        "side": list(sides),
    }


def make(words: Mapping[str, list[str]], reader, review: Mapping) -> dict:
    """Make a dictionary from WordNet.

    Parameters
    ----------
    words : mapping of str to list of str
        The answers, by kind (the keys of `wordnet.KINDS`).
    reader : WordNetCorpusReader
    review : mapping
        ``senses[kind][word]``: the WordNet sense to take instead of the first that fits; ``rejected[kind][word]``:
        synonyms that mislead; ``zh[kind][word]``: Chinese forms.

    Returns
    -------
    dict
        ``{"source": …, "entries": {kind: {word: {"sense": …, "en": […], "zh": […]}}}}``.
    """
    entries = {}
    for kind, group in words.items():
        entries[kind] = {}
        for word in group:
            sense = wordnet.sense(reader, word, kind, review["senses"].get(kind, {}).get(word))
            rejected = review["rejected"].get(kind, {}).get(word, [])
            forms = [form for form in wordnet.forms(reader, word, sense, kind) if form not in rejected]
            entries[kind][word] = {
                "sense": sense.name() if sense else None,
                "en": [word, *(form for form in forms if form.lower() != word)],
                "zh": review["zh"].get(kind, {}).get(word, []),
            }
    return {"source": wordnet.SOURCE, "entries": entries}


def write(path: Path = DATA / "scenes" / "entities.json") -> None:
    """Make the dictionary of the scenes and write it."""
    review = json.loads((DATA / "scenes" / "review.json").read_text(encoding="utf-8"))
    made = make(vocabulary(), wordnet.reader(), review)
    path.write_text(as_text(made), encoding="utf-8")


def as_text(made: dict) -> str:
    """The file's text: one line a word, so that a change shows as a line."""
    kinds = []
    for kind, group in made["entries"].items():
        lines = ",\n".join(f"   {json.dumps(word)}: {json.dumps(entry, ensure_ascii=False)}" for word, entry in group.items())
        kinds.append(f"  {json.dumps(kind)}: {{\n{lines}\n  }}")
    return "{\n" + f' "source": {json.dumps(made["source"])},\n "entries": {{\n' + ",\n".join(kinds) + "\n }\n}\n"


def _single_tokens(forms, tokenizer) -> set[int]:
    spelt = {space + case for form in forms for case in (form, form.lower(), form[:1].upper() + form[1:]) for space in ("", " ")}
    tokens = [_tokens(form, tokenizer) for form in spelt]
    return {ids[0] for ids in tokens if len(ids) == 1}


def _tokens(text: str, tokenizer) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]
