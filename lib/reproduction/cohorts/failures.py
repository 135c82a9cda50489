"""Failures to amplify heads on (§4.2.2), from three kinds of cause, with every attempt on record.

The paper amplifies heads where its models fail by themselves. Small models that were trained to
follow rarely do, so failures are also sought where the instruction is worded differently, is
weakened, or asks for evidence that is weak. Only an answer that is the competitor's is a failure of
arbitration; any other wrong answer is recorded and left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from arbitration.dataset.sample import Sample
from arbitration.models import altered, encode
from arbitration.models.prompt import Unusable, identity
from reproduction.cohorts import answered
from reproduction.cohorts.answered import make_asker

UNREAD, WEAKENED, FADED = SOURCES = ("unread wording", "weakened instruction", "weak evidence")
NATURAL = "natural"  # the sample as it is
#: How far an instruction is mixed with its mirror image, and evidence blurred: the mildest that
#: turns the answer is taken. Fine steps where as many failures as possible are wanted.
MIXES = (0.4, 0.5, 0.6, 0.7)
FINE_MIXES = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
BLURS = (0.5, 0.75, 0.9)
TRIED = ["model", "sample", "following", "source", "degree", "outcome"]


def draw_wordings(samples, direction: str, seed: int = 0, count: int = 3) -> list[str]:
    """Some of the set's own wordings of one instruction, drawn by seed."""
    known = sorted({sample.instruction(direction) for sample in samples})
    chosen = np.random.default_rng(seed).permutation(len(known))[:count]
    return [known[index] for index in chosen]


def list_attempts(
    subject,
    sample,
    direction: str,
    source: str,
    others: Sequence[str] = (),
    mixes: Sequence[float] = MIXES,
) -> Iterator[tuple[float, object]]:
    """Prompts of one sample that may fail, mildest first, with their degree.

    The degree is the share of the mirror image in the instruction, or that of the mean in the
    evidence, or which wording it is (0: the sample's own; then `others` by number). Nothing where
    the model cannot take such prompts, or not of this sample.

    Parameters
    ----------
    source : str
        One of `SOURCES`, or `NATURAL`.
    others : sequence of str
        Wordings besides the sample's own, for `UNREAD`.
    mixes : sequence of float
        Degrees of `WEAKENED`.

    Raises
    ------
    ValueError
        For an unknown source; names the known ones.
    """
    if source == NATURAL:
        yield from _usable(0.0, encode.encode, subject, sample, direction)
    elif source == UNREAD:
        for number, wording in enumerate(dict.fromkeys([sample.instruction(direction), *others])):
            yield from _usable(float(number), encode.encode, subject, sample, direction, wording)
    elif source == WEAKENED:
        for share in mixes if altered.can_weaken(subject) else ():
            yield from _usable(share, altered.weaken, subject, sample, direction, share)
    elif source == FADED:
        for share in BLURS if direction == "vision" or altered.can_weaken(subject) else ():
            yield from _usable(share, altered.fade, subject, sample, direction, share)
    else:
        known = ", ".join(map(repr, (*SOURCES, NATURAL)))
        why = f"unknown source of failures {source!r}; known: {known}"
        raise ValueError(why)


def _usable(degree: float, make, *arguments) -> Iterator[tuple[float, object]]:
    """One attempt, or none where the sample cannot be put to the model in this form, as with
    another's longer wording.
    """
    try:
        prompt = make(*arguments)
    except Unusable:
        return
    yield degree, prompt


@dataclass(frozen=True)
class Search:
    """What is sought: failures of one source under one instruction, at most `n`, one for each
    sample.

    Attributes
    ----------
    direction : {"text", "vision"}
    source : str
        One of `SOURCES`, or `NATURAL`.
    names : set of str
        Of the samples that are tried, none of them used for ranking.
    n : int
    others : tuple of str
        As in `list_attempts`.
    mixes : tuple of float
        As in `list_attempts`.
    """

    direction: str
    source: str
    names: set[str] = field(repr=False)
    n: int
    others: tuple[str, ...] = ()
    mixes: tuple[float, ...] = MIXES


def seek_failures(
    subject, samples, searches: Sequence[Search], dictionary
) -> list[tuple[list[tuple[object, float]], pd.DataFrame]]:
    """What some searches find, and everything that was tried.

    Each tries its samples one after the other until it has what it wants, whatever the others do.
    They go through the samples together, because prompts of one sample have most of their tokens in
    common (`measures.answers.ask_in_turn`).

    Parameters
    ----------
    samples : sequence of Sample
        Tried in this order.
    searches : sequence of Search

    Returns
    -------
    list of (failures, tried), one for each search
        Failures are (Prompt, float) pairs, with the degree at which the sample fails. `tried` has
        one row per attempt: model, sample, following, source, degree (see `list_attempts`),
        outcome.
    """
    ask = make_asker(subject, dictionary)
    found: list[list] = [[] for _ in searches]
    tried: list[list] = [[] for _ in searches]
    with tqdm(total=sum(one.n for one in searches), desc=f"failures, {subject.name}") as bar:
        for sample in samples:
            for search, failures, attempts in zip(searches, found, tried):
                if sample.id in search.names and len(failures) < search.n:
                    failures += _try_sample(subject, sample, search, ask, attempts)
            bar.update(sum(map(len, found)) - bar.n)
    return [
        (failures, pd.DataFrame(attempts, columns=TRIED))
        for failures, attempts in zip(found, tried)
    ]


def _try_sample(subject, sample, search: Search, ask, attempts: list) -> list:
    """The mildest attempt at which a sample fails and its degree, if there is one; what is tried is
    added to `attempts`.
    """
    for degree, prompt in list_attempts(
        subject, sample, search.direction, search.source, search.others, search.mixes
    ):
        outcome = ask(prompt)["outcome"].item()
        attempt = {"source": search.source, "degree": degree, "outcome": outcome}
        attempts.append(identity(subject, prompt) | attempt)
        if outcome == "competitor":
            return [(prompt, degree)]
    return []


def seek_all_sources(
    subject, samples, answers: pd.DataFrame, n: int, dictionary, seed: int = 0
) -> tuple[dict[str, list], pd.DataFrame]:
    """Failures of every source in both directions, at most `n` each, and everything that was tried
    (see `seek_failures`).

    Parameters
    ----------
    samples : sequence of Sample
        None of them used for ranking.
    answers : DataFrame
        From `answered.ask_samples`: instruction and evidence are weakened only where the model
        follows the plain prompt.
    """
    decidable = answered.keep_asked(answers, samples)
    searches = []
    for direction in ("text", "vision"):
        others = tuple(draw_wordings(samples, direction, seed))
        follows = answered.keep_outcome(answers, samples, direction)
        for source in SOURCES:
            some = decidable if source == UNREAD else follows
            searches.append(Search(direction, source, {one.id for one in some}, n, others))
    found: dict[str, list] = {source: [] for source in SOURCES}
    tried = []
    for search, (failures, attempted) in zip(
        searches, seek_failures(subject, samples, searches, dictionary)
    ):
        found[search.source] += [prompt for prompt, _ in failures]
        tried.append(attempted)
    with_rows = [table for table in tried if len(table)]
    return found, pd.concat(with_rows or tried, ignore_index=True)


def find_failures(subject, samples: list[Sample], n: int, dictionary) -> list[tuple[object, float]]:
    """Prompts that the model answers with the competitor's answer: (prompt, share) pairs, at most
    `n` under each instruction, text first (§4.2.2).

    Natural failures first (share 0), as far as the samples reach; then, where the model allows it,
    samples whose instruction is weakened (`altered.weaken`) by the smallest share of its mirror
    image at which the answer turns. There may be fewer than `n`.
    """
    names = {sample.id for sample in samples}
    plain = [Search(way, NATURAL, names, n) for way in ("text", "vision")]
    natural = seek_failures(subject, samples, plain, dictionary)
    mixed = []
    for search, (failures, tried) in zip(plain, natural):
        right = set(tried.loc[tried["outcome"] != "competitor", "sample"])
        left = n - len(failures)
        mixed.append(Search(search.direction, WEAKENED, right, left, mixes=FINE_MIXES))
    weakened = seek_failures(subject, samples, mixed, dictionary)
    found = []
    for (failures, _), (more, _) in zip(natural, weakened):
        found += failures + more
    return found
