"""What every notebook begins with: a model, a set with its dictionary, and the prompts that are
measured.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from arbitration import commands
from arbitration.dataset import checked, entities, sets
from arbitration.dataset.entities import EntityDictionary
from arbitration.dataset.sample import MODALITIES, Sample
from arbitration.files.shipped import check_shipped
from arbitration.models import load
from arbitration.models.subject import Subject
from reproduction import parameters
from reproduction.cohorts import answered
from reproduction.cohorts.failures import find_failures
from reproduction.cohorts.strangers import borrow_answers
from reproduction.results import use_records

#: Folders of shipped files that a run may read, whatever its set.
USED = ("architectures", "models", "text")


@dataclass(frozen=True)
class Study:
    """A model and a set, and who is measured.

    Attributes
    ----------
    subject : Subject
        In the spelling in which it answers this set.
    everything : list of Sample
        The whole set, in an order drawn by seed.
    dictionary : EntityDictionary
        That of the set.
    n : int
        Samples per direction.
    only_following : bool
        Whether only prompts that are answered as told are measured.
    """

    subject: Subject
    everything: list[Sample]
    dictionary: EntityDictionary
    n: int
    only_following: bool

    @property
    def samples(self) -> list[Sample]:
        """Those that are asked: twice as many as are measured per direction."""
        return self.everything[: 2 * self.n]

    @cached_property
    def answers(self) -> pd.DataFrame:
        """What the model answers to them (`answered.ask_samples`)."""
        return answered.ask_samples(self.subject, self.samples, self.dictionary)

    @cached_property
    def prompts(self) -> list:
        """The first `n` of each direction that are answered as told (`answered.choose_prompts`)."""
        return choose(self, self.samples, self.answers)

    def others(self, n: int) -> list:
        """Prompts of `n` other samples of each direction, none of which is asked for `prompts`: on
        them a layer or a set is chosen that is tried on `prompts`. None where the set is too small.
        """
        samples = self.everything[2 * self.n : 2 * self.n + 2 * n]
        if not samples:
            return []
        answers = answered.ask_samples(self.subject, samples, self.dictionary)
        return choose(self, samples, answers, n)


def study(names: MutableMapping) -> Study:
    """Settle a notebook's parameters, load its model and its set. From here on its cells tell
    errors for readers in a sentence (`commands.shorten_in_cells`).

    Parameters
    ----------
    names : mutable mapping
        ``globals()`` of the notebook: a value that a parameter cannot have is refused here, before
        anything is loaded, and typed text becomes what it says (`parameters.settle`). With
        ``measure``, nothing is taken from records (`results.use_records`).

    Raises
    ------
    ValueError, FileNotFoundError
        As `parameters.settle`, `shipped.check_shipped`, `checked.load` and `load.load`.
    """
    commands.shorten_in_cells()
    parameters.settle(names)
    use_records(not names.get("measure", False))
    check_shipped(*USED, *(["scenes"] if names["data"] == "scenes" else []))
    subject = load.load(names["model"], names.get("weights", "trained"))
    everything = sets.shuffled(checked.load(names["data"], names["split"]), names["seed"])
    dictionary = entities.of(names["data"], everything)
    subject = answered.adopt_spelling(subject, everything, dictionary)
    only_following = names.get("only_following", True)
    return Study(subject, everything, dictionary, names["n"], only_following)


def choose(
    study: Study, samples: list[Sample], answers: pd.DataFrame, n: int | None = None, skip: int = 0
) -> list:
    """Prompts of some samples to measure: `n` of each direction, those of the study unless given,
    after the first `skip`.
    """
    n = n or study.n
    return answered.choose_prompts(study.subject, samples, answers, n, study.only_following, skip)


def halves(study: Study, half: int) -> tuple[list, list]:
    """Prompts of the first `half` samples and of the next, who share none: the ones rank the heads,
    on the others they are tried.
    """
    samples = study.everything[: 2 * half]
    answers = answered.ask_samples(study.subject, samples, study.dictionary)
    return choose(study, samples[:half], answers), choose(study, samples[half:], answers)


def failing(study: Study, samples: list[Sample], instead: list, n: int | None = None) -> list:
    """Prompts that the model answers with the competitor's answer, at most `n` of each direction,
    with the share by which each is weakened (`failures.find_failures`).

    Where prompts are measured whether they are followed or not, any prompt stands for a failure:
    `instead`.
    """
    if not study.only_following:
        return [(prompt, 0.0) for prompt in instead]
    return find_failures(study.subject, samples, n or study.n, study.dictionary)


def lend_answers(study: Study, samples: list[Sample], seed: int) -> dict[str, Sample | None]:
    """Whose answers some samples borrow of the study's set (`strangers.borrow_answers`)."""
    tokenizer = study.subject.tokenizer
    return borrow_answers(study.dictionary, samples, study.everything, seed, tokenizer)


def mark_mix(table: pd.DataFrame, failed: list) -> pd.DataFrame:
    """A table of failures (`failing`) with the column mix: by which share each is weakened."""
    mix = {prompt.id: share for prompt, share in failed}
    names = table["sample"] + "-" + table["following"]
    return table.assign(mix=names.map(mix).astype(float))


def first(prompts: list, n: int, ways: tuple[str, ...] = MODALITIES) -> list:
    """The first `n` prompts of each direction, one direction after the other."""
    found = []
    for way in ways:
        found += [one for one in prompts if one.following == way][:n]
    return found
