"""The answer entity dictionary ℰ = {ℰ_v, ℰ_t} of §2 and Appendix B: the forms in which a model may
write an answer.

A dictionary lies beside its set: the shipped one beside the scenes, one of a reader's beside their
samples. `dictionary` says how it is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch

from arbitration.dataset.faults import find_half
from arbitration.dataset.sample import Sample
from arbitration.dataset.sets import file_beside, mark
from arbitration.dataset.words import find_words, normalised
from arbitration.files.folders import DATA
from arbitration.files.given import parse_json, quote, quote_error

OBJECTS = tuple("animal food vehicle clothing tool instrument thing plant building sky".split())
#: Where a task's answers are looked up, in this order (a star is a shape before it is a thing in
#: the sky).
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
FILE = "entities.json"
#: The dictionaries that ship with the project, by their sets.
SHIPPED = {"scenes": DATA / "scenes" / FILE}


@dataclass(frozen=True)
class EntityDictionary:
    """Surface forms of every answer of a set.

    Attributes
    ----------
    entries : mapping
        ``entries[kind][word][language]`` is a list of forms, the word itself first; languages are
        "en" and "zh". A kind is one of those in `TASK_KINDS`, or a task: the kinds of things are
        known of the scenes only.
    """

    entries: Mapping[str, Mapping[str, Mapping[str, list[str]]]] = field(repr=False)

    def forms(self, answer: str, task: str | None = None) -> tuple[str, ...]:
        """The forms of an answer, the answer itself first.

        Parameters
        ----------
        answer : str
        task : str, optional
            Settles what a word means (*orange*: the fruit or the colour). Without it the forms of
            all its meanings.

        Raises
        ------
        ValueError
            If the dictionary lacks the answer.
        """
        kinds = self._kinds(answer, task)
        if not kinds:
            where = f" for the task {task!r}" if task else ""
            why = (
                f"the entity dictionary has no entry {answer!r}{where}; add the word and make "
                f"it again"
            )
            raise ValueError(why)
        chosen = kinds[:1] if task else kinds
        found = [self.entries[kind][answer] for kind in chosen]
        return tuple(
            dict.fromkeys(
                form
                for entry in found
                for language in ("en", "zh")
                for form in entry.get(language, [])
            )
        )

    def knows(self, answer: str, task: str | None = None) -> bool:
        """Whether there is an entry for an answer."""
        return bool(self._kinds(answer, task))

    def sample_forms(self, sample: Sample) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Forms of the visual and of the textual answer; one that is the same in both
        (`words.normalised`) is in neither.
        """
        vision = self.forms(sample.answer_vision, sample.task)
        text = self.forms(sample.answer_text, sample.task)
        shared = set(map(normalised, vision)) & set(map(normalised, text))

        def own(forms: tuple[str, ...], answer: str) -> tuple[str, ...]:
            return tuple(form for form in forms if form == answer or normalised(form) not in shared)

        return own(vision, sample.answer_vision), own(text, sample.answer_text)

    def normal_forms(self, sample: Sample) -> set[str]:
        """All forms of both answers as `words.normalised` has them: samples that share one cannot
        lend each other their answers.
        """
        return {normalised(form) for side in self.sample_forms(sample) for form in side}

    def sample_ids(self, sample: Sample, tokenizer) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids of the two entities of a sample, 𝓔_v and 𝓔_t.

        Every form counts bare and after a space, as written, in lower case and capitalised, if it
        is one token. Ids that both answers own are removed from both. If nothing is left, the first
        token of the answer stands in; `coverage` says for which samples.

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

    def tells_apart(self, sample: Sample, tokenizer) -> bool:
        """Whether a vocabulary has tokens of its own for each of a sample's answers, so that
        `sample_ids` finds some.
        """
        try:
            return bool(self._sides(sample, tokenizer))
        except ValueError:
            return False

    def of_sample(self, sample: Sample) -> "EntityDictionary":
        """The entries of one sample's two answers: all that its rows can depend on."""
        answers = dict.fromkeys(sample.answers("vision"))
        kinds = {}
        for kind, group in self.entries.items():
            known = {answer: group[answer] for answer in answers if answer in group}
            if known:
                kinds[kind] = known
        return EntityDictionary(kinds)

    def coverage(self, samples: list[Sample], tokenizer) -> pd.DataFrame:
        """How well the dictionary covers a set in one vocabulary.

        Returns
        -------
        DataFrame
            One row per sample × modality: sample, task, following ("vision"/"text": whose answer),
            answer, forms, ids (single-token ids left), shared (ids removed because the other answer
            owns them too), fallback (bool).
        """
        rows = []
        for sample in samples:
            answers = (sample.answer_vision, sample.answer_text)
            forms = self.sample_forms(sample)
            for modality, answer, side, own in zip(
                ("vision", "text"), answers, self._sides(sample, tokenizer), forms
            ):
                ids, shared, fallback = side
                rows.append(
                    (sample.id, sample.task, modality, answer, len(own), len(ids), shared, fallback)
                )
        return pd.DataFrame(
            rows,
            columns=["sample", "task", "following", "answer", "forms", "ids", "shared", "fallback"],
        )

    def _kinds(self, answer: str, task: str | None) -> list[str]:
        """Where an answer stands, the kind that a task means first."""
        places = ([task] if task else []) + [*TASK_KINDS.get(task, self.entries), AS_WRITTEN]
        return [kind for kind in dict.fromkeys(places) if answer in self.entries.get(kind, {})]

    def _sides(self, sample, tokenizer):
        """(ids, number of shared ids removed, fallback) of the visual and of the textual answer."""
        single = [_single_tokens(forms, tokenizer) for forms in self.sample_forms(sample)]
        shared = single[0] & single[1]
        sides = []
        for own, answer in zip(single, (sample.answer_vision, sample.answer_text)):
            ids = own - shared
            sides.append(
                (
                    ids or {_tokens(spelt, tokenizer)[0] for spelt in (answer, " " + answer)},
                    len(shared),
                    not ids,
                )
            )
        both = sides[0][0] & sides[1][0]
        if both:
            sides = [(ids - both, count, fallback) for ids, count, fallback in sides]
            if not all(ids for ids, _, _ in sides):
                why = (
                    f"sample {sample.id}: the first tokens of {sample.answer_vision!r} and "
                    f"{sample.answer_text!r} do not "
                    f"tell them apart in this vocabulary; drop the sample"
                )
                raise ValueError(why)
        return sides


def load(name: str = "scenes") -> EntityDictionary:
    """The shipped dictionary of a set.

    Raises
    ------
    ValueError
        If the set has none.
    """
    if name not in SHIPPED:
        why = f"no entity dictionary for the set {name!r}; there is one for: {', '.join(SHIPPED)}"
        raise ValueError(why)
    return read_dictionary(SHIPPED[name])


def read_dictionary(path: Path) -> EntityDictionary:
    """The dictionary of a file.

    Raises
    ------
    ValueError
        If it is not one, or an entry could recognise nothing.
    """
    try:
        entries = _checked(parse_json(path.read_bytes()))
    except ValueError as error:
        why = (
            f"{path} is no entity dictionary ({quote_error(error)}); make it again, or delete it "
            f"to have answers as they are written"
        )
        raise ValueError(why) from error
    return EntityDictionary(entries)


def _checked(content) -> dict:
    """The entries of a dictionary's file; ValueError with what is wrong in the first faulty one."""
    kinds = content.get("entries") if isinstance(content, dict) else None
    if not isinstance(kinds, dict) or not all(isinstance(one, dict) for one in kinds.values()):
        why = "it has no entries: kinds of answers, each with the forms of its answers"
        raise ValueError(why)
    for kind, group in kinds.items():
        for answer, entry in group.items():
            if fault := _find_fault(answer, entry):
                why = f"the entry {quote(answer)} of {quote(kind)} {fault}"
                raise ValueError(why)
    return kinds


def _find_fault(answer: str, entry) -> str | None:
    """Why an entry is none, or None."""
    if not isinstance(entry, dict):
        return f"is {quote(entry)}, and not its forms in the languages 'en' and 'zh'"
    for language in ("en", "zh"):
        forms = entry.get(language, [])
        if not isinstance(forms, list):
            return f"has {quote(forms)} for {language!r}, which is no list of forms"
        if language == "en" and answer not in forms:
            return f"has {quote(forms)} for 'en', which lacks the answer itself"
        for form in forms:
            if not isinstance(form, str) or find_half(form) or not find_words(form):
                return f"has the form {quote(form)}, in which there is no word"
    return None


def of(name: str | Path, samples: list[Sample]) -> EntityDictionary:
    """The dictionary that lies beside a set; for one without, the plainest: an answer's only form
    is the answer as written.

    Parameters
    ----------
    name : str or Path
        As `sets.load` takes it.
    samples : list of Sample
        Of that set.

    Raises
    ------
    ValueError
        If the dictionary lacks answers of the samples, or is another one than when they were
        loaded.
    """
    path, current = file_beside(name, FILE), mark(name)
    if any(sample.dictionary != current for sample in samples):
        why = (
            f"{path} is not what it was when the samples were loaded; load them again, so that "
            f"no result mixes two dictionaries"
        )
        raise ValueError(why)
    if not path.exists():
        return EntityDictionary(
            {
                AS_WRITTEN: {
                    answer: {"en": [answer]}
                    for sample in samples
                    for answer in sample.answers("vision")
                }
            }
        )
    found = read_dictionary(path)
    answers = dict.fromkeys(
        (answer, sample.task) for sample in samples for answer in sample.answers("vision")
    )
    lacking = [
        f"{answer!r} ({task})" if task else repr(answer)
        for answer, task in answers
        if not found.knows(answer, task)
    ]
    if lacking:
        why = (
            f"{path} lacks {len(lacking)} of the {len(answers)} answers of the set: "
            f"{', '.join(lacking[:5])}{' …' if len(lacking) > 5 else ''};"
            f" make it again: python -m arbitration.dictionary {name}"
        )
        raise ValueError(why)
    return found


def _single_tokens(forms, tokenizer) -> set[int]:
    spelt = {
        space + case
        for form in forms
        for case in (form, form.lower(), form[:1].upper() + form[1:])
        for space in ("", " ")
    }
    tokens = tokenizer(sorted(spelt), add_special_tokens=False)["input_ids"] if spelt else []
    return {ids[0] for ids in tokens if len(ids) == 1}


def _tokens(text: str, tokenizer) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def knowing(dictionary: EntityDictionary, sample: Sample) -> EntityDictionary:
    """The dictionary with both answers of a sample in it: one that it lacks has itself for its only
    form.
    """
    written = {answer: {"en": [answer]} for answer in sample.answers("vision")}
    return EntityDictionary(
        {**dictionary.entries, AS_WRITTEN: {**dictionary.entries.get(AS_WRITTEN, {}), **written}}
    )
