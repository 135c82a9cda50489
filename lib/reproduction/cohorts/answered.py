"""Which prompts are measured: those that a model can decide, in its spelling, and answers as told
(§2).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice

import pandas as pd
from tqdm.auto import tqdm

from arbitration.dataset.sample import MODALITIES, Sample
from arbitration.models.encode import SPELLINGS
from arbitration.models.prompt import Unusable
from reproduction.measures.answers import ask_in_turn
from reproduction.results import store

#: How many samples of a set tell in which spelling a model answers: the first usable ones by name,
#: whatever order and number are measured.
PROBED = 32


def encode_decidable(subject, samples: list[Sample], dictionary=None) -> tuple[list, pd.DataFrame]:
    """The prompts of all samples that can be put to a model and have a binary decision in its
    vocabulary, and the other samples.

    Parameters
    ----------
    dictionary : EntityDictionary, optional
        With it, samples whose two answers it does not tell apart in this vocabulary are dropped
        too.

    Returns
    -------
    prompts : list of Prompt
        Under both instructions.
    dropped : DataFrame
        One row per sample and direction that is not used: sample, following, answer_vision,
        answer_text, why. A sample that is dropped in one direction is measured in neither.

    Raises
    ------
    ValueError
        If no sample is left, with the first one's reason.
    """
    prompts, dropped = [], []
    for sample in samples:
        own, faults = [], []
        for direction in ("text", "vision"):
            try:
                own.append(
                    _told_apart(subject.encode(sample, direction), dictionary, subject.tokenizer)
                )
            except Unusable as error:
                faults.append(
                    (sample.id, direction, sample.answer_vision, sample.answer_text, error.why)
                )
        prompts += [] if faults else own
        dropped += faults
    if dropped and not prompts:
        name, *_, why = dropped[0]
        why = f"none of {len(samples)} samples can be put to {subject.name}; {name}: {why}"
        raise ValueError(why)
    return prompts, pd.DataFrame(
        dropped, columns=["sample", "following", "answer_vision", "answer_text", "why"]
    )


def _told_apart(prompt, dictionary, tokenizer):
    if dictionary is None or dictionary.tells_apart(prompt.sample, tokenizer):
        return prompt
    raise Unusable(
        prompt.sample, "no token of the vocabulary belongs to one of its two answers alone"
    )


def encode_usable(subject, samples: Iterable[Sample], dictionary=None) -> Iterator[list]:
    """The two prompts of each sample that `encode_decidable` would not drop, one sample after the
    other, so that a few cost no more than these.
    """
    for sample in samples:
        with suppress(Unusable):
            yield [
                _told_apart(subject.encode(sample, way), dictionary, subject.tokenizer)
                for way in MODALITIES
            ]


def adopt_spelling(subject, samples: list[Sample], dictionary):
    """The subject with the spelling in which it writes the answers of a set, so that y_p and y_c
    are tokens that it was about to write.

    The spelling (`encode.SPELLINGS`) that most of its own answers have, among those that follow on
    the first `PROBED` usable samples of the set by name; as the set gives the answers where none
    tells, and where it is level with another.

    Parameters
    ----------
    samples : list of Sample
        The whole set, or a part that does not depend on how much of it is measured.
    """
    by_name = sorted(samples, key=lambda sample: sample.id)
    pairs = islice(encode_usable(subject, by_name, dictionary), PROBED)
    prompts = list(chain.from_iterable(pairs))
    if not prompts:
        return subject
    found = dict.fromkeys(SPELLINGS, 0)
    table = ask_prompts(subject, prompts, dictionary)
    for prompt, answer, kept in zip(prompts, table["answer"], table["kept"]):
        given = prompt.sample.answers(prompt.following)[0]
        for name, spell in SPELLINGS.items() if kept else ():
            found[name] += answer.lstrip().startswith(spell(given))
    return replace(subject, spelling=max(found, key=found.get))


def ask_samples(subject, samples: list[Sample], dictionary) -> pd.DataFrame:
    """What the model answers to every sample under both instructions.

    Returns
    -------
    DataFrame
        model, sample, following, task, split, answer, outcome, ambiguous (it is other, though a
        form of one of the two answers stands in it), kept (it follows), first (which answer the
        most likely first token begins: follow, competitor, or other), y_p, y_c, spelling
        (`encode.SPELLINGS`), image (see `origin.picture_of`). Samples that `encode_decidable` drops
        are left out; how many, which and why is printed.
    """
    prompts, dropped = encode_decidable(subject, samples, dictionary)
    tell_dropped(dropped, samples)
    table = ask_prompts(subject, prompts, dictionary)
    return table.sort_values("following", kind="stable", ignore_index=True)


def tell_dropped(dropped: pd.DataFrame, samples) -> None:
    """Print how many of some samples are dropped, which, and why (columns sample, why)."""
    if len(dropped):
        reasons = dropped.groupby("why", sort=False)["sample"].unique()
        told = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
        tqdm.write(f"dropped {dropped['sample'].nunique()} of {len(samples)} samples: {told}")


def ask_prompts(subject, prompts, dictionary) -> pd.DataFrame:
    """What the model answers to some prompts: the rows of `make_asker` as one table, each prompt
    asked once.
    """
    return store.gather("answers", ask_in_turn(), subject, prompts, dictionary=dictionary)


def make_asker(subject, dictionary):
    """A function from a prompt to its row of `ask_samples`, asked once and remembered."""
    return store.remember("answers", ask_in_turn(), subject, dictionary=dictionary)


def choose_prompts(
    subject, samples, answers: pd.DataFrame, n: int, only_following: bool = True, skip: int = 0
) -> list:
    """Prompts to measure: per direction the samples that the model answers as told (§2), `n` after
    the first `skip`.

    With ``only_following=False`` any sample counts (for models that cannot follow, as one with
    random weights).
    """
    prompts = []
    decidable = keep_asked(answers, samples)
    for direction in ("text", "vision"):
        kept = keep_outcome(answers, samples, direction) if only_following else decidable
        prompts += [subject.encode(sample, direction) for sample in kept[skip : skip + n]]
    return prompts


def keep_asked(table, samples) -> list:
    """The samples that have an answer in a table (column sample), in the samples' order: those that
    could be put to the model.
    """
    asked = set(table["sample"])
    return [sample for sample in samples if sample.id in asked]


def keep_outcome(table, samples, direction: str, wanted: str = "follow") -> list:
    """The samples whose recorded answer had the wanted outcome, in the samples' order (§2).

    Parameters
    ----------
    table : DataFrame
        sample, following, outcome.
    """
    own = table[table["following"] == direction].set_index("sample")["outcome"]
    return [sample for sample in samples if own.get(sample.id) == wanted]


def last_usable(subject, samples: Sequence[Sample]) -> Sample:
    """The last of some samples that can be put to a model under both instructions
    (`answered.encode_decidable`).
    """
    for prompt, _ in encode_usable(subject, reversed(samples)):
        return prompt.sample
    why = (
        f"none of {len(samples)} samples can be put to {subject.name}; "
        f"`answered.encode_decidable` says why"
    )
    raise ValueError(why)
